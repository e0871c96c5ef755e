"""Whole searches: all three search the same, and end as they should."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest

from search.benchmark import whole
from search.benchmark.rivals import patterns


def test_ray_s_space_is_ours():
    space = patterns.TaskWithoutPresets((32,), 2, "quick").space()
    domains = patterns.ray_space(space)
    assert domains.keys() == space.distributions.keys()
    np.random.seed(0)
    for name, distribution in space.distributions.items():
        drawn = [domains[name].sample() for _ in range(200)]
        low = [distribution.to_internal_repr(value) for value in drawn]
        assert all(distribution._contains(value) for value in low), name
        assert len(set(drawn)) > 1


def test_optuna_s_space_is_ours():
    space = patterns.TaskWithoutPresets((32,), 2, "quick").space()
    trial = optuna.create_study().ask()
    for name, distribution in space.distributions.items():
        patterns._suggest(trial, name, distribution)
    assert trial.distributions == space.distributions


def test_the_goal_counts_from_when_it_was_reached_first():
    course = patterns.Course(4, 9.0, [(1.0, 0.5), (3.0, 0.01), (2.0, 0.02), (4.0, 0.001)])
    assert course.goal_s() == 2.0 and patterns.Course(0).goal_s() is None


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_all_three_searches_train_the_same_trials(images):
    size = patterns.Size(3, 2, images, "cpu")
    found = whole.measure(size, repetitions=1)
    assert list(found["searches"]) == ["ours", "Ray's pattern", "Optuna's pattern"]
    for each in found["searches"].values():
        assert each["trials_ended"]["median"] == 3
        assert 3 <= each["epochs"]["median"] <= 6 and 0 < each["best_mse"]["median"] < 1
    assert set(found["ours / other"]) == {"Ray's pattern", "Optuna's pattern"}
    assert (found["trials"], found["max_epochs"], found["images"]) == (3, 2, 60)
    assert whole.as_text(json.loads(json.dumps(found)))


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_s_pattern_is_cut_when_it_has_had_its_time(images, tmp_path):
    size = patterns.Size(40, 1, images, "cpu")
    course = patterns.ray_pattern(size, tmp_path, patience=0.1)
    fewest = patterns.FEWEST_TRIALS
    assert fewest <= course.trials < 20  # not those that the cut ended
    assert 0.1 < course.seconds and course.trials_per_hour > 0
    assert len(course.values) >= course.trials
