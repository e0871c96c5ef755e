"""ASHA for a search of several groups: decides after every epoch, and writes nothing.

`GroupedASHA` decides; `LedgerScheduler` is what Ray calls.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from search.record import schema
from search.record.decision import Decision
from search.record.state import SearchState, TrialRecord
from search.task.protocol import Task
from search.tune.attempt import CheckpointPolicy
from search.tune.logbook import Logbook

REDUCTION_FACTOR = 3


def rung_epochs(grace_epochs: int, max_epochs: int) -> list[int]:
    """The epochs of the rungs: grace, 3 grace, 9 grace, ... below the last epoch, after
    which a trial needs no stop."""
    found, epoch = [], grace_epochs
    while epoch < max_epochs:
        found.append(epoch)
        epoch *= REDUCTION_FACTOR
    return found


def checkpoint_policy(task: Task, grace_epochs: int, every_s: float | None) -> CheckpointPolicy:
    """A checkpoint at every epoch after which a trial may be stopped, and at the last."""
    rungs = rung_epochs(grace_epochs, task.max_epochs)
    return CheckpointPolicy(frozenset([*rungs, task.max_epochs]), every_s)


class GroupedASHA:
    """Ray's AsyncHyperBandScheduler once for each group, because groups do not compete.

    Ray's rungs come back empty after a restart (ray#30838). Here the rungs of a resumed search are
    filled from the recorded epochs, by the code that fills them in a running search. A value that
    is not finite never enters a rung. Presets run to the end and never enter a rung either, so
    that they do not decide which sampled trials are stopped.
    """

    def __init__(self, task: Task, grace_epochs: int, state: SearchState | None = None):
        """`state`: the state of the search, if it is resumed."""
        self._task = task
        self._rungs = set(rung_epochs(grace_epochs, task.max_epochs))
        self._asha = {
            group: AsyncHyperBandScheduler(
                time_attr="epoch",
                metric=task.metric,
                mode=task.mode,
                max_t=task.max_epochs,
                grace_period=grace_epochs,
                reduction_factor=REDUCTION_FACTOR,
            )
            for group in task.space().groups
        }
        for trial in state.trials if state else ():
            self.open(trial)
            for record in trial.records:
                if self._outcome(record) is None:
                    self._rank(trial, record)

    def open(self, trial: TrialRecord) -> None:
        """Expect a trial; `decide` may be asked about it from now on."""
        self._asha[trial.group].on_trial_add(None, SimpleNamespace(trial_id=trial.id))

    def decide(self, trial: TrialRecord, record: dict) -> Decision:
        """The decision after an epoch of `trial` that is not recorded yet.

        The time limit holds for presets and control trials too."""
        outcome = self._outcome(record)
        if outcome is not None:
            return outcome
        decision = self._rank(trial, record)
        seconds = sum(each["seconds"] for each in [*trial.records, record])
        limit = self._task.seconds_per_trial
        if decision.state == schema.RUNNING and limit and seconds > limit:
            detail = f"it took {seconds:.0f} s of the {limit:g} that a trial may take"
            return Decision(schema.TIME_LIMIT, detail)
        return decision

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
        if trial.is_preset or was_spared or epoch not in self._rungs:
            return Decision(schema.CONTINUE)
        stand_in = SimpleNamespace(trial_id=trial.id)
        answer = self._asha[trial.group].on_trial_result(None, stand_in, record)
        if answer != TrialScheduler.STOP:
            return Decision(schema.PROMOTE)
        if trial.control:
            return Decision(schema.SPARE)
        return Decision(schema.STOP, "others did better at the same epoch")


class LedgerScheduler(FIFOScheduler):
    """The scheduler that Ray calls: records each epoch with its decision before Ray acts on it."""

    def __init__(self, logbook: Logbook, grace_epochs: int):
        super().__init__()
        self._logbook = logbook
        self._told_plain = False
        self.asha = GroupedASHA(logbook.task, grace_epochs, logbook.state)

    def on_trial_add(self, tune_controller, trial) -> None:
        self.asha.open(self._logbook.state.trials[trial.config["number"]])

    def on_trial_result(self, tune_controller, trial, result: dict) -> str:
        """Decide, record, answer. A restarted trial repeats its last epoch, which is known."""
        known = self._logbook.state.trials[trial.config["number"]]
        if result["epoch"] <= known.epochs:
            return TrialScheduler.CONTINUE
        names = ("epoch", *self._logbook.task.metrics, "seconds")
        record = {name: result[name] for name in names}
        decision = self.asha.decide(known, record)
        plain = result.get("plain_because")
        self._logbook.record_epoch(known, record, decision, result.get("saved_epoch"), plain)
        if plain and not self._told_plain:
            self._told_plain = True
            print(f"training steps are not recorded as CUDA graphs, so they are slow: {plain}")
        running = decision.state == schema.RUNNING
        return TrialScheduler.CONTINUE if running else TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller) -> Trial | None:
        """The waiting trial of the lowest number. Ray's own method looks through all trials that
        ever were, at every step."""
        live = tune_controller.get_live_trials()
        waiting = (trial for trial in live if trial.status == Trial.PENDING)
        return min(waiting, key=lambda trial: trial.config["number"], default=None)

    @property
    def metric(self) -> str:
        return self._logbook.task.metric

    def set_search_properties(self, metric, mode, **spec) -> bool:
        return True

    def on_trial_complete(self, tune_controller, trial, result: dict) -> None:
        """Nothing to do: the decision that ended the trial is recorded with its epoch."""

    def on_trial_remove(self, tune_controller, trial) -> None:
        """Nothing to do: the time budget ended before the trial began."""
