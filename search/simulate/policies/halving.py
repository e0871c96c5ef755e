"""Schedulers that call stopped trials back: candidates for the project's own, on recorded curves.

A trial that is stopped keeps its checkpoint in these. `PromotingASHA` is asynchronous successive
halving as published (Li et al. 2018, arXiv:1810.05934). `Staged` trains all configurations for some
epochs, then the best of each group for more, and so on, sized to the budget of the search:
synchronous halving, or i-Epoch (Egele et al. 2024, arXiv:2404.04111).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from search.record import schema
from search.record.decision import Decision
from search.record.state import TrialRecord
from search.simulate.policies.protocol import Setting
from search.tune.scheduler import REDUCTION_FACTOR, rung_epochs

STOP = Decision(schema.STOP, "it waits until its rung shows that it should go on")
Stage = tuple[int, int]  # (epochs, trials of each group)


class _Rungs:
    """The losses of the trials that reached a rung, for each rung and group."""

    def __init__(self, setting: Setting, epochs: list[int]):
        self._curves = setting.curves
        self._sign = 1 if self._curves.mode == "min" else -1
        self._groups = self._curves.space.groups
        self._losses: dict[tuple, dict[int, float]] = {
            (epoch, group): {} for epoch in epochs for group in self._groups
        }
        self._called: dict[int, set[int]] = {epoch: set() for epoch in epochs}

    def open(self, trial: TrialRecord) -> None:
        """Nothing to do: a trial counts from its first rung on."""

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

    def _best(self, epoch: int, group: object, trials: int) -> Iterator[int]:
        """The best so many of a rung that were not called back yet, best first."""
        losses = self._losses[epoch, group]
        best = sorted(losses, key=lambda number: (losses[number], number))[:trials]
        return (number for number in best if number not in self._called[epoch])


class PromotingASHA(_Rungs):
    """A free worker goes on with a trial that is in the best third of a rung of its group, of the
    highest rung that has such a trial; it begins a new trial only if there is none."""

    def __init__(self, setting: Setting):
        self._epochs = rung_epochs(setting.grace_epochs, setting.curves.max_epochs)
        super().__init__(setting, self._epochs)

    def call_back(self) -> int | None:
        for epoch in reversed(self._epochs):
            for group in self._groups:
                share = len(self._losses[epoch, group]) // REDUCTION_FACTOR
                for number in self._best(epoch, group, share):
                    self._called[epoch].add(number)
                    return number
        return None


class Ending(PromotingASHA):
    """As `PromotingASHA`, but no trial begins once the budget left is what the best trial of each
    group needs to get all epochs: then the best of the highest rungs go on, whatever their share.
    """

    def __init__(self, setting: Setting):
        super().__init__(setting)
        per_group = setting.curves.max_epochs - setting.grace_epochs
        self._left, self._reserve = setting.budget_epochs, per_group * len(self._groups)

    def decide(self, trial: TrialRecord, record: dict) -> Decision:
        self._left -= 1
        return super().decide(trial, record)

    def call_back(self) -> int | None:
        number = super().call_back()
        if number is not None or self._left > self._reserve:
            return number
        for epoch in reversed(self._epochs):
            for group in self._groups:
                for number in self._best(epoch, group, len(self._losses[epoch, group])):
                    self._called[epoch].add(number)
                    return number
        return None


class Staged(_Rungs):
    """Stages one after the other: the first begins trials, each later one calls back the best of
    the one before. When all are done, the next best go on, and then new trials begin."""

    def __init__(self, setting: Setting, stages: list[Stage]):
        self._epochs = [epochs for epochs, _ in stages[:-1]]
        super().__init__(setting, self._epochs)
        self._counts = [trials for _, trials in stages]
        self._begun = 0

    def open(self, trial: TrialRecord) -> None:
        self._begun += 1

    def call_back(self) -> int | None:
        if self._begun < self._counts[0] * len(self._groups):
            return None
        for epoch, trials in zip(self._epochs, self._counts[1:], strict=True):
            if (number := self._next(epoch, trials)) is not None:
                return number
        for epoch in reversed(self._epochs):
            if (number := self._next(epoch, len(self._curves.values))) is not None:
                return number
        return None

    def _next(self, epoch: int, trials: int) -> int | None:
        """The next trial that goes on from a rung, so that every group has `trials` of them."""
        for group in self._groups:
            number = next(self._best(epoch, group, trials), None)
            if number is not None:
                self._called[epoch].add(number)
                return number
        return None


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
