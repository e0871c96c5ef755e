"""Syne Tune's ASHA with conformal quantile regression (Salinas et al. 2023, arXiv:2305.03623)."""

from __future__ import annotations

import datetime
import math

from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import ASHACQR
from syne_tune.optimizer.scheduler import SchedulerDecision

from search.simulate.policies.protocol import Setting
from search.simulate.policies.rivals.numbers import Choice, Numbers, Range
from search.tune.schedulers.deciding import REDUCTION_FACTOR

EPOCH = "epoch"


class Conformal:
    """The scheduler is called in the order of Syne Tune's Tuner (syne_tune/tuner.py)."""

    def __init__(self, setting: Setting):
        curves = setting.curves
        self._metric, self._numbers = curves.metric, Numbers(curves.space)
        self._scheduler = ASHACQR(
            {name: _domain(each) for name, each in self._numbers.domains.items()},
            metric=curves.metric,
            time_attr=EPOCH,
            max_t=curves.max_epochs,
            do_minimize=curves.mode == "min",
            random_seed=setting.seed,
            grace_period=setting.grace_epochs,
            reduction_factor=REDUCTION_FACTOR,
        )
        self._trials: list[Trial] = []

    def ask(self) -> tuple[int, dict]:
        number = len(self._trials)
        config = self._scheduler.suggest().config
        self._trials.append(Trial(number, config, datetime.datetime.now()))
        self._scheduler.on_trial_add(self._trials[number])
        return number, self._numbers.parameters(config)

    def tell(self, number: int, epoch: int, value: float) -> bool:
        trial = self._trials[number]
        if not math.isfinite(value):
            self._scheduler.on_trial_error(trial)
            return False
        result = {self._metric: value, EPOCH: epoch}
        if self._scheduler.on_trial_result(trial, result) == SchedulerDecision.CONTINUE:
            return True
        self._scheduler.on_trial_remove(trial)
        return False


def _domain(domain: Choice | Range):
    if isinstance(domain, Choice):
        return choice(list(range(domain.count)))
    if domain.whole:
        return (lograndint if domain.log else randint)(int(domain.low), int(domain.high))
    return (loguniform if domain.log else uniform)(domain.low, domain.high)


def build(setting: Setting) -> Conformal:
    return Conformal(setting)
