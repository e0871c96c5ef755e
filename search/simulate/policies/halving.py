"""Schedulers that call stopped trials back, on recorded curves.

`Promoting` is the project's own. `Staged` trains all configurations for some epochs, then the best
of each group for more, and so on. The budget of the search decides how many. It is synchronous
halving, or i-Epoch (Egele et al. 2024, arXiv:2404.04111), and knows its budget in epochs.
"""

from __future__ import annotations

import math

from search.record import schema
from search.record.decision import Decision
from search.record.state import TrialRecord
from search.simulate.policies.protocol import Setting
from search.simulate.policies.through_ray import ReplayTask
from search.tune.schedulers.deciding import REDUCTION_FACTOR, rung_epochs
from search.tune.schedulers.promotion import Promotion

STOP = Decision(schema.STOP, "it waits until its rung shows that it should go on")
Stage = tuple[int, int]  # (epochs, trials of each group)


class _Rungs:
    """The losses of the trials that reached a rung, for each rung and group."""

    def __init__(self, setting: Setting, epochs: list[int]):
        self._curves, self._epochs = setting.curves, epochs
        self._sign = 1 if self._curves.mode == "min" else -1
        self._groups = self._curves.space.groups
        self._losses: dict[tuple, dict[int, float]] = {
            (epoch, group): {} for epoch in epochs for group in self._groups
        }
        self._called: dict[int, set[int]] = {epoch: set() for epoch in epochs}

    def open(self, trial: TrialRecord) -> None:
        """Nothing to do: a trial counts from its first rung on."""

    def waits(self, trial: TrialRecord) -> None:
        """Nothing to do: no trial is paused, for a stopped one may be called back."""

    def decide(self, trial: TrialRecord, record: dict) -> Decision:
        value, epoch = record[self._curves.metric], record["epoch"]
        if not math.isfinite(value):
            return Decision(schema.NOT_FINITE, "its metric is not a finite number")
        if epoch >= self._curves.max_epochs:
            return Decision(schema.LAST)
        if epoch not in self._called:
            return Decision(schema.CONTINUE)
        self._losses[epoch, trial.group][trial.number] = self._sign * value
        return STOP

    def _call(self, epoch: int, most: int | None = None) -> int | None:
        """Call back a stopped trial of a rung, of the first group that has one among its `most`
        best."""
        for group in self._groups:
            losses = self._losses[epoch, group]
            best = sorted(losses, key=lambda number: (losses[number], number))
            for number in best[:most]:
                if number not in self._called[epoch]:
                    self._called[epoch].add(number)
                    return number
        return None

    def _call_highest(self) -> int | None:
        """Call back the best stopped trial of the highest rung that has one."""
        found = (self._call(epoch) for epoch in reversed(self._epochs))
        return next((number for number in found if number is not None), None)


class Promoting(Promotion):
    """The project's `--scheduler promotion`."""

    _ends = False  # no trial begins any more

    def __init__(self, setting: Setting, rungs_of_all: bool = False):
        super().__init__(ReplayTask.of(setting), setting.grace_epochs)
        if rungs_of_all:  # one set of rungs for all groups
            shared = {epoch: rung for (epoch, _), rung in self._by_place.items()}
            self._by_place = {place: shared[place[0]] for place in self._by_place}

    def call_back(self, running: list[TrialRecord]) -> int | None:
        trial = self.next_waiting(not self._ends, running, self._ends)
        if trial is None:
            return None
        self.called_back(trial)
        return trial.number


class Ending(Promoting):
    """As `Promoting` with a time budget: the budget of the search, where an epoch is a second."""

    def __init__(self, setting: Setting):
        super().__init__(setting)
        self._left = setting.budget_epochs

    def decide(self, trial: TrialRecord, record: dict) -> Decision:
        self._left -= 1
        return super().decide(trial, record)

    def call_back(self, running: list[TrialRecord]) -> int | None:
        self._ends = self._ends or self._left < self.seconds_to_finish(running, workers=1)
        return super().call_back(running)


class Staged(_Rungs):
    """Stages one after the other: the first begins trials, each later one calls back the best of
    the one before. When all are done, the next best go on, and then new trials begin."""

    def __init__(self, setting: Setting, stages: list[Stage]):
        super().__init__(setting, [epochs for epochs, _ in stages[:-1]])
        self._counts = [trials for _, trials in stages]
        self._begun = 0

    def open(self, trial: TrialRecord) -> None:
        self._begun += 1

    def call_back(self, running: list[TrialRecord]) -> int | None:
        if self._begun < self._counts[0] * len(self._groups):
            return None
        for epoch, trials in zip(self._epochs, self._counts[1:], strict=True):
            if (number := self._call(epoch, most=trials)) is not None:
                return number
        return self._call_highest()


def halved(setting: Setting) -> Staged:
    """Synchronous halving: as many trials in the first stage as the budget allows."""
    curves = setting.curves
    epochs = [*rung_epochs(setting.grace_epochs, curves.max_epochs), curves.max_epochs]

    def stages(first: int) -> list[Stage]:
        counts = [max(1, first // REDUCTION_FACTOR**n) for n in range(len(epochs))]
        return list(zip(epochs, counts, strict=True))

    return Staged(setting, _largest(stages, setting))


def one_stop(setting: Setting, epochs: int, finished: int = 2) -> Staged:
    """i-Epoch: all trials get so many epochs, and the best two of each group get the rest."""
    last = setting.curves.max_epochs
    first = min(epochs, last - 1)
    return Staged(setting, _largest(lambda n: [(first, n), (last, min(n, finished))], setting))


def _largest(stages, setting: Setting) -> list[Stage]:
    """The stages with the most trials that the budget of a group pays, at least one trial."""
    budget = setting.budget_epochs / len(setting.curves.space.groups)
    number = 1
    while _cost(stages(number + 1)) <= budget:
        number += 1
    return stages(number)


def _cost(stages: list[Stage]) -> int:
    """The epochs of all trials of a group."""
    spent, before = 0, 0
    for epochs, trials in stages:
        spent += trials * (epochs - before)
        before = epochs
    return spent
