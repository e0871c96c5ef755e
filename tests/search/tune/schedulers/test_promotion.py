"""ASHA that calls paused trials back, and what a resumed search keeps of them."""

from __future__ import annotations

import json

import pytest
from optuna.trial import TrialState

from search.record.schema import COMPLETE, LAST, PAUSE, PROMOTE, PRUNED, REASON_PAUSED
from search.tune.scheduler import call_back_is_due
from search.tune.schedulers import promotion
from tests.search.driver import study_of
from tests.search.toy import ToyTask
from tests.search.tune.schedulers.player import Player, outcomes

TASK = ToyTask(max_epochs=9)


def player(path, scheduler: str, trials: int = 30, workers: int = 1, task=TASK) -> Player:
    return Player(path / "run", task, trials, workers, sampler="random", scheduler=scheduler)


def in_the_best_third(player: Player, trial) -> bool:
    """Whether a trial belongs to the best third of the rung it is at, by a look at all trials."""
    epoch, trials = trial.epochs, player.logbook.state.trials
    here = [t for t in trials if t.group == trial.group and t.epochs >= epoch]
    here.sort(key=lambda t: (t.records[epoch - 1]["value"], t.number))
    return trial in here[: len(here) // 3]


@pytest.mark.parametrize("workers", [1, 3])
def test_promotion_is_successive_halving_as_published(tmp_path, workers, monkeypatch):
    """No trial begins while a paused one should go on; the highest rung goes first. Once all have
    begun and none should go on, the best of a group goes on."""
    search = player(tmp_path, "promotion", trials=30, workers=workers)
    begins, calls = search.logbook.new_trial, search.logbook.call_back
    called = []

    def able() -> list:
        paused = [t for t in search.logbook.state.trials if t.is_paused]
        return [t for t in paused if in_the_best_third(search, t)]

    def begin(tick=None):
        assert able() == []
        return begins(tick)

    def call(trial, tick=None):
        if able() or len(search.logbook.state.trials) < 30:
            assert trial.epochs == max(each.epochs for each in able()) and trial in able()
        else:
            group = [t for t in search.logbook.state.trials if t.group == trial.group]
            assert sum(t.state == COMPLETE for t in group) < promotion.FINISHED
            order = sorted(
                (t for t in group if t.is_paused),
                key=lambda t: (-t.epochs, t.records[-1]["value"]),
            )
            assert trial is order[0]
        called.append(trial.number)
        return calls(trial, tick)

    monkeypatch.setattr(search.logbook, "new_trial", begin)
    monkeypatch.setattr(search.logbook, "call_back", call)
    search.play()
    assert able() == [] and called
    trials = search.logbook.state.trials
    assert {t.epochs for t in trials if t.is_paused} == {1, 3}
    assert all(t.state == PRUNED and t.reason == REASON_PAUSED for t in trials if t.epochs < 9)
    assert {kind for t in trials for kind in t.decisions if kind != "continue"} == {
        PAUSE,
        PROMOTE,
        LAST,
    }
    ended = sum(t.state == COMPLETE for t in trials)
    assert ended and search.trained == sum(t.epochs for t in trials) + len(called)


def test_a_resumed_search_equals_an_uninterrupted_one(tmp_path):
    task = ToyTask(max_epochs=9, trouble=("nan", ""))
    whole = player(tmp_path / "whole", "promotion", task=task).play()
    pieces = player(tmp_path / "pieces", "promotion", task=task)
    due = set()
    while not pieces.play(3).is_done:
        pieces = player(tmp_path / "pieces", "promotion", task=task)
        state = pieces.logbook.state
        if len(state.trials) == 30 and not state.unfinished():
            due.add(call_back_is_due(task, 1, state))
    assert not call_back_is_due(task, 1, pieces.logbook.state) and False not in due
    assert outcomes(pieces.logbook) == outcomes(whole.logbook)
    called = [t for t in whole.logbook.state.trials if PAUSE in t.decisions and t.epochs > 3]
    assert called
    assert pieces.logbook.best(1).id == whole.logbook.best(1).id


def test_few_paused_trials_keep_their_checkpoints_and_the_others_train_again(tmp_path, monkeypatch):
    plain = player(tmp_path / "plain", "promotion", trials=40).play()
    monkeypatch.setattr(promotion, "KEPT", 1)
    tight = player(tmp_path / "tight", "promotion", trials=40)
    for _ in range(60):
        tight.play(1)
        ids = tight.logbook.store.trial_ids() - {t.id for t, _ in tight.running}
        assert len(ids) <= 2 * (2 + 1)  # groups, rungs, and the best of a group
    tight = player(tmp_path / "tight", "promotion", trials=40).play()
    assert outcomes(tight.logbook) == outcomes(plain.logbook)
    assert len(plain.logbook.store.trial_ids()) > 2 * (2 + 1)


class Left:
    """A time budget."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def left(self) -> float:
        return self.seconds


def test_promotion_spends_the_end_of_the_time_on_the_best_of_each_group(tmp_path):
    search = player(tmp_path, "promotion", trials=100)
    search.searcher._budget = budget = Left(1000.0)
    search.play(25)
    begun = len(search.logbook.state.trials)
    needed = search.scheduler.decider.seconds_to_finish([], 1)
    assert needed >= 1.25 * 2 * 6  # at least six epochs of a trial of each group
    budget.seconds = needed - 1
    search.play(int(needed))  # an epoch each, or one that is read from a checkpoint
    assert len(search.logbook.state.trials) == begun
    for group in (1, 2):
        trials = [t for t in search.logbook.state.trials if t.group == group]
        assert COMPLETE in {trial.state for trial in trials}


def test_none_stops_nothing(tmp_path):
    search = player(tmp_path, "none", trials=8).play()
    assert {(t.state, t.epochs) for t in search.logbook.state.trials} == {(COMPLETE, 9)}


@pytest.mark.parametrize("workers", [1, 3])
def test_two_trials_of_each_group_of_a_short_search_are_trained_to_the_end(tmp_path, workers):
    """A third of four trials is one trial, and a third of one is none."""
    search = player(tmp_path, "promotion", trials=8, workers=workers).play()
    ended = [t.group for t in search.logbook.state.trials if t.state == COMPLETE]
    assert sorted(ended) == [1, 1, 2, 2]


def study_states(logbook) -> dict[int, TrialState]:
    return {trial.number: trial.state for trial in study_of(logbook.folder.path).trials}


def test_the_study_closes_paused_trials_at_the_end_and_opens_them_where_a_search_grows(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(promotion, "FINISHED", 1)  # so that one that waits is good enough later
    search = player(tmp_path, "promotion", trials=8).play()
    waiting = {t.number: t.epochs for t in search.logbook.state.trials if t.is_paused}
    states = study_states(search.logbook)
    assert {states[number] for number in waiting} == {TrialState.RUNNING}
    search.logbook.close_study()
    states = study_states(search.logbook)
    assert {states[number] for number in waiting} == {TrialState.PRUNED}
    grown = player(tmp_path, "promotion", trials=40).play()
    grown.logbook.close_study()
    trials = grown.logbook.state.trials
    assert any(trials[number].epochs > epochs for number, epochs in waiting.items())
    assert len(study_states(grown.logbook)) == 40
    for number, state in study_states(grown.logbook).items():
        complete = trials[number].state == COMPLETE
        assert state == (TrialState.COMPLETE if complete else TrialState.PRUNED)


def kept(search: Player, group: int) -> str:
    return json.loads((search.logbook.folder.best / str(group) / "config.json").read_text())[
        "trial"
    ]


def test_best_has_the_weights_of_the_best_trial_while_others_are_called_back(tmp_path):
    search = player(tmp_path, "promotion", trials=40)
    seen = set()
    while not search.play(1).is_done:
        for group in (1, 2):
            best = search.logbook.best(group)
            if best is not None:
                assert kept(search, group) == best.id
                seen.add(best.state)
    assert seen == {COMPLETE, PRUNED}
