"""Recorded learning curves replayed through real searchers and schedulers.

No training and no cluster: searcher and scheduler are called in the order of Ray's TuneController
(ray/tune/execution/tune_controller.py, `_process_trial_result` and `stop_trial`), on a clock that
counts epochs. A search of 250 epochs takes about a second, so policies can be compared over many
seeds. The idea is that of Syne Tune's simulator backend.

The curves come from a random search that stopped nothing early. A proposed configuration gets the
whole curve of the nearest recorded configuration of the same code size that this search has not
used yet. Syne Tune's blackbox repository takes the nearest neighbour too, for what it has not
recorded. "Not used yet", because no two trainings give the same curve: with repetition, a searcher
that stays near good configurations would get one of them again and again, and learn nothing.

Limits:
- Nothing better than the best recorded curve can be found, so every search that uses up most
  curves of a code size ends near it.
- Fine steps are not seen, and searchers look more alike than they are.
- Unimportant parameters count as much in the distance as important ones.
- All epochs cost the same.
- Training noise is part of the surface.
- The report's presets are left out.

`curves.neighbour_agreement` measures how well a neighbour stands for a configuration.
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
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
from ray.tune.schedulers import TrialScheduler

from search.simulate.curves import METRIC, Curves
from search.simulate.policies import POLICIES, Search


@dataclass
class Replay:
    """One trial of a simulated search."""

    row: int  # of the recorded configuration whose curve it follows
    epochs: int = 0
    ended: bool = False


@dataclass
class Replays:
    """A simulated search: its trials in order of start, and its clock."""

    curves: Curves
    trials: list[Replay] = field(default_factory=list)
    epochs: int = 0  # trained in all

    def best(self, group: int) -> int | None:
        """The row that the search would choose for a code size now, by the rule of
        `SearchState.best`: the best epoch among the trials that had all epochs, and only if there
        are none, among the stopped ones."""
        candidates = [
            trial
            for trial in self.trials
            if trial.ended
            and self.curves.groups[trial.row] == group
            and np.isfinite(self.values(trial)).all()
        ]
        best = min(candidates, key=self._rank, default=None)
        return None if best is None else best.row

    def values(self, trial: Replay) -> np.ndarray:
        """The trial's metric at each of its epochs so far: (epochs,)."""
        return self.curves.values[trial.row, : trial.epochs]

    def _rank(self, trial: Replay) -> tuple:
        return trial.epochs < self.curves.max_epochs, self.values(trial).min()


def replay(
    curves: Curves, policy: str, seed: int, budget_epochs: int, workers: int, grace_epochs: int
) -> Iterator[Replays]:
    """Search by a policy of `POLICIES` until `budget_epochs` are trained; yields the search after
    every epoch."""
    with tempfile.TemporaryDirectory(prefix="simulate-", dir=_fast_folder()) as folder:
        search = POLICIES[policy].build(curves, seed, grace_epochs, Path(folder) / "run")
        yield from simulate(curves, search, budget_epochs, workers)


def _fast_folder() -> Path | None:
    """A folder in memory if the system has one. Each epoch waits until ledger and study are
    written, which takes longer on a disk than all the rest."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


def simulate(curves: Curves, search: Search, budget_epochs: int, workers: int) -> Iterator[Replays]:
    """Yields the search after every epoch.

    Every epoch takes one tick of the clock. Workers that are ready together go in the order in
    which their trials began; a worker whose trial ended begins the next one at once."""
    replays, numbers = Replays(curves), count()
    ready = [(1, number) for number in range(workers)]  # (when an epoch ends, trial)
    trials = [_begin(search, replays, next(numbers)) for _ in range(workers)]
    while replays.epochs < budget_epochs:
        now, number = heapq.heappop(ready)
        replays.epochs += 1
        if _epoch(search, trials[number], replays.trials[number], curves):
            number = next(numbers)
            trials.append(_begin(search, replays, number))
        heapq.heappush(ready, (now + 1, number))
        yield replays


def _begin(search: Search, replays: Replays, number: int) -> SimpleNamespace:
    """Ask for a configuration; returns a stand-in for Ray's Trial."""
    trial_id = f"replay_{number:05d}"
    config = search.searcher.suggest(trial_id)
    used = {replay.row for replay in replays.trials}
    row = replays.curves.nearest(config.get("parameters", config), used)
    replays.trials.append(Replay(row))
    metadata = SimpleNamespace(num_failures=0)
    trial = SimpleNamespace(trial_id=trial_id, config=config, run_metadata=metadata)
    search.scheduler.on_trial_add(None, trial)
    return trial


def _epoch(search: Search, trial: SimpleNamespace, replay: Replay, curves: Curves) -> bool:
    """Replay one epoch as TuneController processes a result; returns whether the trial ended.

    The searcher gets a result only if the trial goes on. It gets the last one with the trial's
    completion, after the scheduler."""
    searcher, scheduler = search
    value = float(curves.values[replay.row, replay.epochs])
    replay.epochs += 1
    result = {
        "epoch": replay.epochs,
        "training_iteration": replay.epochs,
        "seconds": 1.0,
        "train_loss": value,
        METRIC: value,
    }
    if scheduler.on_trial_result(None, trial, result) != TrialScheduler.STOP:
        searcher.on_trial_result(trial.trial_id, result)
        return False
    replay.ended = True
    scheduler.on_trial_complete(None, trial, result)
    searcher.on_trial_complete(trial.trial_id, result=result)
    return True


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what Optuna and Ray print about every trial, and stock OptunaSearch about every nan."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="All-NaN slice", category=RuntimeWarning)
        yield
