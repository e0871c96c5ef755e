"""Reconstruction errors that need no network: the floors that an autoencoder must beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from models.data import ImageData

FITTED_VALUES = 200_000_000  # of images that PCA is fitted on, as floats: 0.8 GB
ROWS = 4096  # images at a time, where all as floats would fill the memory
MOST_EXACT = 4096  # pixels; the covariance of more takes too long to decompose


def reconstruction_floors(data: ImageData, latent_sizes: tuple[int, ...]) -> dict:
    """Mean squared error on validation and test of the mean training image, and of PCA with as
    many components as each code has units (at most as many as the training split allows).

    PCA is fitted on a part of the training images if they are many and large. With more than
    4,096 pixel values an image its components are found by a randomised method (Halko et al. 2011,
    arXiv:0909.4061)."""
    from sklearn.decomposition import PCA  # takes a second to import, and workers do not need it

    pixels = data.images[0].numel()
    fitted_on = _floats(data, _spread(data.train, FITTED_VALUES // pixels))
    mean, of_size = _mean(data), {}
    solver = "covariance_eigh" if pixels <= MOST_EXACT else "randomized"
    for size in latent_sizes:
        components = min(size, *fitted_on.shape)
        pca = PCA(components, svd_solver=solver, random_state=0).fit(fitted_on)
        reconstructed = _errors(
            data, lambda images, pca=pca: pca.inverse_transform(pca.transform(images))
        )
        about: dict[str, Any] = {"components": components, "pixels": pixels}
        if len(fitted_on) < len(data.train):
            about["images"] = len(fitted_on)
        of_size[str(size)] = {**about, **reconstructed}
    return {"mean_image": _errors(data, lambda images: mean), "pca": of_size}


def _errors(data: ImageData, reconstruct: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
    found = {}
    for name, rows in {"validation_mse": data.validation, "test_mse": data.test}.items():
        total = 0.0
        for part in rows.split(ROWS):
            images = _floats(data, part)
            total += float(np.square(images - reconstruct(images)).sum(dtype=np.float64))
        found[name] = total / (len(rows) * data.images[0].numel())
    return found


def _mean(data: ImageData) -> np.ndarray:
    total = sum(_floats(data, part).sum(0, dtype=np.float64) for part in data.train.split(ROWS))
    return (total / len(data.train)).astype(np.float32)


def _floats(data: ImageData, rows: Tensor) -> np.ndarray:
    """Images as rows (N, pixels) of float32 in [0, 1]."""
    return data.images[rows].flatten(1).numpy().astype(np.float32) / 255


def _spread(rows: Tensor, most: int) -> Tensor:
    """At most `most` of `rows` (N,), evenly over all of them."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
