"""What `--reproducible` costs, on a toy: `python -m tests.search.tune.order_cost`.

A simulated clock. An epoch takes between 1 and 10 s, the same for all epochs of a trial, and
nothing else takes time. Each figure is the mean over SEEDS searches of TRIALS trials of at most 9
epochs. The regret is the value of the best trial minus the best possible value, the mean of both
groups.
"""

from __future__ import annotations

import logging
import tempfile
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
import optuna

from tests.search.toy import ToyTask
from tests.search.tune.schedulers.player import Player

SEEDS, TRIALS = 8, 36
TASK = ToyTask(max_epochs=9)


class Timed(Player):
    """The workers' next result is the one that is due first."""

    def __init__(self, path: Path, workers: int, seed: int, **settings):
        super().__init__(path, TASK, TRIALS, workers, seed=seed, **settings)
        self.now, self._seed = 0.0, seed
        self._due: dict[int, float] = {}

    def next_result(self) -> int:
        for trial, attempt in self.running:
            repeats = attempt._replayed is not None  # the epoch of its checkpoint
            seconds = 0.0 if repeats else self._seconds(trial.number)
            self._due.setdefault(id(attempt), self.now + seconds)
        due = [self._due[id(attempt)] for _, attempt in self.running]
        index = due.index(min(due))
        self.now = self._due.pop(id(self.running[index][1]))
        return index

    def _seconds(self, number: int) -> float:
        return 10 ** np.random.default_rng([self._seed, number]).random()

    def idle(self) -> float:
        """The part of the workers' time in which they trained nothing."""
        busy = sum(t.epochs * self._seconds(t.number) for t in self.logbook.state.trials)
        return 1 - busy / (self.now * self.workers)


def measure(folder: Path, workers: int, **settings) -> tuple[float, ...]:
    found = []
    for seed in range(SEEDS):
        search = Timed(folder / str(seed), workers, seed, **settings).play()
        best = [search.logbook.best(g).best_record("value", "min")["value"] for g in TASK.groups]
        epochs = sum(trial.epochs for trial in search.logbook.state.trials)
        found.append((search.now, search.idle(), epochs, fmean(best) - 1 / 9))
    return tuple(map(fmean, zip(*found, strict=True)))


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    print("reproducible  workers  seconds  idle  epochs  regret")
    for lag, workers in product((None, 4), (1, 2, 4)):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            seconds, idle, epochs, regret = measure(Path(folder), workers, reproducible=lag)
        print(
            f"{lag or 'no'!s:12}  {workers:7}  {seconds:7.0f}  {idle:4.0%}  {epochs:6.1f}  "
            f"{regret:6.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
