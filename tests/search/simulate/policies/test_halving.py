"""Schedulers that call stopped trials back."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from search.simulate.policies.choices import RANDOM
from search.simulate.policies.halving import Ending, Promoting, halved, one_stop
from search.simulate.policies.own import Learning, Own
from search.simulate.policies.protocol import Setting
from search.simulate.replay import Replays, simulate
from tests.search.simulate.made import SIZES, made


def searched(tmp_path, scheduler, budget: int, learning: Learning = RANDOM) -> list[list[int]]:
    """The epochs of every trial, after every epoch of the search, and the search."""
    setting = Setting(made(), 0, budget, 1, tmp_path)
    policy = Own(setting, scheduler(setting), learning)
    replays = Replays(setting.curves)
    course = []
    for replays in simulate(setting.curves, policy, budget, 1):
        course.append([trial.epochs for trial in replays.trials])
    return course, replays


def test_halving_spends_its_budget_on_a_third_of_each_stage(tmp_path):
    course, replays = searched(tmp_path, halved, 120)
    for group in SIZES:
        epochs = [t.epochs for t in replays.trials if replays.curves.groups[t.row] == group]
        # 26 trials, 8 of them to epoch 3, 2 of those to the end: 26 + 16 + 12 = 54 of 60 epochs
        assert sum(e >= 1 for e in epochs) == 26
        assert sum(e >= 3 for e in epochs) >= 8 and sum(e == 9 for e in epochs) >= 2
    assert max(course[51]) == 1 and sum(course[51]) == 52  # the first stage ends before the second


def test_one_epoch_for_all_and_the_rest_for_the_best_two(tmp_path):
    _, replays = searched(tmp_path, lambda setting: one_stop(setting, 1), 80)
    curves = replays.curves
    for group in SIZES:
        trials = [t for t in replays.trials if curves.groups[t.row] == group]
        assert Counter(t.epochs for t in trials) == {1: 22, 9: 2}
        order = sorted(trials, key=lambda t: curves.losses[t.row, 0])
        assert [t.epochs for t in order[:2]] == [9, 9]


@pytest.mark.parametrize("learning", [RANDOM, Learning()])
def test_a_trial_is_called_back_once_it_is_in_the_best_third(tmp_path, learning):
    course, replays = searched(tmp_path, Promoting, 150, learning)
    late = 0
    for before, after in zip(course, course[1:], strict=False):
        for number in np.flatnonzero(np.array(after[: len(before)]) > before):
            late += number < len(before) - 1
    assert late > 0  # trials go on after newer ones began
    for epochs, after in zip(course, course[1:], strict=False):
        if len(after) > len(epochs) > 1:  # a new trial began, so no stopped trial should go on
            _assert_the_best_third_went_on(replays, epochs[:-1])


def _assert_the_best_third_went_on(replays: Replays, epochs: list[int]) -> None:
    curves, trials = replays.curves, replays.trials
    for rung, group in product((1, 3), SIZES):
        here = [
            (curves.losses[trials[n].row, rung - 1], n)
            for n, epoch in enumerate(epochs)
            if epoch >= rung and curves.groups[trials[n].row] == group
        ]
        assert all(epochs[n] > rung for _, n in sorted(here)[: len(here) // 3])


def test_at_the_end_of_the_budget_the_best_go_on_and_no_trial_begins(tmp_path):
    course, replays = searched(tmp_path, Ending, 100)
    reserve = 2 * (9 - 1)
    begun = [len(epochs) for epochs in course]
    assert begun[-1] == begun[-reserve] and begun[-reserve] > begun[-3 * reserve]
    for group in SIZES:
        of_group = [t for t in replays.trials if replays.curves.groups[t.row] == group]
        assert any(trial.epochs == 9 for trial in of_group)
