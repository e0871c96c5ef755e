"""ASHA as Ray has it: a trial that is not among the best of its rung so far is stopped for good."""

from __future__ import annotations

from types import SimpleNamespace

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from search.record import schema
from search.record.decision import Decision
from search.record.state import SearchState, TrialRecord
from search.task.protocol import Task
from search.tune.schedulers.deciding import REDUCTION_FACTOR, Decider


class GroupedASHA(Decider):
    """Ray's AsyncHyperBandScheduler once for each group, because groups do not compete.

    Ray's rungs come back empty after a restart (ray#30838). Here the rungs of a resumed search are
    filled from the recorded epochs, by the code that fills them in a running search.
    """

    def __init__(self, task: Task, grace_epochs: int, state: SearchState | None = None):
        """`state`: the state of the search, if it is resumed."""
        super().__init__(task, grace_epochs)
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
        self._fill(state)

    def open(self, trial: TrialRecord) -> None:
        self._asha[trial.group].on_trial_add(None, SimpleNamespace(trial_id=trial.id))

    def _compare(self, trial: TrialRecord, record: dict) -> Decision:
        stand_in = SimpleNamespace(trial_id=trial.id)
        answer = self._asha[trial.group].on_trial_result(None, stand_in, record)
        if answer != TrialScheduler.STOP:
            return Decision(schema.PROMOTE)
        if trial.control:
            return Decision(schema.SPARE)
        return Decision(schema.STOP, "others did better at the same epoch")
