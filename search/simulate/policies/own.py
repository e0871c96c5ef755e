"""This project's suggestions and decisions in memory, with parts taken away or exchanged.

With nothing changed it tries the same trials as `through_ray.ledger`, in a quarter of the time,
because it writes no ledger and no study.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from search.record.decision import Decision
from search.record.schema import COMPLETE, ERROR, PAUSE, PRUNED, RUNNING
from search.record.state import SearchState, TrialRecord
from search.simulate.policies.protocol import Setting
from search.simulate.policies.through_ray import ReplayTask
from search.tune.schedulers.asha import GroupedASHA
from search.tune.suggestion import Suggester, next_trial


class Scheduler(Protocol):
    """When a trial stops, and which stopped trial is called back."""

    def open(self, trial: TrialRecord) -> None: ...

    def decide(self, trial: TrialRecord, record: dict) -> Decision: ...

    def waits(self, trial: TrialRecord) -> None: ...

    def call_back(self, running: list[TrialRecord]) -> int | None:
        """The number of a stopped trial that goes on; None: a new trial begins."""


class Stopping(GroupedASHA):
    """The project's `--scheduler asha`: a trial that it stopped stays stopped."""

    def __init__(self, setting: Setting):
        super().__init__(ReplayTask.of(setting), setting.grace_epochs)

    def call_back(self, running: list[TrialRecord]) -> int | None:
        return None


@dataclass(frozen=True)
class Learning:
    """What suggestions learn from; the defaults are the project's."""

    sampler: str = "tpe"
    ranks_of_all: bool = False  # trials of all groups are ranked together
    liar: bool = True  # running trials count as worst
    partial: bool = False  # running trials count as if they were stopped where they are
    stopped_as_complete: bool = False  # with the best value that they had


class Own:
    """The project's search without a ledger."""

    def __init__(self, setting: Setting, scheduler: Scheduler, learning: Learning | None = None):
        curves = setting.curves
        self._learning = learning or Learning()
        self._space, self._metric, self._mode = curves.space, curves.metric, curves.mode
        self._scheduler = scheduler
        sampler = self._learning.sampler
        self._suggester = Suggester(curves.space, curves.metric, curves.mode, sampler)
        if self._learning.ranks_of_all:
            for family in self._suggester._families.values():
                family._orders = dict.fromkeys(family._orders, next(iter(family._orders.values())))
        self.state = SearchState({"seed": setting.seed})

    def ask(self) -> tuple[int, dict]:
        running = [trial for trial in self.state.trials if trial.state == RUNNING]
        number = self._scheduler.call_back(running)
        if number is None:
            chosen = next_trial(self.state, self._space, (), self._suggester)
            self.state.apply({"event": "trial", **chosen, "time": 0.0})
            trial = self.state.trials[-1]
            self._scheduler.open(trial)
        else:
            trial = self.state.trials[number]
            trial.state = RUNNING
        self._show(trial)
        return trial.number, trial.parameters

    def tell(self, number: int, epoch: int, value: float) -> bool:
        trial = self.state.trials[number]
        record = {"epoch": epoch, "seconds": 1.0, "train_loss": value, self._metric: value}
        decision = self._scheduler.decide(trial, record)
        trial.records.append(record)
        trial.state = decision.state
        if decision.kind == PAUSE:
            self._scheduler.waits(trial)
        self._show(trial)
        return trial.state == RUNNING

    def _show(self, trial: TrialRecord) -> None:
        if self._learning.partial and trial.records:
            self._suggester.update(replace(trial, state=RUNNING))  # its old rank is dropped
            if trial.state == RUNNING:
                trial = replace(trial, state=PRUNED)
        if trial.state == RUNNING and not self._learning.liar:
            self._suggester.update(trial)  # the rank of a trial that is called back is dropped
            trial = replace(trial, state=ERROR)  # a failed trial does not count
        if trial.state == PRUNED and self._learning.stopped_as_complete:
            trial = replace(trial, state=COMPLETE)
        self._suggester.update(trial)
