"""SMAC3's multi-fidelity facade: random forests on the highest budget, under Hyperband (Lindauer et
al. 2022, arXiv:2109.09831)."""

from __future__ import annotations

from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from smac import MultiFidelityFacade, Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from search.simulate.policies.protocol import Setting
from search.simulate.policies.rivals.numbers import Choice, Numbers, Range
from search.simulate.policies.rivals.up_to import Job, UpTo


class _Facade:
    def __init__(self, setting: Setting, numbers: Numbers):
        space = ConfigurationSpace(seed=setting.seed)
        space.add([_domain(name, each) for name, each in numbers.domains.items()])
        scenario = Scenario(
            space,
            output_directory=setting.folder,
            deterministic=True,
            n_trials=setting.budget_epochs,  # each takes an epoch or more
            min_budget=setting.grace_epochs,
            max_budget=setting.curves.max_epochs,
            seed=setting.seed,
        )
        self._facade = MultiFidelityFacade(scenario, _asked, overwrite=True, logging_level=False)

    def ask(self) -> Job:
        info = self._facade.ask()
        return Job(info.config, dict(info.config), round(info.budget), info)

    def tell(self, token: TrialInfo, loss: float) -> None:
        self._facade.tell(token, TrialValue(cost=loss), save=False)


def _asked(config, seed: int = 0, budget: float = 0) -> float:
    raise AssertionError("the facade is asked and told: it trains nothing itself")


def _domain(name: str, domain: Choice | Range):
    if isinstance(domain, Choice):
        return Categorical(name, list(range(domain.count)))
    if domain.whole:
        return Integer(name, (int(domain.low), int(domain.high)), log=domain.log)
    return Float(name, (domain.low, domain.high), log=domain.log)


def build(setting: Setting) -> UpTo:
    numbers = Numbers(setting.curves.space)
    return UpTo(setting.curves, _Facade(setting, numbers), numbers.parameters)
