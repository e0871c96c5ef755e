"""The errors that need no network, for large images and for many."""

import numpy as np
import pytest
import torch

from models.data import ImageData
from search.autoencoders import floors
from search.autoencoders.floors import reconstruction_floors


def made(side: int = 20, count: int = 300) -> ImageData:
    """Images in colour that are mixtures of four: PCA with four components is exact but for the
    rounding."""
    stream = np.random.RandomState(0)
    mixtures = stream.dirichlet(np.ones(4), count)
    images = (mixtures @ stream.randint(0, 256, (4, side * side * 3))).round().astype(np.uint8)
    tensor = torch.from_numpy(images.reshape(count, side, side, 3))
    parts = [torch.arange(count)[part::3] for part in range(3)]
    return ImageData("own", tensor, torch.zeros(count).long(), None, (), *parts, "x", False, "")


def test_the_floors_are_those_of_all_images_at_once():
    data = made()
    found = reconstruction_floors(data, (2, 8))
    pixels = data.images.flatten(1).numpy() / 255
    train, test = pixels[data.train], pixels[data.test]
    mean = np.square(test - train.mean(0)).mean()
    assert found["mean_image"]["test_mse"] == pytest.approx(mean, rel=1e-5)
    assert found["pca"]["8"]["test_mse"] < 3e-6 < 1e-3 < found["pca"]["2"]["test_mse"] < mean
    assert found["pca"]["8"]["components"] == 8 and found["pca"]["8"]["pixels"] == 1200


def test_large_and_many_images_have_nearly_the_same_floors(monkeypatch):
    data = made()
    exact = reconstruction_floors(data, (2,))
    monkeypatch.setattr(floors, "MOST_EXACT", 100)
    monkeypatch.setattr(floors, "FITTED_VALUES", 60 * 1200)
    monkeypatch.setattr(floors, "ROWS", 7)
    found = reconstruction_floors(data, (2,))
    assert found["pca"]["2"]["images"] == 60
    assert found["mean_image"]["test_mse"] == pytest.approx(exact["mean_image"]["test_mse"])
    assert found["pca"]["2"]["test_mse"] == pytest.approx(exact["pca"]["2"]["test_mse"], rel=0.15)
