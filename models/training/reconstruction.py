"""Training an autoencoder: the error of its output against the image without noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from models.data.prepared import PreparedData
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.augmentation import Affine, augment, warp
from models.training.code_statistics import active_fraction, effective_rank, sparsity
from models.training.contrast import Projection, contrastive_loss
from models.training.dead_units import SilentUnits, auxk_loss
from models.training.loop import (
    TRAINING_ONLY,
    TrainingConfig,
    TrainingRun,
    autocast,
    evaluation_batch,
)
from models.training.noise import corrupt

# Takes codes, labels, validation codes and validation labels; returns the validation accuracy
Probe = Callable[[Tensor, Tensor, Tensor, Tensor], float]


def autoencoder_run(
    model: AutoencoderConfig,
    training: TrainingConfig,
    data: PreparedData,
    probe: Probe | None = None,
) -> TrainingRun:
    """A training of a new autoencoder, which takes the size of its images from `data`; `probe`
    measures its codes after each epoch."""
    model = replace(model, image_side=data.side, image_channels=data.channels)
    build = partial(build_for_training, model, training)
    return TrainingRun(build, Reconstruction(training, probe), training, data)


def build_for_training(model: AutoencoderConfig, training: TrainingConfig) -> Autoencoder:
    """A new autoencoder. What only its training needs is in the submodule TRAINING_ONLY."""
    network = Autoencoder(model)
    parts: dict[str, nn.Module] = {}
    if training.contrastive_weight:
        parts["projection"] = Projection(model.latent_size)
    if training.auxk and model.code_activation == "topk":
        parts["silent"] = SilentUnits(model.latent_size)
    if parts:
        network.add_module(TRAINING_ONLY, nn.ModuleDict(parts))
    return network


@dataclass(frozen=True)
class Reconstruction:
    """An `Objective`: mean squared error per pixel against the image without noise and warp, plus
    the L1 penalty on the code, the loss of `dead_units` and that of `contrast`, each where its
    weight is not 0. The metrics are measured without noise and dropout; `code_statistics`
    computes those after `probe_accuracy`."""

    training: TrainingConfig
    probe: Probe | None = None  # None: `probe_accuracy` is nan
    metrics: tuple[str, ...] = (
        "train_mse",
        "validation_mse",
        "probe_accuracy",
        "active_fraction",
        "effective_rank",
        "units_per_image",
        "hoyer_sparsity",
        "dead_units",
    )

    def loss(
        self, network: Autoencoder, images: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor:
        training = self.training
        view = self.view(images, generator)
        revived: Tensor | None = None
        with autocast(images.device):
            if training.auxk and network.config.code_activation == "topk":
                outputs, codes, revived = _revive(network, view, images)
            else:
                outputs, codes = network(view)
        loss = F.mse_loss(outputs, images)
        if revived is not None:
            loss = loss + training.auxk * revived
        return self.penalised(loss, network, images, codes, generator)

    def penalised(
        self, loss: Tensor, network: Any, images: Tensor, codes: Tensor, generator: Generator
    ) -> Tensor:
        """`loss` plus what is asked of the codes: the L1 penalty and the contrastive loss."""
        training = self.training
        if training.l1:
            loss = loss + training.l1 * codes.float().abs().mean()
        if training.contrastive_weight:
            contrast = self._contrast(network, images, codes, generator)
            loss = loss + training.contrastive_weight * contrast
        return loss

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        """What the network sees of images: warped and with noise."""
        warped = warp(images, self.training.warp, generator)
        return corrupt(warped, self.training.noise, self.training.noise_level, generator)

    def _contrast(
        self, network: Any, images: Tensor, codes: Tensor, generator: Generator
    ) -> Tensor:
        """The contrastive loss of `codes` and the codes of a second view, augmented anew."""
        training, project = self.training, network.get_submodule(f"{TRAINING_ONLY}.projection")
        affine = Affine.of_strength(training.affine)
        augmented = augment(images, affine, training.elastic, generator)
        with autocast(images.device):
            others = network.encode(self.view(augmented, generator))
        views = project(codes.float()), project(others.float())
        return contrastive_loss(*views, training.contrast, training.temperature)

    def measure(self, network: Autoencoder, data: PreparedData) -> dict[str, float | Tensor]:
        train_mse, _ = evaluate(network, data, data.reference)
        validation_mse, codes = evaluate(network, data, data.validation)
        values: tuple[float | Tensor, ...] = (
            train_mse,
            validation_mse,
            torch.full_like(validation_mse, self._probe_accuracy(network, data, codes)),
            active_fraction(codes),
            effective_rank(codes),
            *sparsity(codes),
        )
        finite = validation_mse.isfinite()
        nan = torch.full_like(validation_mse, math.nan)
        return {
            name: torch.where(finite, value, nan)
            for name, value in zip(self.metrics, values, strict=True)
        }

    def _probe_accuracy(
        self, network: Autoencoder, data: PreparedData, validation_codes: Tensor
    ) -> float:
        if self.probe is None:
            return math.nan
        chosen = data.probe_validation
        return self.probe(
            encode(network, data, data.probe_train),
            data.labels[data.probe_train],
            validation_codes[chosen],
            data.labels[data.validation[chosen]],
        )


def _revive(network: Autoencoder, view: Tensor, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs and codes of `view`, as the network gives them, and the loss of `dead_units`."""
    values = network.code_values(view)
    codes = network.activate(values)
    silent = cast(SilentUnits, network.get_submodule(f"{TRAINING_ONLY}.silent"))
    dead = silent.update(codes)
    return network.decode(codes), codes, auxk_loss(network, values, codes, dead, images)


@torch.no_grad()
def evaluate(network: Autoencoder, data: PreparedData, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error per pixel of the images at `indices`, a float64 tensor of no dimension,
    and their codes (N, D), float32.

    Puts the network in evaluation mode.
    """
    network.eval()
    squares, codes = [], []
    for rows in indices.split(evaluation_batch(data.device)):
        images = data.batch(rows)
        with autocast(data.device):
            outputs, code = network(images)
        squares.append((outputs - images).square().sum())
        codes.append(code.float())
    pixels = len(indices) * data.images[0].numel()
    return torch.stack(squares).double().sum() / pixels, torch.cat(codes)


@torch.no_grad()
def encode(network: Autoencoder, data: PreparedData, indices: Tensor) -> Tensor:
    """Codes (N, D), float32, of the images at `indices`."""
    network.eval()
    with autocast(data.device):
        return torch.cat(
            [
                network.encode(data.batch(rows)).float()
                for rows in indices.split(evaluation_batch(data.device))
            ]
        )
