"""The policies that are compared: each is a searcher with its scheduler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from search.simulate.curves import METRIC, Curves
from search.task.space import Preset, Space
from search.tune.logbook import Logbook
from search.tune.scheduler import REDUCTION_FACTOR, LedgerScheduler
from search.tune.searcher import LedgerSearch


class Search(NamedTuple):
    searcher: OptunaSearch
    scheduler: TrialScheduler


@dataclass(frozen=True)
class ReplayTask:
    """The part of a `search.task.protocol.Task` that searcher and scheduler use; it trains
    nothing."""

    recorded_space: Space
    max_epochs: int
    metric: str = METRIC
    mode: str = "min"
    metrics: tuple[str, ...] = ("train_loss", METRIC)
    checkpoints: bool = False
    seconds_per_trial: float | None = None

    def space(self) -> Space:
        return self.recorded_space

    def presets(self) -> tuple[Preset, ...]:
        return ()


def _ours(
    curves: Curves, seed: int, grace_epochs: int, folder: Path, sampler: str = "tpe"
) -> Search:
    logbook = Logbook.start(folder, ReplayTask(curves.space, curves.max_epochs), seed, sampler)
    return Search(LedgerSearch(logbook, sys.maxsize), LedgerScheduler(logbook, grace_epochs))


def _unpruned(curves: Curves, seed: int, grace_epochs: int, folder: Path) -> Search:
    return _ours(curves, seed, curves.max_epochs, folder, "random")


def _stock(curves: Curves, seed: int, grace_epochs: int, folder: Path) -> Search:
    """Ray's own searcher and scheduler, as its documentation combines them: the code size is one
    more categorical parameter, and all trials share one set of rungs."""
    searcher = OptunaSearch(curves.space.all_distributions(), metric=METRIC, mode="min", seed=seed)
    scheduler = AsyncHyperBandScheduler(
        time_attr="training_iteration",
        metric=METRIC,
        mode="min",
        max_t=curves.max_epochs,
        grace_period=grace_epochs,
        reduction_factor=REDUCTION_FACTOR,
    )
    return Search(searcher, scheduler)


@dataclass(frozen=True)
class Policy:
    meaning: str
    build: Callable[[Curves, int, int, Path], Search]
    """Takes the curves, a seed, the grace epochs, and the path of a run folder to make."""


POLICIES = {
    "ours": Policy("this project's searcher and ASHA per code size", _ours),
    "stock": Policy("Ray's OptunaSearch and AsyncHyperBandScheduler", _stock),
    "random": Policy("random search with ASHA per code size", partial(_ours, sampler="random")),
    "random-unpruned": Policy("random search that stops nothing early", _unpruned),
}
