"""The base of all schedulers: rungs, and the decisions that need no comparison. `Unstopped` is the
scheduler that stops nothing."""

from __future__ import annotations

import math

from search.record import schema
from search.record.decision import Decision
from search.record.state import SearchState, TrialRecord
from search.task.protocol import Task

REDUCTION_FACTOR = 3


def rung_epochs(grace_epochs: int, max_epochs: int) -> list[int]:
    """The epochs of the rungs: grace, 3 grace, 9 grace, ... below the last epoch, after
    which a trial needs no stop."""
    found, epoch = [], grace_epochs
    while epoch < max_epochs:
        found.append(epoch)
        epoch *= REDUCTION_FACTOR
    return found


class Decider:
    """Decides after every epoch, and writes nothing. A value that is not finite never enters a
    rung. Presets run to the end and never enter a rung either, so that they do not decide which
    sampled trials are stopped.

    The rungs of a resumed search are filled from the recorded epochs (`_fill`)."""

    calls_back = False  # whether a paused trial may go on later

    def __init__(self, task: Task, grace_epochs: int):
        self._task = task
        self.rungs = self.rungs_of(grace_epochs, task.max_epochs)

    @staticmethod
    def rungs_of(grace_epochs: int, max_epochs: int) -> list[int]:
        """The epochs after which a trial may be stopped for its rank."""
        return rung_epochs(grace_epochs, max_epochs)

    def open(self, trial: TrialRecord) -> None:
        """Expect a trial; `decide` may be asked about it from now on."""

    def decide(self, trial: TrialRecord, record: dict) -> Decision:
        """The decision after an epoch of `trial` that is not recorded yet.

        The time limit holds for presets and control trials too."""
        outcome = self._outcome(record)
        if outcome is not None:
            return outcome
        decision = self._rank(trial, record)
        may_go_on = decision.state == schema.RUNNING or decision.kind == schema.PAUSE
        seconds = sum(each["seconds"] for each in [*trial.records, record])
        limit = self._task.seconds_per_trial
        if may_go_on and limit and seconds > limit:
            detail = f"it took {seconds:.0f} s of the {limit:g} that a trial may take"
            return Decision(schema.TIME_LIMIT, detail)
        return decision

    def waits(self, trial: TrialRecord) -> None:
        """Note that a trial is paused. The ledger has it already."""

    def next_waiting(
        self, more: bool, running: list[TrialRecord], ends: bool = False
    ) -> TrialRecord | None:
        """The paused trial that goes on now; None if there is none.

        more: whether new trials may begin. ends: whether they do not because the time budget is
        nearly spent."""
        return None

    def called_back(self, trial: TrialRecord) -> None:
        """Note that a paused trial goes on. The ledger gets it next."""

    def take_surplus(self) -> list[TrialRecord]:
        """Paused trials whose checkpoints need no longer be kept. Each is returned once."""
        return []

    def seconds_to_finish(self, running: list[TrialRecord], workers: int) -> float:
        """The seconds that must be left of the time budget when the last new trial begins."""
        return 0.0

    def _fill(self, state: SearchState | None) -> None:
        for trial in state.trials if state else ():
            self.open(trial)
            for record in trial.records:
                if self._outcome(record) is None:
                    self._rank(trial, record)

    def _outcome(self, record: dict) -> Decision | None:
        """The decision if it needs no comparison: the trial diverged, or the epoch is the last."""
        if not all(math.isfinite(record[name]) for name in ("train_loss", self._task.metric)):
            detail = f"its train_loss or its {self._task.metric} is not a finite number"
            return Decision(schema.NOT_FINITE, detail)
        return Decision(schema.LAST) if record["epoch"] >= self._task.max_epochs else None

    def _rank(self, trial: TrialRecord, record: dict) -> Decision:
        """Compare a trial with its rivals, if the epoch is a rung; this fills the rung."""
        epoch = record["epoch"]
        # A spared control trial stays out of later rungs, as if it had been stopped.
        was_spared = trial.spared_at is not None and epoch > trial.spared_at
        if trial.is_preset or was_spared or epoch not in self.rungs:
            return Decision(schema.CONTINUE)
        return self._compare(trial, record)

    def _compare(self, trial: TrialRecord, record: dict) -> Decision:
        raise NotImplementedError


class Unstopped(Decider):
    """Every trial runs to its end."""

    def __init__(self, task: Task, grace_epochs: int, state: SearchState | None = None):
        super().__init__(task, grace_epochs)

    @staticmethod
    def rungs_of(grace_epochs: int, max_epochs: int) -> list[int]:
        return []
