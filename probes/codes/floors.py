"""Accuracies of classifiers without training on the pixels of the images."""

from __future__ import annotations

import torch
from sklearn.neighbors import NearestNeighbors

from models.data import ImageData
from models.data.images import resize
from probes.codes.nearest_mean import nearest_mean_accuracy

MOST_SIDE = 32  # pixels; the distances of larger images would take minutes and gigabytes


def pixel_floors(data: ImageData) -> dict[str, dict[str, float]]:
    """Validation and test accuracy of three methods without training: the most frequent class, the
    nearest class mean of the pixels (each scaled to unit variance), the nearest training image.
    Images of more than 32 pixels a side are averaged to 32 for this."""
    images = data.images if data.side <= MOST_SIDE else _smaller(data.images)
    pixels, labels = images.flatten(1).float() / 255, data.labels
    train = data.train
    neighbours = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(pixels[train].numpy())
    frequent = labels[train].bincount().argmax()
    floors: dict[str, dict[str, float]] = {"most_frequent": {}, "nearest_mean": {}, "1-nn": {}}
    for split in ("validation", "test"):
        rows = getattr(data, split)
        name, known = f"{split}_accuracy", labels[rows]
        floors["most_frequent"][name] = float((known == frequent).double().mean())
        floors["nearest_mean"][name] = nearest_mean_accuracy(
            pixels[train], labels[train], pixels[rows], known
        )
        nearest = neighbours.kneighbors(pixels[rows].numpy(), return_distance=False)[:, 0]
        given = labels[train[torch.from_numpy(nearest)]]
        floors["1-nn"][name] = float((given == known).double().mean())
    return floors


def _smaller(images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(resize(images.numpy(), MOST_SIDE))
