"""Codes of the images of a data set and of augmented views: computed once, kept on disk.

The name of a file of codes depends on the weights, the images and the views, so other weights get
another file. It is read through a memory map.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.data import ImageData
from models.data.cache import weights_digest
from models.data.images import to_floats
from models.files import write_atomically
from models.networks.autoencoder import Autoencoder
from models.trained import LoadError, load, read_config
from models.training.augmentation import SLIGHT, mean_over_warps, warp
from models.training.loop import EVALUATION_BATCH, autocast

VERSION = 2  # raise it when older codes must no longer be read
VIEW = 1.0  # strength of the warp that makes a view, see models.training.augmentation.warp


@dataclass(frozen=True, eq=False)
class CodedData(ImageData):
    """A set of images with their codes, one float16 array for each code size.

    `codes[size]` is (N + V K, size). The first N rows are the codes of the N images. Then come V
    blocks of K rows: codes of augmented views of the K images of the training and the validation
    split, in the order of `known_images`. Test images are never augmented.
    """

    codes: Mapping[int, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def known_images(self) -> np.ndarray:
        """Sorted indices (K,) of the images of the training and the validation split."""
        return np.union1d(self.train.numpy(), self.validation.numpy())

    def rows(self, indices: np.ndarray, views: int = 1) -> np.ndarray:
        """Rows (views n,) of a code array that belong to the images at `indices` (n,): first
        without augmentation, then view by view. Raises ValueError for more views than were encoded,
        and for more than one view of a test image."""
        known, images = self.known_images, len(self.images)
        have = 1 + (len(next(iter(self.codes.values()))) - images) // len(known)
        if views > have:
            raise ValueError(f"{views} views asked for, {have} are encoded")
        if views > 1 and not np.isin(indices, known).all():
            raise ValueError("images of the test split have no augmented views")
        positions = np.searchsorted(known, indices)
        more = [images + view * len(known) + positions for view in range(views - 1)]
        return np.concatenate([indices, *more])


def attach_codes(
    data: ImageData,
    autoencoders: Mapping[int, Autoencoder],
    views: int,
    cache: Path,
    device: str = "cpu",
    warps: int = 1,
) -> CodedData:
    """`data` with the codes of each autoencoder. Images of the training and the validation split
    have `views` views; the first is the image itself. Every code is a mean over `warps` warps, see
    `encode_images`. Codes that the folder `cache` has are read from there, the others are computed
    and written to it."""
    fields = {field.name: getattr(data, field.name) for field in dataclasses.fields(ImageData)}
    codes = {
        size: cached_codes(autoencoder, data, views, cache, device, warps)
        for size, autoencoder in autoencoders.items()
    }
    return CodedData(**fields, codes=codes)


def cached_codes(
    autoencoder: Autoencoder,
    data: ImageData,
    views: int,
    cache: Path,
    device: str,
    warps: int,
) -> np.ndarray:
    """The codes in the order of `CodedData`: a read-only memory map of a file in `cache`."""
    about = (VERSION, weights_digest(autoencoder), data.sha256, views, warps, VIEW, SLIGHT)
    path = cache / f"{hashlib.sha256(repr(about).encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        codes = encode_views(autoencoder, data, views, device, warps)
        write_atomically(path, lambda file: np.save(file, codes))
    # A plain array is shared between processes without a copy.
    return np.asarray(np.load(path, mmap_mode="r"))


def encode_views(
    autoencoder: Autoencoder, data: ImageData, views: int, device: str, warps: int
) -> np.ndarray:
    """Codes (N + (views - 1) K, size), float16, in the order of `CodedData`."""
    known = data.images[torch.cat([data.train, data.validation]).sort().values]
    parts = [encode_images(autoencoder, data.images, device, warps=warps)]
    for view in range(1, views):
        generator = torch.Generator(device).manual_seed(view)
        parts.append(encode_images(autoencoder, known, device, generator, warps))
    return np.concatenate(parts)


@torch.no_grad()
def encode_images(
    autoencoder: Autoencoder,
    images: Tensor,
    device: str = "cpu",
    generator: torch.Generator | None = None,
    warps: int = 1,
) -> np.ndarray:
    """Codes (N, size), float16, of uint8 images (N, side, side) or (N, side, side, 3).

    With a generator, which must be on `device`, each image is first replaced by a random view of
    itself. A code is a mean over `warps` slight warps of its image, see
    `augmentation.mean_over_warps`; they depend on the image's place in `images`."""
    autoencoder = autoencoder.to(device).to(memory_format=torch.channels_last).eval()
    encode, codes = partial(_encode, autoencoder), []
    draws = torch.Generator(device).manual_seed(0)
    for part in images.split(EVALUATION_BATCH):
        batch = to_floats(part.to(device))
        if generator is not None:
            batch = warp(batch, VIEW, generator)
        codes.append(mean_over_warps(encode, batch, warps, draws).half().cpu())
    return torch.cat(codes).numpy()


def _encode(autoencoder: Autoencoder, images: Tensor) -> Tensor:
    with autocast(images.device):
        return autoencoder.encode(images.contiguous(memory_format=torch.channels_last))


def load_autoencoder(folder: Path) -> tuple[Autoencoder, dict]:
    """The autoencoder in a folder that a search wrote (weights.pt, config.json), and its config.

    Raises LoadError, a ValueError, where the files are missing or damaged, or hold no
    autoencoder."""
    network = load(folder)
    if not hasattr(network, "encode"):
        raise LoadError(f"{folder} holds a classifier, not an autoencoder")
    return network, read_config(folder)
