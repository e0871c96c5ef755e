"""Recorded learning curves replayed through real searchers and schedulers.

No training and no cluster: a policy is asked and told on a clock that counts epochs, so policies
can be compared over many seeds. The idea is that of Syne Tune's simulator backend.

The curves come from a random search that stopped nothing early. A proposed configuration gets the
whole curve of the nearest recorded configuration of the same group that this search has not used
yet. Syne Tune's blackbox repository takes the nearest neighbour too. A curve is used once, because
no two trainings give the same curve: otherwise a searcher that stays near a good configuration
would get the same curve again and again, and learn nothing.

Limits:
- Nothing better than the best recorded curve can be found, so every search that uses most curves
  of a group ends near it.
- Configurations that differ little get the same curve, so searchers look more alike than they are.
- Unimportant parameters count as much in the distance as important ones.
- All epochs cost the same.
- The curves contain the noise of their trainings.
- Presets are left out.

`recorded.neighbour_agreement` measures how well a neighbour stands for a configuration.
"""

from __future__ import annotations

import heapq
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna

from search.simulate.policies.choices import POLICIES
from search.simulate.policies.protocol import Searching, Setting
from search.simulate.recorded import Curves


@dataclass
class Replay:
    """One trial of a simulated search."""

    row: int  # of the recorded configuration whose curve it follows
    epochs: int = 0
    ended: bool = False  # also if it was stopped and may be called back


@dataclass
class Replays:
    """A simulated search: its trials in order of start, and its clock."""

    curves: Curves
    trials: list[Replay] = field(default_factory=list)
    epochs: int = 0  # trained in all

    def best(self, group: object) -> int | None:
        """The row that the search would choose for a group now, by the rule of
        `SearchState.best`: the best epoch among the trials that had all epochs, and only if there
        are none, among the stopped ones."""
        candidates = [
            trial
            for trial in self.trials
            if trial.ended
            and self.curves.groups[trial.row] == group
            and np.isfinite(self.losses(trial)).all()
        ]
        best = min(candidates, key=self._rank, default=None)
        return None if best is None else best.row

    def losses(self, trial: Replay) -> np.ndarray:
        """The trial's loss at each of its epochs so far: (epochs,)."""
        return self.curves.losses[trial.row, : trial.epochs]

    def used(self) -> float:
        """The share of the recorded configurations that were tried."""
        return len({trial.row for trial in self.trials}) / len(self.curves.parameters)

    def _rank(self, trial: Replay) -> tuple:
        return trial.epochs < self.curves.max_epochs, self.losses(trial).min()


def replay(
    curves: Curves, policy: str, seed: int, budget_epochs: int, workers: int, grace_epochs: int
) -> Iterator[Replays]:
    """Search by a policy of `POLICIES` until `budget_epochs` are trained; yields the search after
    every epoch."""
    with tempfile.TemporaryDirectory(prefix="simulate-", dir=_fast_folder()) as folder:
        setting = Setting(curves, seed, budget_epochs, grace_epochs, Path(folder) / "run")
        yield from simulate(curves, POLICIES[policy].build(setting), budget_epochs, workers)


def _fast_folder() -> Path | None:
    """A folder in memory if the system has one. A ledger waits after each epoch until the epoch is
    on disk, and on a real disk this takes longer than all the rest."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


def simulate(
    curves: Curves, policy: Searching, budget_epochs: int, workers: int
) -> Iterator[Replays]:
    """Yields the search after every epoch.

    Every epoch takes one tick of the clock. Workers that are ready together go in the order in
    which their trials began; a worker whose trial ended takes the next one at once."""
    replays = Replays(curves)
    ready = [(1, _begin(policy, replays)) for _ in range(workers)]  # (when an epoch ends, trial)
    heapq.heapify(ready)
    while replays.epochs < budget_epochs:
        now, number = heapq.heappop(ready)
        replays.epochs += 1
        trial = replays.trials[number]
        value = float(curves.values[trial.row, trial.epochs])
        trial.epochs += 1
        if not policy.tell(number, trial.epochs, value):
            trial.ended = True
            number = _begin(policy, replays)
        heapq.heappush(ready, (now + 1, number))
        yield replays


def _begin(policy: Searching, replays: Replays) -> int:
    """Ask for a trial, a new one or one that is called back; returns its number."""
    number, parameters = policy.ask()
    if number < len(replays.trials):
        replays.trials[number].ended = False
    else:
        used = {trial.row for trial in replays.trials}
        replays.trials.append(Replay(replays.curves.nearest(parameters, used)))
    return number


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what Optuna and Ray print about every trial, and stock OptunaSearch about every nan."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="All-NaN slice", category=RuntimeWarning)
        yield
