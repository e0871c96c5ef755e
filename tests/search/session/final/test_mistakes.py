"""The mistakes of winning classifiers: by class, as pairs, and as pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.data import ImageData
from search.session.final.mistakes import (
    accuracy_by_kind,
    confusion_pictures,
    most_confused,
)

LABELS = np.array([0, 0, 1, 1, 2, 2])
PREDICTIONS = np.array([[0, 1, 1, 1, 2, 0], [0, 1, 2, 1, 2, 2]])  # two seeds


def test_confused_pairs_are_counted_over_all_seeds_most_frequent_first():
    assert most_confused(PREDICTIONS, LABELS) == [((0, 1), 2), ((1, 2), 1), ((2, 0), 1)]
    assert most_confused(LABELS[None], LABELS) == []


def test_accuracy_is_by_class_or_by_alphabet():
    assert accuracy_by_kind(PREDICTIONS, LABELS, ("0", "1", "2")) == {
        "0": 0.5,
        "1": 0.75,
        "2": 0.75,
    }
    named = ("Greek/character01", "Greek/character02", "Latin/character01")
    found = accuracy_by_kind(PREDICTIONS, LABELS, named)
    assert found == {"Greek": pytest.approx(0.625), "Latin": 0.75}


def small_set(train: list[int], validation: list[int]) -> ImageData:
    """Six test images of LABELS, then images of the listed classes; pixel (0, 0) counts them."""
    labels = torch.tensor([*LABELS, *train, *validation])
    images = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(len(labels))
    rows = torch.arange(len(labels)).split([6, len(train), len(validation)])
    return ImageData(
        "made", images, labels, None, ("a", "b", "c"), rows[1], rows[2], rows[0], "made", False, ""
    )


def test_a_confusion_is_pictured_by_the_mistaken_drawing_and_one_of_either_class():
    pictures = confusion_pictures(
        most_confused(PREDICTIONS, LABELS), PREDICTIONS, small_set([2, 1, 0], [])
    )
    shown = {name: images[:, 0, 0].tolist() for name, images in pictures.items()}
    assert shown == {"mistaken": [1, 2, 5], "class": [8, 7, 6], "taken_for": [7, 6, 8]}


def test_a_class_without_training_images_is_pictured_by_a_validation_image():
    pictures = confusion_pictures([((0, 1), 2)], PREDICTIONS, small_set([1], [2, 0]))
    assert pictures["class"][0, 0, 0] == 8 and pictures["taken_for"][0, 0, 0] == 6


def test_no_confusion_gives_no_picture():
    pictures = confusion_pictures([], LABELS[None], small_set([0], [1, 2]))
    assert {images.shape for images in pictures.values()} == {(0, 28, 28)}
