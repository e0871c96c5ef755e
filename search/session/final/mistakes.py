"""The errors of winning classifiers: accuracy by class, and the pairs that they confuse."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from models.data import ImageData
from models.files import write_atomically
from search.task.protocol import Retrained

CONFUSED_PAIRS = 12  # kept for the picture


def conclude_mistakes(winner: Retrained, data: ImageData) -> dict:
    """Accuracy by class and the confused pairs, for final.json. Writes their pictures beside the
    winner's weights."""
    predictions = np.stack([kept["predictions"] for kept in winner.details])  # (seeds, tests)
    labels = data.labels[data.test].numpy()
    pairs = most_confused(predictions, labels)
    arrays = confusion_pictures(pairs, predictions, data)
    write_atomically(
        winner.folder / "confusions.npz", lambda file: np.savez_compressed(file, **arrays)
    )
    return {
        "accuracy_by": accuracy_by_kind(predictions, labels, data.class_names),
        "confused": [
            {
                "class": data.class_names[wanted],
                "taken_for": data.class_names[given],
                "times": times,
                "of": int((labels == wanted).sum()) * len(predictions),
            }
            for (wanted, given), times in pairs
        ],
    }


def accuracy_by_kind(
    predictions: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]
) -> dict[str, float]:
    """Accuracy of each class, or of each alphabet where class names are "alphabet/character": the
    mean over the seeds of `predictions` (seeds, N)."""
    kinds = np.array([class_names[label].split("/")[0] for label in labels])
    right = (predictions == labels).mean(0)
    return {str(kind): float(right[kinds == kind].mean()) for kind in np.unique(kinds)}


def most_confused(predictions: np.ndarray, labels: np.ndarray) -> list[tuple[tuple[int, int], int]]:
    """((class, taken for), times) over all seeds, the most frequent first and of equally frequent
    pairs the smaller classes first. At most CONFUSED_PAIRS."""
    wrong = np.argwhere(predictions != labels)
    counts = Counter((int(labels[image]), int(predictions[seed, image])) for seed, image in wrong)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:CONFUSED_PAIRS]


def confusion_pictures(
    pairs: list[tuple[tuple[int, int], int]], predictions: np.ndarray, data: ImageData
) -> dict[str, np.ndarray]:
    """For each pair a confused test image, and an image of each of the two classes that is no test
    image. Each array is uint8 (pairs, side, side), or (pairs, side, side, 3) in colour."""
    labels, images = data.labels[data.test].numpy(), data.images.numpy()
    # A small training split may lack a class.
    known = torch.cat([data.train, data.validation])
    known_labels = data.labels[known].numpy()

    def of_class(label: int) -> np.ndarray:
        found = np.flatnonzero(known_labels == label)  # none where whole groups are split
        return images[known[int(found[0])]] if len(found) else np.zeros_like(images[0])

    def mistaken(wanted: int, given: int) -> np.ndarray:
        times = ((predictions == given) & (labels == wanted)).sum(0)
        return images[data.test[int(times.argmax())]]

    pictures = {
        "mistaken": [mistaken(*pair) for pair, _ in pairs],
        "class": [of_class(wanted) for (wanted, _), _ in pairs],
        "taken_for": [of_class(given) for (_, given), _ in pairs],
    }
    return {
        name: np.stack(found) if found else np.zeros((0, *images.shape[1:]), np.uint8)
        for name, found in pictures.items()
    }
