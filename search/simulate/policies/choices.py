"""The policies that are compared: each is a searcher with its scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec

from search.simulate.policies.halving import Ending, Promoting, halved, one_stop
from search.simulate.policies.own import Learning, Own, Scheduler, Stopping
from search.simulate.policies.protocol import Searching, Setting
from search.simulate.policies.through_optuna import gaussian_process, hyperband
from search.simulate.policies.through_ray import ledger, stock

RANDOM = Learning(sampler="random")


@dataclass(frozen=True)
class Policy:
    """`kind` is a word that names several policies. `budgeted`: the policy plans for its budget,
    so that each budget is a search of its own. `needs`: a package of the extra `rivals`."""

    meaning: str
    build: Callable[[Setting], Searching]
    kind: str
    budgeted: bool = False
    needs: str = ""

    @property
    def installed(self) -> bool:
        return not self.needs or find_spec(self.needs) is not None


def _own(scheduler: Callable[[Setting], Scheduler], learning: Learning | None = None):
    return lambda setting: Own(setting, scheduler(setting), learning)


def _unstopped(setting: Setting) -> Stopping:
    return Stopping(replace(setting, grace_epochs=setting.curves.max_epochs))


def _one_epoch(setting: Setting) -> Scheduler:
    return one_stop(setting, setting.grace_epochs)


def _later(setting: Setting) -> Scheduler:
    last = setting.curves.max_epochs
    return Promoting(replace(setting, grace_epochs=min(3 * setting.grace_epochs, last)))


def _shared_rungs(setting: Setting) -> Scheduler:
    return Promoting(setting, rungs_of_all=True)


def _library(module: str):
    """A module of `rivals`. It is imported when the policy is built, and its library with it."""
    name = f"search.simulate.policies.rivals.{module}"
    return lambda setting: import_module(name).build(setting)


RIVALS, SCHEDULERS, ABLATION = "rivals", "schedulers", "ablation"
LIBRARIES = "libraries"
OURS = "ours"
POLICIES = {
    OURS: Policy("this project's searcher and ASHA that promotes", _own(Promoting), RIVALS),
    "stock": Policy("Ray's OptunaSearch and AsyncHyperBandScheduler", stock, RIVALS),
    "random": Policy("random search with our ASHA", _own(Promoting, RANDOM), RIVALS),
    "random-unpruned": Policy(
        "random search that stops nothing early", _own(_unstopped, RANDOM), RIVALS
    ),
    "i-epoch": Policy(
        "random search: everything stops after the grace epochs, and the best two of each group "
        "get the rest",
        _own(_one_epoch, RANDOM),
        RIVALS,
        budgeted=True,
    ),
    "hyperband": Policy("Optuna's TPESampler and HyperbandPruner", hyperband, RIVALS),
    "gp": Policy("Optuna's GPSampler; nothing is stopped early", gaussian_process, "gp"),
    "ledger": Policy("ours with its ledger and its study, which changes nothing", ledger, "ledger"),
    "smac": Policy(
        "SMAC3's MultiFidelityFacade",
        _library("with_smac"),
        LIBRARIES,
        budgeted=True,
        needs="smac",
    ),
    "cqr": Policy(
        "Syne Tune's ASHACQR: conformal quantile regression under ASHA",
        _library("with_syne_tune"),
        LIBRARIES,
        needs="syne_tune",
    ),
    "priorband": Policy(
        "NePS with PriorBand, without a prior", _library("with_neps"), LIBRARIES, needs="neps"
    ),
    "stopping": Policy("our searcher, ASHA that stops for good", _own(Stopping), SCHEDULERS),
    "ending": Policy(
        "ours with a time budget: at its end the best go on and no trial begins",
        _own(Ending),
        SCHEDULERS,
        budgeted=True,
    ),
    "later": Policy("ours with three times the grace epochs", _own(_later), SCHEDULERS),
    "halving": Policy(
        "our searcher, synchronous halving sized to the budget",
        _own(halved),
        SCHEDULERS,
        budgeted=True,
    ),
    "1-epoch": Policy("our searcher under i-epoch", _own(_one_epoch), SCHEDULERS, budgeted=True),
    "shared-rungs": Policy("ours with one set of rungs for all", _own(_shared_rungs), ABLATION),
    "shared-ranks": Policy(
        "ours with one ranking of all groups",
        _own(Promoting, Learning(ranks_of_all=True)),
        ABLATION,
    ),
    "no-liar": Policy(
        "ours without running trials (differs only with several workers)",
        _own(Promoting, Learning(liar=False)),
        ABLATION,
    ),
    "partial": Policy(
        "ours, where a running trial counts by its last epoch and not as worst (differs only with "
        "several workers)",
        _own(Promoting, Learning(partial=True)),
        ABLATION,
    ),
    "stopped-as-complete": Policy(
        "ours, where a stopped trial counts as complete with its best value",
        _own(Promoting, Learning(stopped_as_complete=True)),
        ABLATION,
    ),
}
KINDS = (RIVALS, LIBRARIES, SCHEDULERS, ABLATION)


def named(names: list[str]) -> list[str]:
    """The policies that names and kinds stand for, ours first, each once."""
    found = [p for name in names for p in POLICIES if name in (p, POLICIES[p].kind)]
    return list(dict.fromkeys([OURS, *found]))
