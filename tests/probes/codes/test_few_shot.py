"""Few-shot accuracy of codes: its protocol, its interval, its errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models.data import load_unseen
from probes.codes.few_shot import few_shot_accuracy, few_shot_table
from probes.codes.published import PUBLISHED, SETTINGS
from tests.models.data.test_data import REAL, needs_omniglot, user_cache  # noqa: F401


def labels_of(classes: int, each: int = 20) -> np.ndarray:
    return np.repeat(np.arange(classes), each)


def noise(classes: int, size: int = 8, each: int = 20) -> np.ndarray:
    """Codes that know nothing of their class."""
    return np.random.RandomState(0).standard_normal((classes * each, size)).astype(np.float32)


def noisy_classes(classes: int, spread: float) -> np.ndarray:
    centres = np.random.RandomState(1).standard_normal((classes, 16))
    return centres.repeat(20, 0) + spread * noise(classes, 16)


@pytest.mark.parametrize("ways, shots", SETTINGS)
def test_separated_codes_are_always_recognised(ways, shots):
    result = few_shot_accuracy(np.eye(30).repeat(20, 0), labels_of(30), ways, shots, episodes=30)
    assert (result.accuracy, result.low, result.high) == (1, 1, 1)
    assert (result.ways, result.shots, result.queries, result.episodes) == (ways, shots, 15, 30)


@pytest.mark.parametrize("ways, shots", SETTINGS)
def test_codes_without_a_class_are_recognised_by_chance(ways, shots):
    result = few_shot_accuracy(noise(200), labels_of(200), ways, shots, episodes=200)
    width = result.high - result.low
    assert 0 < width < 0.03
    assert abs(result.accuracy - 1 / ways) < 3 * width


@pytest.mark.parametrize("codes", [np.zeros((200, 4)), np.ones((200, 4))])
def test_codes_that_are_all_the_same_get_chance_exactly(codes):
    assert few_shot_accuracy(codes, labels_of(10), 5, 1, episodes=10).accuracy == pytest.approx(0.2)


def test_every_episode_of_a_tiny_set_by_hand():
    # One shot, one query. Class 0 is along x, class 1 along y, but one drawing of class 1 is along
    # x too, longer than any. As the shot it ties with class 0's (first drawn class wins: one of
    # the two right, either way round); as the query it is mistaken: one of two right as well.
    codes = np.array([[1, 0], [2, 0], [0, 1], [9, 0]], float)
    result = few_shot_accuracy(codes, np.array([7, 7, 3, 3]), 2, 1, queries=1, episodes=40)
    assert result.accuracy == result.low == result.high == 0.5


def along(*degrees: float) -> np.ndarray:
    """Codes of length one in the plane."""
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 1)


def test_shots_count_alike_however_long_their_codes_are():
    # Class 0 is right where the long code is a shot: it turns the mean to 30 degrees, and would
    # to 120 unless it was normalised. It is wrong where the long code is the query, one in four.
    codes = along(0, 0, 0, 120, 90, 90, 90, 90) * [[1], [1], [1], [60], [1], [1], [1], [1]]
    result = few_shot_accuracy(codes, labels_of(2, 4), 2, 3, queries=1, episodes=400)
    assert result.accuracy == pytest.approx((3 / 4 + 1) / 2, abs=0.05)


def test_a_mean_counts_by_its_direction_even_where_its_shots_disagree():
    # The mean of -60 and 60 degrees is half as long as class 1's; by cosine the query at 0 is its
    # own all the same. Of class 0 only the query at 60 is mistaken, one in three.
    codes = along(-60, 0, 60, 50, 50, 50)
    result = few_shot_accuracy(codes, labels_of(2, 3), 2, 2, queries=1, episodes=400)
    assert result.accuracy == pytest.approx((2 / 3 + 1) / 2, abs=0.05)


def test_the_interval_is_that_of_the_mean_over_episodes():
    # Of two classes one is recognised always, of the other two each half the time: the accuracy
    # of an episode is 0.5 or 1, as in the tiny set without its tie.
    codes = np.array([[1, 0], [1, 0], [0, 1], [0.9, 0.1]])
    result = few_shot_accuracy(codes, labels_of(2, 2), 2, 1, queries=1, episodes=400)
    share = 2 * result.accuracy - 1  # of episodes with accuracy 1
    half = 1.96 * 0.5 * np.sqrt(share * (1 - share) / 399)
    assert 0.4 < share < 0.6
    assert (result.low, result.high) == pytest.approx(
        (result.accuracy - half, result.accuracy + half)
    )


def test_the_interval_shrinks_with_more_episodes():
    codes, labels = noisy_classes(40, 1.5), labels_of(40)
    few, many = (few_shot_accuracy(codes, labels, 5, 1, episodes=n) for n in (50, 800))
    assert 3 < (few.high - few.low) / (many.high - many.low) < 5.5  # about the root of 16


def test_more_shots_help_and_more_ways_hurt():
    codes, labels = noisy_classes(40, 1.5), labels_of(40)
    five_one, five_five, twenty_one, twenty_five = few_shot_table(codes, labels, episodes=100)
    assert five_five.low > five_one.high and twenty_five.low > twenty_one.high
    assert five_one.low > twenty_one.high and five_five.low > twenty_five.high


def test_the_same_seed_gives_the_same_result():
    codes, labels = noisy_classes(30, 2), labels_of(30)
    once, again, other = (
        few_shot_accuracy(codes, labels, 5, 1, episodes=20, seed=seed) for seed in (1, 1, 2)
    )
    assert once == again and once.accuracy != other.accuracy
    assert [(row.ways, row.shots) for row in few_shot_table(codes, labels, episodes=2)] == [
        *SETTINGS
    ]
    assert few_shot_table(codes, labels, 1, 20)[0] == once


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_and_tensors_give_the_same_and_stay_as_they_are(dtype):
    codes, labels = noisy_classes(30, 2).astype(dtype), labels_of(30)
    before = codes.copy(), labels.copy()
    codes.flags.writeable = labels.flags.writeable = False  # as those of a memory map are
    tensors = torch.tensor(before[0], requires_grad=True), torch.tensor(before[1])
    a = few_shot_accuracy(codes, labels, 5, 1, episodes=20)
    assert a == few_shot_accuracy(*tensors, 5, 1, episodes=20)
    for now, then in zip((codes, labels, tensors[0].detach(), tensors[1]), 2 * before, strict=True):
        assert np.array_equal(now, then)


def test_classes_with_too_few_drawings_are_left_out():
    # The small class would be mistaken for class 0 in every episode that it took part in.
    codes = np.concatenate([np.eye(5).repeat(20, 0), np.tile(np.eye(5)[0], (19, 1))])
    labels = np.concatenate([labels_of(5), np.full(19, 5)])
    assert few_shot_accuracy(codes, labels, 5, 5, episodes=40).accuracy == 1
    assert few_shot_accuracy(codes, labels, 5, 4, episodes=40).accuracy < 1
    with pytest.raises(ValueError, match="6 classes with 20 drawings or more, and 5 have them"):
        few_shot_accuracy(codes, labels, 6, 5)


@pytest.mark.parametrize(
    "change, why",
    [
        ({"ways": 11}, "11 classes with 16 drawings or more, and 10 have them"),
        ({"shots": 6}, "5 classes with 21 drawings or more, and 0 have them"),
        ({"ways": 0}, "at least 1"),
        ({"shots": 0}, "at least 1"),
        ({"queries": 0}, "at least 1"),
        ({"episodes": 1}, "at least 2"),
        ({"labels": labels_of(9)}, "200 codes need as many labels"),
        ({"codes": np.where(np.arange(200) == 7, np.nan, 1)[:, None]}, "not finite"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change, why):
    given = {"codes": noise(10), "labels": labels_of(10), "ways": 5, "shots": 1} | change
    with pytest.raises(ValueError, match=why) as error:
        few_shot_accuracy(**given)
    assert "\n" not in str(error.value)


def test_every_published_result_has_every_setting_and_a_source():
    for published in PUBLISHED:
        assert tuple(published.accuracy) == SETTINGS
        assert published.source.partition("arXiv:")[2]
        one, five, twenty_one, twenty_five = published.accuracy.values()
        assert twenty_one < one < five and twenty_one < twenty_five < five < 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        PUBLISHED[0].method = "another"


@needs_omniglot
def test_pixels_of_unseen_characters_are_recognised_fairly_well():
    data = load_unseen("omniglot", REAL)
    pixels = data.images.flatten(1).float()
    easy, hard = (
        few_shot_accuracy(pixels, data.labels, ways, shots, episodes=50)
        for ways, shots in ((5, 5), (20, 1))
    )
    assert 0.85 < easy.accuracy < 0.96 and 0.45 < hard.accuracy < 0.65
