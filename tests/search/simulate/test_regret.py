"""Regret, its interval, and ours against random search."""

from __future__ import annotations

import numpy as np
import pytest

from search.simulate.recorded import (
    PROJECT_CURVES,
    Curves,
    load_curves,
)
from search.simulate.regret import compare, estimate, log_regret, regrets
from search.simulate.replay import Replay, Replays
from tests.search.simulate.made import EPOCHS, made


def test_regret_is_the_geometric_mean_of_ratios_over_code_sizes():
    curves = made(40)
    finals = np.where(curves.groups == 1024, 1.0, 10.0)
    finals[[0, 1]] = 0.5, 2.5  # the best of each size
    values = np.repeat(finals[:, None], EPOCHS, axis=1)
    curves = Curves(curves.space, curves.parameters, values, curves.points, curves.groups)
    assert log_regret(Replays(curves, [Replay(0, 9, True), Replay(1, 9, True)])) == 0
    found = log_regret(Replays(curves, [Replay(0, 9, True), Replay(3, 9, True)]))
    assert np.exp(found) == pytest.approx(np.sqrt(1 * 4))
    # Nothing can be chosen, so the median counts. A running trial is not chosen.
    found = log_regret(Replays(curves, [Replay(0, 4, False)]))
    assert np.exp(found) == pytest.approx(np.sqrt(2 * 4))


def test_the_interval_holds_the_median_and_narrows_with_seeds():
    logs = np.random.default_rng(0).normal(0.1, 0.05, 400)
    few, many = estimate(logs[:30]), estimate(logs)
    assert few == estimate(logs[:30])
    assert many.low < many.median < many.high
    assert many.high - many.low < few.high - few.low
    assert many.low < 100 * np.expm1(0.1) < many.high


def test_on_recorded_curves_ours_is_not_worse_than_random():
    """The interval of the difference, seed by seed, holds 0 or favours ours."""
    curves = load_curves(PROJECT_CURVES)
    at = (120,)
    logs = {
        name: np.ravel([regrets(curves, name, seed, at) for seed in range(6)])
        for name in ("ours", "random", "random-unpruned")
    }
    for control in ("random", "random-unpruned"):
        assert estimate(logs["ours"] - logs[control]).low <= 0, control


def test_a_policy_that_plans_for_its_budget_makes_a_search_of_each():
    curves, at = made(), (40, 80)
    both = regrets(curves, "i-epoch", 0, at)
    assert both == [regrets(curves, "i-epoch", 0, (each,))[0] for each in at]
    found = compare(curves, ["ours", "i-epoch"], 2, at, 1, 1)
    assert found["log_regrets"]["i-epoch"][0] == both
    assert 0 < found["used_percent"]["ours"] <= 100
