"""The search itself, on trials that take no time: states, failures, resume, growth."""

from __future__ import annotations

import time

import pytest
from optuna.trial import TrialState

from search.record.schema import PAUSE, SAMPLED
from tests.search.driver import study_of
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook, run_toy, rungs

pytestmark = pytest.mark.usefixtures("cluster")


def test_presets_come_first_and_run_to_the_end_though_they_are_the_worst(tmp_path):
    task = ToyTask(trouble=("", "", ""))  # x = 1: worse than nearly every sampled trial
    logbook = run_toy(tmp_path / "run", task, num_samples=20)
    trials = logbook.state.trials
    assert [trial.origin for trial in trials[:3]] == ["preset-0", "preset-1", "preset-2"]
    assert {trial.state for trial in trials[:3]} == {"complete"}
    assert {trial.origin for trial in trials[3:]} == {SAMPLED}
    assert "pruned" in {trial.state for trial in trials[3:]}


def test_fewer_samples_than_presets_runs_the_first_ones(tmp_path):
    logbook = run_toy(tmp_path / "run", ToyTask(trouble=("", "", "")), num_samples=2)
    assert [trial.origin for trial in logbook.state.trials] == ["preset-0", "preset-1"]


def test_groups_take_turns_and_each_gets_a_best_trial(tmp_path):
    logbook = run_toy(tmp_path / "run", ToyTask(), num_samples=8)
    assert [trial.group for trial in logbook.state.trials] == [1, 2] * 4
    assert logbook.best(1).group == 1 and logbook.best(2).group == 2


def test_a_trial_that_diverges_never_enters_a_rung_and_fails_in_the_study(tmp_path):
    logbook = run_toy(tmp_path / "run", ToyTask(trouble=("nan",)), num_samples=8)
    diverged = logbook.state.trials[0]
    assert diverged.state == "diverged" and diverged.epochs == 2
    assert study_of(logbook.folder.path).trials[0].state == TrialState.FAIL
    held = [key for group in rungs(logbook).values() for _, rung in group for key in rung]
    assert diverged.id not in held and held


def test_a_trial_that_raises_or_dies_is_retried_then_an_error_with_its_reason(tmp_path):
    task = ToyTask(trouble=("raise", "kill"), marks=str(tmp_path))
    logbook = run_toy(tmp_path / "run", task, num_samples=6, max_failures=2)
    for failed, reason in zip(logbook.state.trials, ("exception", "worker died"), strict=False):
        assert (failed.state, failed.failures, failed.epochs) == ("error", 3, 1)
        assert failed.reason == reason and failed.detail
        text = (logbook.folder.errors / f"{failed.id}.txt").read_text()
        assert text.count(" after epoch 1\n") == 3
        assert study_of(logbook.folder.path).trials[failed.number].state == TrialState.FAIL
    assert logbook.state.counts()["running"] == 0 and len(logbook.state.trials) == 6


@pytest.mark.parametrize("trouble", ["raise-once", "kill-once"])
def test_a_trial_that_fails_once_goes_on_from_its_checkpoint(tmp_path, trouble):
    task = ToyTask(trouble=(trouble,), marks=str(tmp_path))
    logbook = run_toy(tmp_path / "run", task, num_samples=3)
    trial = logbook.state.trials[0]
    assert (trial.state, trial.failures) == ("complete", 1)
    assert [record["epoch"] for record in trial.records] == [1, 2, 3, 4]


def test_a_stuck_trial_is_killed_and_its_worker_replaced(tmp_path):
    task = ToyTask(trouble=("stuck-once", "stuck"), marks=str(tmp_path))
    start = time.monotonic()
    logbook = run_toy(tmp_path / "run", task, num_samples=6, trial_timeout_s=4.0, max_failures=1)
    assert time.monotonic() - start < 120
    states = [trial.state for trial in logbook.state.trials]
    assert states[:2] == ["complete", "error"] and "running" not in states
    assert logbook.state.trials[1].reason == "no progress"


def test_the_study_holds_every_epoch_and_the_true_state_of_every_trial(tmp_path):
    logbook = run_toy(tmp_path / "run", ToyTask(trouble=("nan",)), num_samples=15)
    names = {
        "complete": TrialState.COMPLETE,
        "pruned": TrialState.PRUNED,
        "diverged": TrialState.FAIL,
    }
    frozen = study_of(logbook.folder.path).trials
    assert len(frozen) == 15
    for trial, mirrored in zip(logbook.state.trials, frozen, strict=True):
        assert mirrored.state == names[trial.state]
        finite = {r["epoch"]: r["value"] for r in trial.records if r["value"] == r["value"]}
        assert mirrored.intermediate_values == finite
        if trial.state == "complete":
            assert mirrored.value == min(finite.values())
        assert mirrored.params["x"] == trial.parameters["x"]


def test_a_finished_search_grows_and_remembers(tmp_path):
    grown = run_toy(tmp_path / "grown", ToyTask(), num_samples=6, max_concurrent=1)
    before = rungs(grown)
    again = open_logbook(tmp_path / "grown", ToyTask())
    assert rungs(again) == before
    grown = run_toy(tmp_path / "grown", ToyTask(), num_samples=14, max_concurrent=1)
    whole = run_toy(tmp_path / "whole", ToyTask(), num_samples=14, max_concurrent=1)
    assert outcome(grown) == outcome(whole)


