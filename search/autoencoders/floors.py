"""Reconstruction errors that need no network: the floors that an autoencoder must beat."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from models.data import ImageData

CURVE = (4, 8, 16, 32, 64, 128, 256)  # components that sparse codes are compared with


def reconstruction_floors(data: ImageData, latent_sizes: tuple[int, ...]) -> dict:
    """Mean squared error on validation and test of the mean training image, and of PCA with as
    many components as each code has units and as CURVE says (at most as many as the training
    split allows)."""
    from sklearn.decomposition import PCA  # takes a second to import, and workers do not need it

    pixels = data.images.flatten(1).numpy().astype(np.float32) / 255
    train = pixels[data.train.numpy()]
    splits = {"validation_mse": data.validation, "test_mse": data.test}
    pca = PCA(min(max(*latent_sizes, *CURVE), *train.shape), svd_solver="covariance_eigh")
    pca.fit(train)

    def errors(components: int) -> dict[str, float]:
        """Of the first components, which are those of a PCA with no more of them."""
        found = {}
        for name, rows in splits.items():
            centred = pixels[rows.numpy()] - pca.mean_
            first = pca.components_[:components]
            squares = np.square(centred - (centred @ first.T) @ first)
            found[name] = float(squares.mean(dtype=np.float64))
        return found

    def floors(counts: Iterable[int]) -> dict[str, dict]:
        most = len(pca.components_)
        return {
            str(count): {"components": min(count, most), **errors(min(count, most))}
            for count in counts
        }

    curve = [count for count in CURVE if count <= len(pca.components_)]
    return {"mean_image": errors(0), "pca": floors(latent_sizes), "pca_curve": floors(curve)}
