"""The scheduler decides, and a resumed scheduler decides the same."""

from __future__ import annotations

import copy
import shutil
from types import SimpleNamespace

import pytest

from search.record.schema import (
    CONTINUE,
    LAST,
    NOT_FINITE,
    PROMOTE,
    RUNNING,
    SPARE,
    STOP,
    TIME_LIMIT,
)
from search.record.state import TrialRecord
from search.tune.scheduler import LedgerScheduler
from search.tune.schedulers.asha import GroupedASHA
from search.tune.schedulers.deciding import rung_epochs
from tests.search.record.test_state import BEFORE_DECISIONS
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook, rungs_of

TASK = ToyTask(max_epochs=9, checkpoints=False)


def record(epoch: int, value: float, seconds: float = 0.0) -> dict:
    return {"epoch": epoch, "train_loss": value, "value": value, "seconds": seconds}


def trial(number: int, **more) -> TrialRecord:
    return TrialRecord(number, more.pop("origin", "sampled"), 1, {}, **more)


def scheduler_with_rung(task=TASK, *values: float) -> GroupedASHA:
    """A scheduler whose first rung holds these values."""
    asha = GroupedASHA(task, grace_epochs=1)
    for number, value in enumerate(values):
        asha.open(trial(100 + number))
        asha.decide(trial(100 + number), record(1, value))
    return asha


@pytest.mark.parametrize(
    ("tried", "epoch", "value", "kind"),
    [
        (trial(0), 1, 0.5, PROMOTE),
        (trial(0), 1, 2.5, STOP),
        (trial(0), 2, 2.5, CONTINUE),  # no rung at this epoch
        (trial(0, origin="preset-0"), 1, 2.5, CONTINUE),
        (trial(0, control=True), 1, 2.5, SPARE),
        (trial(0, control=True, spared_at=1), 3, 9.0, CONTINUE),  # out of the rungs
        (trial(0), 9, 2.5, LAST),
        (trial(0), 1, float("nan"), NOT_FINITE),
        (trial(0), 9, float("inf"), NOT_FINITE),
    ],
)
def test_each_decision(tried, epoch, value, kind):
    asha = scheduler_with_rung(TASK, 1.0, 2.0, 3.0)
    asha.open(tried)
    before = copy.deepcopy(tried)
    assert asha.decide(tried, record(epoch, value)).kind == kind
    assert tried == before  # it decides and changes nothing


@pytest.mark.parametrize("more", [{}, {"origin": "preset-0"}, {"control": True}])
def test_the_time_limit_holds_for_every_trial(more):
    task = ToyTask(max_epochs=9, seconds_per_trial=10.0)
    asha, slow = scheduler_with_rung(task, 1.0), trial(0, **more)
    asha.open(slow)
    assert asha.decide(slow, record(1, 0.5, seconds=11.0)).kind == TIME_LIMIT


@pytest.mark.parametrize("grace", [1, 2, 3, 9, 80, 81])
def test_rungs_are_at_the_epochs_of_ray_s_rungs(grace):
    asha = GroupedASHA(ToyTask(max_epochs=81), grace)._asha[1]._brackets[0]
    assert rung_epochs(grace, 81) == sorted(epoch for epoch, _ in asha._rungs if epoch < 81)


class Player:
    """Plays a search of TASK without Ray, three trials at a time."""

    def __init__(self, logbook):
        self.logbook, self.scheduler = logbook, LedgerScheduler(logbook, 1)
        self.running = []
        for unfinished in logbook.state.unfinished():
            self._begin(unfinished)

    def _begin(self, known) -> None:
        stand_in = SimpleNamespace(config={"number": known.number}, trial_id=known.id)
        self.scheduler.on_trial_add(None, stand_in)
        self.running.append((known, stand_in))

    def step(self, trials: int) -> None:
        """Begin a trial, or train an epoch of the running trial of the lowest number."""
        if len(self.running) < 3 and len(self.logbook.state.trials) < trials:
            self._begin(self.logbook.new_trial())
            return
        known, stand_in = self.running.pop(0)
        value = (known.parameters["x"] - 0.3) ** 2 + 1 / (known.epochs + 1)
        if known.parameters["trouble"] == "nan" and known.epochs == 2:
            value = float("nan")
        self.scheduler.on_trial_result(None, stand_in, record(known.epochs + 1, value))
        if known.state == RUNNING:
            self.running.insert(0, (known, stand_in))

    @property
    def is_done(self) -> bool:
        return not self.running


def outcomes(logbook) -> list:
    trials = logbook.state.trials
    # As text: a value that is not a number does not equal itself.
    return [(t.id, t.state, t.decisions, repr(t.records), t.spared_at) for t in trials]


def test_a_resumed_scheduler_equals_one_that_was_never_interrupted(tmp_path):
    """Resumed after each event, and compared rung for rung and decision for decision."""
    task = ToyTask(max_epochs=9, trouble=("nan", ""), checkpoints=False)
    whole = Player(open_logbook(tmp_path / "whole", task, control_every=2))
    broken = Player(open_logbook(tmp_path / "broken", task, control_every=2))
    for count in range(1000):
        whole.step(trials=14)
        broken.step(trials=14)
        assert rungs_of(broken.scheduler) == rungs_of(whole.scheduler)
        if len(whole.logbook.state.trials) == 14 and whole.is_done:
            break
        if count % 3 == 0:
            broken = Player(open_logbook(tmp_path / "broken", task))
    assert outcomes(broken.logbook) == outcomes(whole.logbook)
    decisions = {kind for each in whole.logbook.state.trials for kind in each.decisions}
    assert decisions == {CONTINUE, PROMOTE, STOP, SPARE, LAST, NOT_FINITE}


def test_a_search_from_before_decisions_were_recorded_goes_on(tmp_path):
    """The rungs hold what they held when that version wrote the ledger."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(BEFORE_DECISIONS, folder / "ledger.log")
    task = ToyTask(max_epochs=9, trouble=("", "nan"), checkpoints=False, seconds_per_trial=60.0)
    player = Player(open_logbook(folder, task))
    first = {size: dict(rungs_of(player.scheduler)[size])[1] for size in (1, 2)}
    assert {key: value for key, value in first[1].items()} == {
        "trial_00002": -1.0693,
        "trial_00004": -1.0298,
        "trial_00006": -1.0523,
        "trial_00008": -1.1324,
        "trial_00010": -1.2741,
        "trial_00012": -1.0394,
        "trial_00014": -1.0141,
    }
    assert len(first[2]) == 6 and first[2]["trial_00011"] == -1.1999
    while not player.is_done:
        player.step(trials=20)
    again = open_logbook(folder, task)
    assert again.state.counts()["running"] == 0 and len(again.state.trials) == 20
    assert outcomes(again) == outcomes(player.logbook)