def outcome(logbook):
    """Everything about the trials but times."""
    return [
        (
            t.number,
            t.origin,
            t.group,
            t.parameters,
            t.state,
            [{k: v for k, v in r.items() if k != "seconds"} for r in t.records],
        )
        for t in logbook.state.trials
    ]


def test_only_the_best_weights_and_no_checkpoints_are_left(tmp_path):
    logbook = run_toy(tmp_path / "run", ToyTask(trouble=("",)), num_samples=12)
    assert logbook.folder.checkpoints.names() == []
    kept = {path.name for path in logbook.folder.best.iterdir()}
    assert kept == {"1", "2", "preset-0"}


def test_trials_share_the_workers_that_run_at_a_time(tmp_path):
    (tmp_path / "marks").mkdir()
    task = ToyTask(max_epochs=1, checkpoints=False, marks=str(tmp_path / "marks"))
    run_toy(tmp_path / "run", task, num_samples=20, max_concurrent=2)
    assert 1 <= len(list((tmp_path / "marks").iterdir())) <= 2  # a new one takes seconds to start


def test_a_clock_that_is_set_forward_does_not_end_a_search(tmp_path, monkeypatch):
    now, begin = time.time, time.monotonic()
    forward = lambda: now() + (1e5 if time.monotonic() > begin + 0.5 else 0.0)  # noqa: E731
    monkeypatch.setattr(time, "time", forward)
    logbook = run_toy(tmp_path / "run", ToyTask(), num_samples=40, time_budget_s=1000.0)
    assert len(logbook.state.trials) == 40 and not logbook.state.unfinished()


def test_a_trial_that_takes_longer_than_it_may_is_stopped_and_says_why(tmp_path):
    task = ToyTask(trouble=("", ""), seconds_per_trial=1e-9)
    logbook = run_toy(tmp_path / "run", task, num_samples=3)
    for trial in logbook.state.trials:  # presets too
        assert (trial.state, trial.epochs) == ("pruned", 1)
        assert trial.reason == "time limit" and "that a trial may take" in trial.detail
    assert logbook.best(1) is not None


def test_asha_s_reason_is_recorded_too(tmp_path):
    logbook = run_toy(tmp_path / "run", ToyTask(), num_samples=12)
    reasons = {trial.reason for trial in logbook.state.trials if trial.state == "pruned"}
    assert reasons == {"scheduler"}
    assert {trial.reason for trial in logbook.state.trials if trial.state == "complete"} == {""}


def test_a_control_trial_runs_to_the_end_and_says_when_it_would_have_been_stopped(tmp_path):
    logbook = run_toy(tmp_path / "run", ToyTask(), num_samples=16, control_every=2)
    controls = [trial for trial in logbook.state.trials if trial.control]
    assert [trial.number for trial in controls] == [2, 3, 6, 7, 10, 11, 14, 15]
    assert {trial.state for trial in controls} == {"complete"}
    spared = [trial for trial in controls if trial.spared_at]
    assert spared and all(1 <= trial.spared_at < ToyTask().max_epochs for trial in spared)
    held = [(key, epoch) for g in rungs(logbook).values() for epoch, rung in g for key in rung]
    last = {trial.id: trial.spared_at for trial in spared}
    assert all(epoch <= last.get(key, epoch) for key, epoch in held)
    assert all(t.spared_at is None for t in logbook.state.trials if not t.control)


def test_paused_trials_go_on_from_their_checkpoints_on_any_worker(tmp_path):
    task = ToyTask(max_epochs=9, trouble=("", "raise-once"), marks=str(tmp_path))
    logbook = run_toy(tmp_path / "run", task, num_samples=24, scheduler="promotion")
    trials = logbook.state.trials
    assert len(trials) == 24 and not logbook.state.unfinished()
    called = [t for t in trials if PAUSE in t.decisions[:-1]]
    assert called and all(
        [record["epoch"] for record in t.records] == [*range(1, t.epochs + 1)] for t in called
    )
    waiting = {t.id for t in trials if t.is_paused}
    assert logbook.store.trial_ids() == waiting and waiting
    assert {t.state for t in trials} == {"complete", "pruned"}


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["asha", "promotion"])
def test_a_reproducible_search_is_the_same_with_one_two_and_four_workers(tmp_path, scheduler):
    """Trials differ in speed, one raises for good, one diverges, one loses its worker."""
    tables = []
    for workers in (1, 2, 4):
        marks = tmp_path / f"marks {workers}"
        marks.mkdir()
        task = ToyTask(
            max_epochs=9, trouble=("nan", "raise", "kill-once"), marks=str(marks), pause_s=0.05
        )
        settings = {"scheduler": scheduler, "reproducible": 4, "max_failures": 1}
        limits = {"max_concurrent": workers, "cpus_per_trial": 0.5}
        logbook = run_toy(tmp_path / f"run {workers}", task, 14, **settings, **limits)
        tables.append(repr([(t.reason, t.decisions) for t in logbook.state.trials]))
        tables[-1] += repr(outcome(logbook))
    assert tables[0] == tables[1] == tables[2]
