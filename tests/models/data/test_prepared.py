"""The fixed subsets that every trial is measured on."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from models.data import ImageData
from models.data.prepared import PreparedData, prepare
from tests.models.made_data import image_data, prepared_glyphs


def labelled(labels: list[int], parts: list[int]) -> ImageData:
    images = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    return image_data(images, torch.tensor(labels), torch.tensor(parts))


@pytest.fixture(scope="module")
def many_classes() -> ImageData:
    """120 classes, in no order: 14 images of each to train, 2 to validate, 1 to test."""
    order = np.random.RandomState(0).permutation(120 * 17)
    return labelled((order // 17).tolist(), np.digitize(order % 17, [14, 16]).tolist())


def test_subsets_are_the_same_every_time(many_classes):
    a, b = (prepare(many_classes, validation_limit=100) for _ in range(2))
    np.random.rand(5), torch.rand(5)
    for field in fields(PreparedData):
        assert torch.equal(getattr(a, field.name), getattr(b, field.name))


def test_subsets_for_measuring_come_from_the_training_split(many_classes):
    prepared = prepare(many_classes)
    train = set(many_classes.train.tolist())
    for subset in (prepared.reference, prepared.probe_train):
        assert 0 < len(subset) == len(set(subset.tolist())) < len(train)
        assert set(subset.tolist()) < train


def test_no_subset_holds_a_test_image(many_classes):
    prepared = prepare(many_classes)
    used = torch.cat([prepared.train, prepared.validation, prepared.reference])
    assert not torch.isin(used, many_classes.test).any()


def test_the_probe_learns_from_whole_classes_and_is_asked_about_all_of_theirs(many_classes):
    prepared = prepare(many_classes)
    counts = many_classes.labels[prepared.probe_train].bincount(minlength=120)
    assert set(counts.tolist()) == {0, 14} and counts.sum() >= 640
    asked = many_classes.labels[prepared.validation[prepared.probe_validation]]
    assert torch.equal(asked.bincount(minlength=120), (counts > 0) * 2)


def test_the_probe_of_a_set_of_few_classes_learns_from_each():
    labels = 10 * list(range(10)) * 11
    prepared = prepare(labelled(labels, 1000 * [0] + 100 * [1]))
    counts = prepared.labels[prepared.probe_train].bincount()
    assert counts.tolist() == 10 * [64]
    assert len(prepared.probe_validation) == 100


def test_the_probe_is_not_asked_about_classes_that_it_cannot_know():
    prepared = prepare(labelled([0, 1, 1, 0, 7, 1, 7], [0, 0, 0, 1, 1, 1, 1]))
    assert prepared.probe_validation.tolist() == [0, 2]


def test_a_set_smaller_than_its_subsets_is_used_whole():
    prepared = prepare(labelled([0, 1, 1, 0, 1], [0, 0, 0, 1, 1]), validation_limit=50)
    for subset in (prepared.reference, prepared.probe_train):
        assert subset.tolist() == [0, 1, 2]
    assert prepared.validation.tolist() == [3, 4]


def test_validation_limit_takes_a_part_of_the_validation_split(many_classes):
    prepared = prepare(many_classes, validation_limit=50)
    assert len(prepared.validation) == len(prepared.validation.unique()) == 50
    assert torch.isin(prepared.validation, many_classes.validation).all()
    assert len(prepare(many_classes).validation) == 240
    assert 0 < len(prepared.probe_validation) and prepared.probe_validation.max() < 50


def test_a_batch_holds_pixels_from_0_to_1():
    data = prepared_glyphs(2, 2)
    batch = data.batch(data.train[:5])
    assert batch.shape == (5, 1, 28, 28) and batch.dtype == torch.float32
    assert torch.allclose(batch.squeeze(1) * 255, data.images[data.train[:5]].float())


def test_a_batch_in_colour_has_its_channels_second_and_last_in_memory():
    images = torch.randint(0, 256, (9, 20, 20, 3), dtype=torch.uint8)
    data = prepare(image_data(images, torch.arange(9) % 2, torch.arange(9) // 3))
    batch = data.batch(data.train)
    assert batch.shape == (3, 3, 20, 20) and (data.side, data.channels) == (20, 3)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal((batch * 255).round().byte().permute(0, 2, 3, 1), images[:3])


def test_without_labels_there_is_no_probe():
    data = replace(labelled([0] * 9, [0] * 3 + [1] * 3 + [2] * 3), class_names=())
    prepared = prepare(data)
    assert len(prepared.probe_train) == len(prepared.probe_validation) == 0
