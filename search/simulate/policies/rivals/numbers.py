"""A space as other libraries see it: a number for each hyperparameter.

A choice is its index, so that no library depends on what the choices are. A step is left out: the
nearest recorded configuration is replayed whatever the step. The group is one more choice, and a
hyperparameter with a single value is no hyperparameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optuna.distributions import CategoricalDistribution, IntDistribution

from search.task.space import Space


@dataclass(frozen=True)
class Choice:
    """The numbers 0, 1, ... up to `count` - 1, in no order."""

    count: int


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; `whole`: integers; `log`: on a log scale."""

    low: float
    high: float
    whole: bool
    log: bool


class Numbers:
    """The domain of each hyperparameter of a space, and what a library's numbers mean."""

    def __init__(self, space: Space):
        every = space.all_distributions()
        self._choices = {
            name: each.choices
            for name, each in every.items()
            if isinstance(each, CategoricalDistribution)
        }
        self._fixed = {
            name: each.choices[0] if name in self._choices else each.low
            for name, each in every.items()
            if each.single()
        }
        self.domains: dict[str, Choice | Range] = {
            name: Choice(len(each.choices))
            if name in self._choices
            else Range(each.low, each.high, isinstance(each, IntDistribution), each.log)
            for name, each in every.items()
            if name not in self._fixed
        }

    def parameters(self, numbers: Mapping) -> dict:
        """The hyperparameters that a library's numbers stand for, group included."""
        return self._fixed | {name: self._value(name, numbers[name]) for name in self.domains}

    def _value(self, name: str, number):
        if name in self._choices:
            return self._choices[name][int(number)]
        return int(number) if self.domains[name].whole else float(number)
