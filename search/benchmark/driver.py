"""What a large search costs its driver, without Ray and without training.

The logbook, the suggestions and ASHA of a driver get the events of a search of autoencoders with
the full budget. The running trials take turns, an epoch each, with made-up values that fall as
those of a training do. Both the CPU time of this process and the time that passes are measured: a
busy machine changes the CPU time little. Ray's share is measured in search/benchmark/overhead.py.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from ray.tune.schedulers import TrialScheduler

from search.autoencoders.task import METRICS, AutoencoderTask
from search.session.shown.tables import TableWriter
from search.simulate.table import columns
from search.store.folder import RunFolder
from search.task.settings import FULL, Settings
from search.tune.logbook import Logbook
from search.tune.scheduler import LedgerScheduler
from search.tune.searcher import LedgerSearch

CODE_SIZES = (1024, 128, 32)
CONCURRENT = 256  # 64 GPUs with four trials on each
PARTS = 10


@dataclass
class Clock:
    """Seconds that one kind of work took, and how often it was done."""

    cpu: float = 0.0
    wall: float = 0.0
    calls: int = 0

    def time(self, call: Callable, *arguments):
        cpu, wall = time.process_time(), time.perf_counter()
        result = call(*arguments)
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall
        self.calls += 1
        return result

    def each(self) -> dict:
        calls = max(1, self.calls)
        return {"cpu_s": self.cpu / calls, "wall_s": self.wall / calls, "calls": self.calls}


class MadeUpSearch:
    """Gives a logbook the events of trials, `concurrent` at a time, and measures the time."""

    def __init__(self, logbook: Logbook, trials: int, concurrent: int):
        self._logbook, self._concurrent = logbook, concurrent
        self._scheduler = LedgerScheduler(logbook, FULL["grace_epochs"])
        self._searcher = LedgerSearch(logbook, trials, self._scheduler.decider)
        self._rng = np.random.default_rng(0)
        self._running: deque = deque()
        self.starts, self.epochs = Clock(), Clock()

    def run_until(self, trials: int) -> None:
        """Continue until `trials` trials have begun."""
        while len(self._logbook.state.trials) < trials:
            if not self._start():
                self._turn()

    def finish(self) -> None:
        """Play the search to its end."""
        while self._start() or self._running:
            self._turn()

    def _start(self) -> bool:
        """Give a free worker a trial, if there is one."""
        if len(self._running) == self._concurrent:
            return False
        config = self.starts.time(self._searcher.suggest, "any")
        if config is None:
            self.starts.calls -= 1  # nothing began
            return False
        trial = self._logbook.state.trials[config["number"]]
        rng = np.random.default_rng(trial.number)
        stand_in = SimpleNamespace(
            config=config, trial_id=trial.id, epoch=trial.epochs, level=10 ** rng.uniform(-3, -1)
        )
        self._scheduler.on_trial_add(None, stand_in)
        self._running.append(stand_in)
        return True

    def _turn(self) -> None:
        trial = self._running.popleft()
        trial.epoch += 1
        value = trial.level * (1 + math.exp(-trial.epoch / 9)) * self._rng.uniform(0.99, 1.01)
        result = {name: value for name in METRICS} | {"epoch": trial.epoch, "seconds": 1.5}
        decision = self.epochs.time(self._scheduler.on_trial_result, None, trial, result)
        if decision != TrialScheduler.STOP:
            self._running.append(trial)


def measure(trials: int, folder: Path, concurrent: int = CONCURRENT) -> dict:
    """The cost of `trials` trials in each part of a search, and of opening its folder again."""
    task = AutoencoderTask(CODE_SIZES, FULL["max_epochs"], "full")
    logbook = Logbook.start(folder, task, scheduler=Settings().scheduler)
    before, run = _memory(), logbook.folder
    search, parts = MadeUpSearch(logbook, trials, concurrent), {}
    for part in range(PARTS):
        search.starts, search.epochs = Clock(), Clock()
        first, last = trials * part // PARTS, trials * (part + 1) // PARTS
        search.run_until(last)
        if last == trials:
            search.finish()
        parts[f"{first}-{last}"] = {
            "beginning": search.starts.each(),
            "epoch": search.epochs.each(),
        }
    epochs = sum(trial.epochs for trial in logbook.state.trials)
    return {
        "trials": trials,
        "epochs": epochs,
        "concurrent": concurrent,
        "parts": parts,
        "memory_bytes_per_trial": (_memory() - before) / trials,
        "ledger_bytes": run.ledger.stat().st_size,
        "study_bytes": run.study.stat().st_size,
        **_open_again(run, task),
    }


def _open_again(run: RunFolder, task: AutoencoderTask) -> dict:
    """What a resume costs before its first trial, and what writing the tables once costs."""
    opening, writing = Clock(), Clock()
    logbook = opening.time(Logbook, run, task)
    opening.time(LedgerScheduler, logbook, FULL["grace_epochs"])
    writing.time(TableWriter(logbook).write)
    return {
        "resume_cpu_s": opening.cpu,
        "tables_cpu_s": writing.cpu,
        "tables_bytes": run.trials_csv.stat().st_size + run.epochs_csv.stat().st_size,
    }


def _memory() -> int:
    """Bytes that this process has in memory now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def as_text(found: dict) -> list[str]:
    rows = [
        [
            name,
            *(f"{1e3 * part[kind]['cpu_s']:.2f}" for kind in ("beginning", "epoch")),
            *(f"{1e3 * part[kind]['wall_s']:.2f}" for kind in ("beginning", "epoch")),
        ]
        for name, part in found["parts"].items()
    ]
    head = ["trials", "CPU ms a trial", "an epoch", "ms that passed a trial", "an epoch"]
    return [
        f"the driver of {found['trials']:,} trials, {found['epochs']:,} epochs, "
        f"{found['concurrent']} at a time, without Ray:",
        *columns(head, rows),
        f"memory {found['memory_bytes_per_trial']:,.0f} bytes a trial; ledger "
        f"{found['ledger_bytes']:,} bytes, study {found['study_bytes']:,}, tables "
        f"{found['tables_bytes']:,} ({found['tables_cpu_s']:.1f} s of CPU a write); to open it "
        f"again {found['resume_cpu_s']:.1f} s of CPU",
    ]
