"""Searchers and schedulers as Ray calls them: this project's, through its ledger, and Ray's own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import SimpleNamespace

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from search.simulate.policies.protocol import Setting
from search.task.space import Preset, Space
from search.tune.logbook import Logbook
from search.tune.scheduler import LedgerScheduler
from search.tune.schedulers.deciding import REDUCTION_FACTOR
from search.tune.searcher import LedgerSearch


@dataclass(frozen=True)
class ReplayTask:
    """The part of a `search.task.protocol.Task` that searcher and scheduler use; it trains
    nothing."""

    recorded_space: Space
    max_epochs: int
    metric: str
    mode: str
    checkpoints: bool = False
    seconds_per_trial: float | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("train_loss", self.metric)

    @classmethod
    def of(cls, setting: Setting) -> ReplayTask:
        curves = setting.curves
        return cls(curves.space, curves.max_epochs, curves.metric, curves.mode)

    def space(self) -> Space:
        return self.recorded_space

    def presets(self) -> tuple[Preset, ...]:
        return ()


class ThroughRay:
    """Calls a searcher and a scheduler in the order of Ray's TuneController
    (ray/tune/execution/tune_controller.py, `_process_trial_result` and `stop_trial`)."""

    def __init__(self, metric: str, searcher: Searcher, scheduler: TrialScheduler):
        self._metric, self.searcher, self._scheduler = metric, searcher, scheduler
        self._trials: dict[int, SimpleNamespace] = {}  # stand-ins for Ray's Trial

    def ask(self) -> tuple[int, dict]:
        trial_id = f"replay_{len(self._trials):05d}"
        config = self.searcher.suggest(trial_id)
        metadata = SimpleNamespace(num_failures=0)
        trial = SimpleNamespace(trial_id=trial_id, config=config, run_metadata=metadata)
        self._scheduler.on_trial_add(None, trial)
        number = config.get("number", len(self._trials))  # called back: a number known before
        self._trials[number] = trial
        return number, config.get("parameters", config)

    def tell(self, number: int, epoch: int, value: float) -> bool:
        """The searcher gets a result only if the trial goes on. It gets the last one with the
        trial's completion, after the scheduler."""
        trial = self._trials[number]
        result = {
            "epoch": epoch,
            "training_iteration": epoch,
            "seconds": 1.0,
            "train_loss": value,
            self._metric: value,
        }
        if self._scheduler.on_trial_result(None, trial, result) != TrialScheduler.STOP:
            self.searcher.on_trial_result(trial.trial_id, result)
            return True
        self._scheduler.on_trial_complete(None, trial, result)
        self.searcher.on_trial_complete(trial.trial_id, result=result)
        return False


def ledger(setting: Setting) -> ThroughRay:
    """This project's search with everything that it writes."""
    task = ReplayTask.of(setting)
    logbook = Logbook.start(setting.folder, task, setting.seed, scheduler="promotion")
    scheduler = LedgerScheduler(logbook, setting.grace_epochs)
    searcher = LedgerSearch(logbook, sys.maxsize, scheduler.decider)
    return ThroughRay(setting.curves.metric, searcher, scheduler)


def stock(setting: Setting) -> ThroughRay:
    """Ray's own searcher and scheduler, as its documentation combines them: the group is one
    more categorical parameter, and all trials share one set of rungs."""
    curves = setting.curves
    aim = {"metric": curves.metric, "mode": curves.mode}
    searcher = OptunaSearch(curves.space.all_distributions(), seed=setting.seed, **aim)
    scheduler = AsyncHyperBandScheduler(
        time_attr="training_iteration",
        max_t=curves.max_epochs,
        grace_period=setting.grace_epochs,
        reduction_factor=REDUCTION_FACTOR,
        **aim,
    )
    return ThroughRay(curves.metric, searcher, scheduler)
