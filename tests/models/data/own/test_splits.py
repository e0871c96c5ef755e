"""The split of own images: 80/10/10, by label and by group, or as the file says."""

import numpy as np
import pytest

from models.data import DataError, load
from models.data.cache import TEST, TRAIN, VALIDATION, Pack
from models.data.own.splits import split_own


def pack(count: int, labels=None, groups=None, parts=None) -> Pack:
    labels = np.zeros(count, np.int64) if labels is None else np.asarray(labels)
    names = tuple(map(str, range(labels.max() + 1))) if labels.any() else ()
    images = np.zeros((count, 16, 16), np.uint8)
    groups = None if groups is None else np.asarray(groups)
    return Pack(images, labels, groups, names, None if parts is None else np.asarray(parts))


def sizes(parts) -> list[int]:
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    return [len(part) for part in parts]


def test_images_without_labels_are_split_at_random():
    name, parts = split_own(pack(1000), "own")
    assert name == "random" and sizes(parts) == [800, 100, 100]
    again = split_own(pack(1000), "own")[1]
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    assert not np.array_equal(parts[1], np.arange(0, 1000, 10))


def test_each_label_has_its_tenth():
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(7), 30))
    name, parts = split_own(pack(210, labels), "own")
    assert name == "stratified" and sizes(parts) == [168, 21, 21]
    assert all(np.bincount(labels[part], minlength=7).tolist() == [3] * 7 for part in parts[1:])


def test_a_label_with_a_single_image_trains():
    labels = [0] * 40 + [1] + [2] * 40 + [3] + [4] * 2
    _, (train, validation, test) = split_own(pack(84, labels), "own")
    assert {40, 81} <= set(train.tolist())
    assert np.isin(np.unique(labels), np.asarray(labels)[train]).all()
    assert len(validation) >= 8 and len(test) >= 8


def test_groups_stay_whole_at_about_a_tenth_of_the_images():
    groups = np.random.RandomState(0).randint(0, 40, 2000)
    name, parts = split_own(pack(2000, groups=groups), "own")
    found = [set(groups[part].tolist()) for part in parts]
    assert name == "grouped" and not found[0] & found[1] | found[0] & found[2] | found[1] & found[2]
    assert all(abs(len(part) - 200) <= 30 for part in parts[1:])


def test_three_groups_are_enough():
    _, parts = split_own(pack(90, groups=[0] * 80 + [1] * 5 + [2] * 5), "own")
    assert sorted(sizes(parts)) == [5, 5, 80] and len(parts[0]) == 80


def test_a_file_s_own_split_is_kept():
    given = [TRAIN] * 10 + [TEST] * 5 + [VALIDATION] * 5
    name, parts = split_own(pack(20, parts=given), "own")
    assert name == "file" and sizes(parts) == [10, 5, 5] and parts[2].tolist() == [*range(10, 15)]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (pack(8), "8 images"),
        (pack(60, range(60)), "60 of 60 labels have a single image"),
        (pack(60, groups=[0] * 30 + [1] * 30), "groups"),
        (pack(20, parts=[TRAIN] * 10 + [VALIDATION] * 10), "no test images"),
        (pack(20, groups=[0] * 11 + [1] * 9, parts=[TRAIN] * 10 + [TEST] * 10), "divides a group"),
        (pack(20, parts=[TRAIN] * 19 + [TEST]), "1 to test"),
    ],
)
def test_a_split_that_cannot_be_is_refused(made, reason):
    with pytest.raises(DataError, match=reason):
        split_own(made, "own")


def test_the_arrays_of_a_file_name_split_and_group(tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (60, 16, 16)).astype(np.uint8)
    words = np.array(["train"] * 40 + ["val"] * 10 + ["test"] * 10)
    group = np.array([f"patient {number // 10}" for number in range(60)])
    np.savez(tmp_path / "a.npz", images=images, split=words, group=group)
    data = load(str(tmp_path / "a.npz"), tmp_path)
    assert data.split == "file" and data.validation.tolist() == list(range(40, 50))
    assert not data.labelled and data.drawers.unique().tolist() == list(range(6))
    np.savez(tmp_path / "b.npz", images=images, group=group)
    data = load(str(tmp_path / "b.npz"), tmp_path)
    assert data.split == "grouped" and len(data.test) == len(data.validation) == 10
