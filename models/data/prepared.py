"""A data set on its device, with the fixed subsets that every trial is measured on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.data import ImageData
from models.data.images import SizedImages, to_floats

REFERENCE_IMAGES = 768  # training images on which the error without noise is measured
PROBE_IMAGES = 640  # training images for the probe, or an eighth of all if that is more


@dataclass(frozen=True)
class PreparedData(SizedImages):
    """See the docstring of this module. Indices point into `images`, except where a comment says
    otherwise."""

    images: Tensor  # uint8 (N, side, side), or (N, side, side, 3) in colour
    labels: Tensor  # int64 (N,); zeros if there are no labels
    train: Tensor  # int64 indices
    validation: Tensor
    reference: Tensor  # part of `train`: error without noise, batch-norm statistics
    probe_train: Tensor  # part of `train`, for the probe; empty if there are no labels
    probe_validation: Tensor  # positions in `validation` of images of the probe's classes

    @property
    def device(self) -> torch.device:
        return self.images.device

    def batch(self, indices: Tensor) -> Tensor:
        """Images (B, channels, side, side) in [0, 1], channels last."""
        return to_floats(self.images[indices]).contiguous(memory_format=torch.channels_last)

    def epoch(self, generator: torch.Generator) -> Tensor:
        """Indices of all training images, shuffled."""
        order = torch.randperm(len(self.train), generator=generator, device=self.device)
        return self.train[order]


def prepare(
    data: ImageData, device: torch.device | str = "cpu", validation_limit: int | None = None
) -> PreparedData:
    """Move `data` to `device` and choose the fixed subsets, which are the same for every trial.

    `validation_limit`: measure on at most this many validation images, chosen by a fixed seed.
    """
    rng = np.random.default_rng(0)
    validation = _subset(data.validation, validation_limit or len(data.validation), rng)
    reference = _subset(data.train, REFERENCE_IMAGES, rng)
    probe_train = _class_subset(data, max(PROBE_IMAGES, len(data.train) // 8), rng)
    known = torch.isin(data.labels[validation], data.labels[probe_train])
    tensors = (
        data.images,
        data.labels,
        data.train,
        validation,
        reference,
        probe_train,
        known.nonzero().flatten(),
    )
    return PreparedData(*(tensor.to(device) for tensor in tensors))


def _subset(indices: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    if size >= len(indices):
        return indices
    return indices[torch.from_numpy(np.sort(rng.permutation(len(indices))[:size]))]


def _class_subset(data: ImageData, size: int, rng: np.random.Generator) -> Tensor:
    """About `size` training images: some of each class if the classes are few, otherwise all of
    some classes. Empty if there are no labels."""
    if not data.labelled:
        return data.train[:0]
    labels = data.labels[data.train].numpy()
    classes, counts = np.unique(labels, return_counts=True)
    wanted = math.ceil(size / min(64, counts.max()))
    chosen = np.sort(rng.permutation(classes)[:wanted])
    per_class = math.ceil(size / len(chosen))
    picked = [np.flatnonzero(labels == label)[:per_class] for label in chosen]
    return data.train[torch.from_numpy(np.sort(np.concatenate(picked)))]
