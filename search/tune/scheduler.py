"""ASHA with a set of rungs for each group, rungs that survive a restart, and presets let through.

Composed of Ray's own AsyncHyperBandScheduler, one for each group.
"""

from __future__ import annotations

from types import SimpleNamespace

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from search.record.state import RUNNING, TrialRecord
from search.tune.logbook import Decision, Logbook


class GroupedASHA(FIFOScheduler):
    """Decides after every epoch, and records epoch and decision in one event before either is
    acted on: a decision is never made twice, and never lost.

    Stock ASHA's rungs come back empty after a restart (ray#30838). Here they are filled from the
    recorded epochs, by the code that filled them first. A value that is not finite is `diverged`
    and never enters a rung; presets run to the end and are kept out of the rungs, so that what
    the report chose does not decide what is stopped.
    """

    def __init__(self, logbook: Logbook, grace_epochs: int, reduction_factor: int):
        super().__init__()
        self._logbook = logbook
        self._asha = {
            group: AsyncHyperBandScheduler(
                time_attr="epoch",
                metric=logbook.task.metric,
                mode=logbook.task.mode,
                max_t=logbook.task.max_epochs,
                grace_period=grace_epochs,
                reduction_factor=reduction_factor,
            )
            for group in logbook.space.groups
        }
        for trial in logbook.state.trials:
            self._open(trial)
            for record in filter(logbook.is_ranked, trial.records):
                self._stop(trial, record)

    @property
    def metric(self) -> str:
        return self._logbook.task.metric

    def set_search_properties(self, metric, mode, **spec) -> bool:
        return True

    def on_trial_add(self, tune_controller, trial) -> None:
        self._open(self._logbook.state.trials[trial.config["number"]])

    def on_trial_result(self, tune_controller, trial, result: dict) -> str:
        record = self._logbook.state.trials[trial.config["number"]]
        if self._logbook.knows(record, result["epoch"]):
            return TrialScheduler.CONTINUE
        metrics = {key: result[key] for key in ("epoch", *self._logbook.task.metrics, "seconds")}
        state = self._logbook.epoch(record, metrics, lambda: self._decide(record, metrics))
        return TrialScheduler.CONTINUE if state == RUNNING else TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller) -> Trial | None:
        """The waiting trial of the lowest number. Ray's own looks for it among all trials that
        ever were, at every step."""
        live = tune_controller.get_live_trials()
        waiting = (trial for trial in live if trial.status == Trial.PENDING)
        return min(waiting, key=lambda trial: trial.config["number"], default=None)

    def on_trial_complete(self, tune_controller, trial, result: dict) -> None:
        """Nothing to do: the decision that ended it was recorded with its epoch."""

    def on_trial_remove(self, tune_controller, trial) -> None:
        """A trial stopped before it ran, at the end of the time budget: its rungs hold nothing."""

    def _open(self, trial: TrialRecord) -> None:
        self._asha[trial.group].on_trial_add(None, SimpleNamespace(trial_id=trial.id))

    def _decide(self, trial: TrialRecord, record: dict) -> Decision:
        """Time bounds presets and control trials too: a rival may be better, but a trial that
        would take hours helps nobody."""
        if spared := self._stop(trial, record):
            if not trial.control:
                return Decision("others did better at the same epoch")
        seconds = sum(each["seconds"] for each in [*trial.records, record])
        limit = self._logbook.task.seconds_per_trial
        if limit and seconds > limit:
            return Decision(f"it took {seconds:.0f} s of the {limit:g} that a trial may take")
        return Decision(spared=spared)

    def _stop(self, trial: TrialRecord, record: dict) -> bool:
        # A spared trial is out of the rungs, as it would be had it been stopped.
        if trial.is_preset or (trial.spared_at and record["epoch"] > trial.spared_at):
            return False
        stand_in = SimpleNamespace(trial_id=trial.id)
        asha = self._asha[trial.group]
        return asha.on_trial_result(None, stand_in, record) == TrialScheduler.STOP
