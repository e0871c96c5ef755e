"""Optuna's own samplers and pruners, as its documentation combines them, without Ray."""

from __future__ import annotations

import math

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import TrialState

from search.simulate.policies.protocol import Setting
from search.tune.schedulers.deciding import REDUCTION_FACTOR


class ThroughOptuna:
    """A study with `ask` and `tell`. The group is one more categorical parameter."""

    def __init__(self, setting: Setting, sampler: BaseSampler, pruner: BasePruner):
        curves = setting.curves
        self._study = optuna.create_study(
            sampler=sampler,
            pruner=pruner,
            study_name="simulated",  # HyperbandPruner draws a trial's bracket from it
            direction="minimize" if curves.mode == "min" else "maximize",
        )
        self._distributions = curves.space.all_distributions()
        self._best, self._max_epochs = min if curves.mode == "min" else max, curves.max_epochs
        self._trials: dict[int, tuple[optuna.Trial, list[float]]] = {}

    def ask(self) -> tuple[int, dict]:
        trial = self._study.ask(self._distributions)
        self._trials[trial.number] = trial, []
        return trial.number, trial.params

    def tell(self, number: int, epoch: int, value: float) -> bool:
        trial, values = self._trials[number]
        if not math.isfinite(value):
            self._study.tell(trial, state=TrialState.FAIL)
            return False
        values.append(value)
        trial.report(value, epoch)
        if epoch == self._max_epochs:
            self._study.tell(trial, self._best(values))
        elif trial.should_prune():
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            return True
        return False


def hyperband(setting: Setting) -> ThroughOptuna:
    pruner = HyperbandPruner(setting.grace_epochs, setting.curves.max_epochs, REDUCTION_FACTOR)
    return ThroughOptuna(setting, TPESampler(seed=setting.seed), pruner)


def gaussian_process(setting: Setting) -> ThroughOptuna:
    """GPSampler learns from finished trials alone, so nothing is stopped early."""
    return ThroughOptuna(setting, GPSampler(seed=setting.seed), NopPruner())
