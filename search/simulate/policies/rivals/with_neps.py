"""NePS with PriorBand (Mallik et al. 2023, arXiv:2306.12370). No prior is given, as the other
searchers get none: PriorBand then samples at random and around its best configuration so far,
under Hyperband."""

from __future__ import annotations

import random

import neps
import numpy as np
import torch
from neps.space import SearchSpace

from search.simulate.policies.protocol import Setting
from search.simulate.policies.rivals.numbers import Choice, Numbers, Range
from search.simulate.policies.rivals.up_to import Job, UpTo

EPOCHS = "epochs_of_trial"


class _Asked:
    def __init__(self, setting: Setting, numbers: Numbers):
        _seed(setting.seed)
        space = {name: _domain(each) for name, each in numbers.domains.items()}
        last = setting.curves.max_epochs
        space[EPOCHS] = neps.HPOInteger(setting.grace_epochs, last, is_fidelity=True)
        self._search = neps.AskAndTell(neps.algorithms.priorband(SearchSpace(space)))

    def ask(self) -> Job:
        trial = self._search.ask()
        key, _, _ = trial.id.partition("_rung_")
        return Job(key, dict(trial.config), int(trial.config[EPOCHS]), trial.id)

    def tell(self, token: str, loss: float) -> None:
        self._search.tell(token, loss)


def _seed(seed: int) -> None:
    """NePS draws from the generators of the process."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _domain(domain: Choice | Range):
    if isinstance(domain, Choice):
        return neps.HPOCategorical(list(range(domain.count)))
    if domain.whole:
        return neps.HPOInteger(int(domain.low), int(domain.high), log=domain.log)
    return neps.HPOFloat(domain.low, domain.high, log=domain.log)


def build(setting: Setting) -> UpTo:
    numbers = Numbers(setting.curves.space)
    return UpTo(setting.curves, _Asked(setting, numbers), numbers.parameters)
