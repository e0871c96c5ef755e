"""The replay: real searchers and schedulers, called as Ray calls them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.schedulers import TrialScheduler

from search.simulate.policies.choices import POLICIES
from search.simulate.policies.protocol import Setting
from search.simulate.policies.through_ray import ThroughRay
from search.simulate.recorded import Curves
from search.simulate.regret import log_regret, regrets
from search.simulate.replay import Replay, Replays, simulate
from search.tune.study import STUDY_NAME
from tests.search.simulate.made import EPOCHS, SIZES, made


def searched(curves: Curves, name: str, folder: Path, budget: int = 70, workers: int = 1):
    """A policy, and the search that it made."""
    policy = POLICIES[name].build(Setting(curves, 3, budget, 1, folder))
    return policy, list(simulate(curves, policy, budget, workers))[-1]


class Listener:
    """Searcher and scheduler at once: notes its calls, and stops a trial at its third epoch."""

    def __init__(self, curves: Curves):
        self.curves, self.calls = curves, []

    def suggest(self, trial_id):
        self.calls.append("suggest")
        return self.curves.parameters[0]

    def on_trial_add(self, controller, trial):
        self.calls.append("add")

    def on_trial_result(self, *given):
        if len(given) == 2:
            self.calls.append(f"searcher {given[1]['epoch']}")
            return None
        self.calls.append(f"scheduler {given[2]['epoch']}")
        return TrialScheduler.STOP if given[2]["epoch"] == 3 else TrialScheduler.CONTINUE

    def on_trial_complete(self, *given, result=None):
        self.calls.append("searcher complete" if result else "scheduler complete")


def test_calls_come_in_the_order_of_the_tune_controller():
    listener = Listener(made())
    policy = ThroughRay(listener.curves.metric, listener, listener)
    list(simulate(listener.curves, policy, 3, 1))
    assert listener.calls[:9] == [
        "suggest", "add", "scheduler 1", "searcher 1", "scheduler 2", "searcher 2",
        "scheduler 3", "scheduler complete", "searcher complete",
    ]  # fmt: skip


def test_workers_take_turns(tmp_path):
    curves = made()
    policy = POLICIES["random-unpruned"].build(Setting(curves, 0, 20, 1, tmp_path))
    progress = [[t.epochs for t in r.trials] for r in simulate(curves, policy, 20, 2)]
    assert progress[:3] == [[1, 0], [1, 1], [2, 1]]
    assert progress[-1] == [9, 9, 1, 1]


OWN = [name for name, policy in POLICIES.items() if not policy.needs]  # no extra is installed


@pytest.mark.parametrize(
    ("name", "workers"), [*((n, 1) for n in OWN), ("ours", 3), ("stock", 3), ("stopping", 3)]
)
def test_every_policy_gets_the_same_budget_and_chooses_what_was_recorded(tmp_path, name, workers):
    curves = made()
    _, replays = searched(curves, name, tmp_path / "run", workers=workers)
    assert replays.epochs == 70 == sum(trial.epochs for trial in replays.trials)
    for group in SIZES:
        row = replays.best(group)
        assert curves.groups[row] == group and np.isfinite(curves.finals()[row])
    assert 0 <= log_regret(replays) < np.inf


@pytest.mark.parametrize("name", ["ours", "stock", "hyperband", "i-epoch", "stopping"])
def test_a_seed_gives_the_same_search(name):
    first, again = (regrets(made(), name, 1, (20, 40)) for _ in range(2))
    assert first == again != regrets(made(), name, 2, (20, 40))


@pytest.mark.parametrize("workers", [1, 3])
def test_ours_in_memory_is_ours_with_its_ledger(tmp_path, workers):
    curves = made()
    searches = [
        searched(curves, name, tmp_path / name, 150, workers)[1] for name in ("ours", "ledger")
    ]
    assert searches[0].trials == searches[1].trials


def test_our_study_has_the_true_state_of_every_trial(tmp_path):
    policy, replays = searched(made(), "ledger", tmp_path / "run", budget=120)
    policy.searcher._logbook.close_study()  # a paused trial counts as running until then
    study = optuna.load_study(study_name=STUDY_NAME, storage=policy.searcher._logbook.storage)
    counts = Counter(trial.state for trial in study.trials)
    for trial, replay in zip(study.trials, replays.trials, strict=True):
        assert len(trial.intermediate_values) == np.isfinite(replays.losses(replay)).sum()
        assert (trial.state == TrialState.COMPLETE) == (
            replay.epochs == EPOCHS and np.isfinite(replays.losses(replay)).all()
        )
        assert (trial.state == TrialState.RUNNING) == (not replay.ended)
    assert counts[TrialState.COMPLETE] and counts[TrialState.PRUNED]
    assert counts[TrialState.RUNNING] == 1


def test_stock_takes_pruned_trials_for_complete_ones(tmp_path):
    """Ray's OptunaSearch does so, with the value at which they were stopped."""
    policy, replays = searched(made(), "stock", tmp_path / "run", budget=120)
    pruned = 0
    for trial, replay in zip(policy.searcher._ot_study.trials, replays.trials, strict=True):
        if replay.ended and np.isfinite(replays.losses(replay)).all():
            assert trial.state == TrialState.COMPLETE
            assert trial.value == replays.losses(replay)[-1]
            assert replay.epochs not in trial.intermediate_values
            pruned += replay.epochs < EPOCHS
    assert pruned


def test_the_replay_chooses_what_the_search_chooses(tmp_path):
    policy, replays = searched(made(), "ledger", tmp_path / "run")
    for group in SIZES:
        best = policy.searcher._logbook.best(group)
        assert replays.best(group) == replays.trials[best.number].row


def test_a_diverged_curve_ends_our_trial_and_is_never_chosen(tmp_path):
    curves = made(2)  # one configuration a size; that of the second diverges
    _, replays = searched(curves, "stopping", tmp_path / "run", budget=14)
    assert [t.epochs for t in replays.trials if t.ended] == [9, 5]
    assert replays.best(32) is None and replays.best(1024) == 0


def test_a_complete_trial_is_chosen_before_a_better_one_that_was_stopped():
    curves = made()
    rows = np.flatnonzero(curves.groups == 1024)
    order = rows[curves.finals()[rows].argsort()]
    stopped, whole = Replay(order[0], 8, True), Replay(order[20], 9, True)
    assert Replays(curves, [stopped, whole]).best(1024) == whole.row
    assert Replays(curves, [stopped]).best(1024) == stopped.row
