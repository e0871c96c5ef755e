"""What Ray calls after every epoch: decides by the search's scheduler, records, and then answers.

The schedulers themselves are in search/tune/schedulers/.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.record import schema
from search.record.state import SearchState, TrialRecord
from search.task.protocol import Task
from search.tune.logbook import Logbook
from search.tune.order import LogicalOrder
from search.tune.schedulers.asha import GroupedASHA
from search.tune.schedulers.deciding import Decider, Unstopped
from search.tune.schedulers.promotion import Promotion
from search.tune.worker.attempt import CheckpointPolicy

DECIDERS: Mapping[str, type[Decider]] = {
    "asha": GroupedASHA,
    "promotion": Promotion,
    "none": Unstopped,
}


def decider_of(task: Task, grace_epochs: int, state: SearchState) -> Decider:
    """The scheduler that the search began with, as it stands after all that is recorded."""
    return DECIDERS[_scheduler_of(state)](task, grace_epochs, state)  # type: ignore[call-arg]


def call_back_is_due(task: Task, grace_epochs: int, state: SearchState) -> bool:
    """Whether a paused trial goes on although no new trial begins and none runs."""
    if not DECIDERS[_scheduler_of(state)].calls_back:
        return False
    return decider_of(task, grace_epochs, state).next_waiting(False, []) is not None


def _scheduler_of(state: SearchState) -> str:
    return state.header.get("settings", {}).get("scheduler", "asha")


def checkpoint_policy(
    task: Task, grace_epochs: int, every_s: float | None, scheduler: str
) -> CheckpointPolicy:
    """A checkpoint at every epoch after which a trial may be stopped, and at the last."""
    rungs = DECIDERS[scheduler].rungs_of(grace_epochs, task.max_epochs)
    return CheckpointPolicy(frozenset([*rungs, task.max_epochs]), every_s)


class LedgerScheduler(FIFOScheduler):
    """The scheduler that Ray calls: records each epoch with its decision before Ray acts on it."""

    def __init__(self, logbook: Logbook, grace_epochs: int):
        super().__init__()
        self.order: LogicalOrder | None = None  # of a reproducible search
        self._logbook = logbook
        self._told_plain = False
        self.decider = decider_of(logbook.task, grace_epochs, logbook.state)
        self._drop_surplus()

    def on_trial_add(self, tune_controller, trial) -> None:
        self.decider.open(self._logbook.state.trials[trial.config["number"]])

    def on_trial_result(self, tune_controller, trial, result: dict) -> str:
        """Decide, record, answer. A restarted trial repeats its last epoch, which is known."""
        known = self._logbook.state.trials[trial.config["number"]]
        if result["epoch"] <= known.epochs:
            return TrialScheduler.CONTINUE
        goes_on = self._in_order(known, result) if self.order else self._decide(known, result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def _in_order(self, known: TrialRecord, result: dict) -> bool:
        """Whether the trial goes on where it is. In a reproducible search a result that may end it
        waits for its turn."""
        apply = partial(self._decide, known, result)
        is_turn = self.order.is_turn(known, result["epoch"])
        # Between two turns a decision depends on no other trial.
        if not is_turn and self.decider.decide(known, self._record(result)).state == schema.RUNNING:
            return apply()
        return self.order.report(known, apply)

    def _decide(self, known: TrialRecord, result: dict) -> bool:
        """Decide and record; return whether the trial goes on."""
        record = self._record(result)
        decision = self.decider.decide(known, record)
        plain = result.get("plain_because")
        self._logbook.record_epoch(known, record, decision, result.get("saved_epoch"), plain)
        if known.is_paused:
            self.decider.waits(known)
            self._drop_surplus()
        if plain and not self._told_plain:
            self._told_plain = True
            print(f"training steps are not recorded as CUDA graphs, so they are slow: {plain}")
        return known.state == schema.RUNNING

    def _record(self, result: dict) -> dict:
        return {name: result[name] for name in ("epoch", *self._logbook.task.metrics, "seconds")}

    def _drop_surplus(self) -> None:
        for trial in self.decider.take_surplus():
            self._logbook.drop_checkpoints(trial)

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
