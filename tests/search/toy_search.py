"""Runs a toy search through the project's own tuner, in this process."""

from __future__ import annotations

from pathlib import Path

import ray
import torch

from models.data import ImageData
from search.store.folder import RunFolder
from search.task.protocol import arrays_from_data
from search.tune.limits import Limits
from search.tune.logbook import Logbook
from search.tune.scheduler import LedgerScheduler
from search.tune.tuner import build_tuner
from tests.search.toy import ToyTask

_NOTHING = torch.zeros(0, dtype=torch.int64)
NO_DATA = ImageData(
    name="none",
    images=torch.zeros((0, 28, 28), dtype=torch.uint8),
    labels=_NOTHING,
    drawers=None,
    class_names=(),
    train=_NOTHING,
    validation=_NOTHING,
    test=_NOTHING,
    split="none",
    centred=False,
    sha256="",
)


def open_logbook(path: Path, task: ToyTask, seed: int = 0, **settings) -> Logbook:
    """The logbook of the toy search in `path`, new or gone on with."""
    if path.exists():
        return Logbook(RunFolder(path), task)
    return Logbook.start(path, task, seed, **settings)


def run_toy(
    path: Path,
    task: ToyTask,
    num_samples: int,
    control_every: int = 0,
    scheduler: str = "asha",
    reproducible: int | None = None,
    **limits,
) -> Logbook:
    """Run the toy search to its end (or to what `limits` allow); needs the `cluster` fixture."""
    settings = {"control_every": control_every, "scheduler": scheduler}
    logbook = open_logbook(path, task, reproducible=reproducible, **settings)
    defaults = {
        "grace_epochs": 1,
        "max_concurrent": 2,
        "cpus_per_trial": 1.0,
        "gpus_per_trial": 0.0,
        "max_failures": 2,
        "trial_timeout_s": 60.0,
        "time_budget_s": None,
    }
    arrays = ray.put(arrays_from_data(NO_DATA))
    build_tuner(logbook, Limits(num_samples, **{**defaults, **limits}), arrays, []).fit()
    return logbook


def rungs(logbook: Logbook, grace_epochs: int = 1) -> dict:
    """The contents of ASHA's rungs, by group, after a resume from this logbook."""
    return rungs_of(LedgerScheduler(logbook, grace_epochs))


def rungs_of(scheduler: LedgerScheduler) -> dict:
    """(epoch, {trial id: value}) of each rung, by group."""
    return {group: asha._brackets[0]._rungs for group, asha in scheduler.decider._asha.items()}
