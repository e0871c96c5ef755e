"""Libraries that ask for a configuration up to a number of epochs, as Hyperband does.

A library that asks for the same configuration with more epochs gets its trial called back: the
epochs that it had cost nothing again. The library's own runner trains it again from the start
unless the user keeps checkpoints, so the replay favours the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from search.simulate.recorded import Curves


@dataclass(frozen=True)
class Job:
    """What a library asks for. `key` is the same for the same configuration; `numbers` are its
    hyperparameters as `Numbers` writes them; `token` goes back with the result."""

    key: Hashable
    numbers: dict
    epochs: int
    token: Any


class Library(Protocol):
    def ask(self) -> Job: ...

    def tell(self, token: Any, loss: float) -> None:
        """Hear the lowest loss of the configuration so far."""


@dataclass
class _Trial:
    losses: list[float] = field(default_factory=list)
    epochs: int = 0  # it trains up to this epoch
    token: Any = None


class UpTo:
    """A search by a `Library`. A diverged training counts as the highest loss recorded."""

    def __init__(self, curves: Curves, library: Library, parameters: Callable[[dict], dict]):
        self._library, self._parameters = library, parameters
        self._worst = float(np.nanmax(curves.losses))
        self._loss = (lambda value: value) if curves.mode == "min" else (lambda value: 1 - value)
        self._numbers: dict[Hashable, int] = {}
        self._trials: list[_Trial] = []

    def ask(self) -> tuple[int, dict]:
        while True:
            job = self._library.ask()
            number = self._numbers.setdefault(job.key, len(self._numbers))
            if number == len(self._trials):
                self._trials.append(_Trial())
            trial = self._trials[number]
            trial.epochs, trial.token = job.epochs, job.token
            if len(trial.losses) < job.epochs:
                return number, self._parameters(job.numbers)
            self._report(trial)  # it had so many epochs before

    def tell(self, number: int, epoch: int, value: float) -> bool:
        trial = self._trials[number]
        if math.isfinite(value):
            trial.losses.append(self._loss(value))
        else:
            trial.losses += [self._worst] * (trial.epochs - len(trial.losses))
        if len(trial.losses) < trial.epochs:
            return True
        self._report(trial)
        return False

    def _report(self, trial: _Trial) -> None:
        self._library.tell(trial.token, min(trial.losses[: trial.epochs]))
