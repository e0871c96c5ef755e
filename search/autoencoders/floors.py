"""Reconstruction errors that need no network: the floors that an autoencoder must beat."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor

from models.data import ImageData

CURVE = (4, 8, 16, 32, 64, 128, 256)  # components that sparse codes are compared with
FITTED_VALUES = 200_000_000  # of images that PCA is fitted on, as floats: 0.8 GB
ROWS = 4096  # images at a time, where all as floats would fill the memory
MOST_EXACT = 4096  # pixels; the covariance of more takes too long to decompose


def reconstruction_floors(data: ImageData, latent_sizes: tuple[int, ...]) -> dict:
    """Mean squared error on validation and test of the mean training image, and of PCA with as
    many components as each code has units and as CURVE says (at most as many as the training
    split allows).

    PCA is fitted on a part of the training images if they are many and large. With more than
    4,096 pixel values an image, its components are found by a randomised method (Halko et al. 2011,
    arXiv:0909.4061)."""
    from sklearn.decomposition import PCA  # takes a second to import, and workers do not need it

    pixels = data.images[0].numel()
    fitted_on = _floats(data, _spread(data.train, FITTED_VALUES // pixels))
    solver = "covariance_eigh" if pixels <= MOST_EXACT else "randomized"
    most = min(max(*latent_sizes, *CURVE), *fitted_on.shape)
    pca = PCA(most, svd_solver=solver, random_state=0).fit(fitted_on)
    about: dict[str, Any] = {"pixels": pixels}
    if len(fitted_on) < len(data.train):
        about["images"] = len(fitted_on)

    def floors(counts: Iterable[int]) -> dict[str, dict]:
        found = {}
        for count in counts:
            # The first components are those of a PCA with no more of them.
            first = pca.components_[:count]
            errors = _errors(
                data, pca.mean_, lambda centred, first=first: (centred @ first.T) @ first
            )
            found[str(count)] = {"components": len(first), **about, **errors}
        return found

    curve = [count for count in CURVE if count <= most]
    mean = _errors(data, _mean(data), lambda centred: 0)
    return {"mean_image": mean, "pca": floors(latent_sizes), "pca_curve": floors(curve)}


def _errors(
    data: ImageData, mean: np.ndarray, reconstruct: Callable[[np.ndarray], Any]
) -> dict[str, float]:
    """Errors of a reconstruction of images less `mean`."""
    found = {}
    for name, rows in {"validation_mse": data.validation, "test_mse": data.test}.items():
        total = 0.0
        for part in rows.split(ROWS):
            centred = _floats(data, part) - mean
            total += float(np.square(centred - reconstruct(centred)).sum(dtype=np.float64))
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
