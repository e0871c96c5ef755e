"""Each part of the project's search can be taken away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search.simulate.policies.halving import Promoting
from search.simulate.policies.own import Learning, Own
from search.simulate.policies.protocol import Setting
from search.simulate.replay import simulate
from tests.search.simulate.made import made


def searched(tmp_path, workers: int = 1, rungs_of_all: bool = False, **learning):
    """The trials of a search, and the ranks that its suggestions learn from. The curves cross, so
    that a stopped trial may have a lower loss than a complete one."""
    curves = made()
    crossing = curves.values + np.random.default_rng(0).normal(0.2, 0.05, curves.values.shape)
    setting = Setting(replace(curves, values=crossing), 0, 120, 1, tmp_path)
    policy = Own(setting, Promoting(setting, rungs_of_all), Learning(**learning))
    replays = list(simulate(setting.curves, policy, 120, workers))[-1]
    (family,) = {id(each): each for each in policy._suggester._families.values()}.values()
    return replays.trials, [trial.value for trial in family.shown()]


@pytest.mark.parametrize("change", ["ranks_of_all", "stopped_as_complete"])
def test_each_change_of_what_is_learned_changes_the_ranks(tmp_path, change):
    plain, changed = searched(tmp_path)[1], searched(tmp_path, **{change: True})[1]
    assert plain != changed


def test_without_the_liar_running_trials_are_not_shown(tmp_path):
    trials, ranks = searched(tmp_path, workers=3, liar=False)
    assert len(ranks) == sum(trial.ended for trial in trials)
    trials, ranks = searched(tmp_path, workers=3)
    assert len(ranks) == len(trials) and ranks.count(1.0) == 3


def test_one_set_of_rungs_pauses_other_trials(tmp_path):
    assert searched(tmp_path)[0] != searched(tmp_path, rungs_of_all=True)[0]
