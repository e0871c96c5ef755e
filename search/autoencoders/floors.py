"""Reconstruction errors that need no network: the floors that an autoencoder must beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.data import ImageData


def reconstruction_floors(data: ImageData, latent_sizes: tuple[int, ...]) -> dict:
    """Mean squared error on validation and test of the mean training image, and of PCA with as
    many components as each code has units (at most as many as the training split allows)."""
    from sklearn.decomposition import PCA  # takes a second to import, and workers do not need it

    pixels = data.images.flatten(1).numpy().astype(np.float32) / 255
    train = pixels[data.train.numpy()]
    splits = {"validation_mse": data.validation, "test_mse": data.test}

    def errors(reconstruct: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
        found = {}
        for name, rows in splits.items():
            images = pixels[rows.numpy()]
            squares = np.square(images - reconstruct(images))
            found[name] = float(squares.mean(dtype=np.float64))
        return found

    mean, of_size = train.mean(0), {}
    for size in latent_sizes:
        components = min(size, *train.shape)
        pca = PCA(components, svd_solver="covariance_eigh").fit(train)
        reconstructed = errors(lambda images, pca=pca: pca.inverse_transform(pca.transform(images)))
        of_size[str(size)] = {"components": components, **reconstructed}
    return {"mean_image": errors(lambda images: mean), "pca": of_size}
