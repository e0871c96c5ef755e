"""Regret: how far the choice of a search is from the best recorded one, and how policies compare.

For each group, the loss of the configuration that the search would choose now is divided by the
best recorded loss of the group. Both are losses with all epochs, because a winner is retrained with
all epochs. Groups differ in loss by factors, so ratios are taken: differences would show the worst
group only. The regret is the geometric mean of the ratios, as a percentage above 1. Before a search
has anything to choose, the median of the recorded losses counts, which an untried configuration
would give.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from search.simulate.policies.choices import POLICIES
from search.simulate.recorded import Curves, neighbour_agreement
from search.simulate.replay import Replays, replay

RESAMPLES = 5000  # of the bootstrap: more would move an interval's ends by less than it shows


def log_regret(replays: Replays) -> float:
    """Mean over groups of log(chosen loss / best recorded loss); 0 is perfect."""
    finals, groups = replays.curves.finals(), replays.curves.groups
    logs = []
    for group in replays.curves.space.groups:
        of_group = finals[groups == group]
        row = replays.best(group)
        value = np.inf if row is None else finals[row]
        # A trial that was stopped while it did well, and diverges later, is no better than none.
        value = value if np.isfinite(value) else np.median(of_group)
        logs.append(np.log(value / of_group.min()))
    return float(np.mean(logs))


def regrets(
    curves: Curves,
    policy: str,
    seed: int,
    at: tuple[int, ...],
    workers: int = 1,
    grace_epochs: int = 1,
) -> list[float]:
    """Log regrets of one search after each number of epochs in `at` (rising). A policy that plans
    for its budget makes a search for each."""
    return _searched(curves, policy, seed, at, workers, grace_epochs)[0]


def _searched(
    curves: Curves, policy: str, seed: int, at: tuple[int, ...], workers: int, grace_epochs: int
) -> tuple[list[float], float]:
    """The log regrets, and the share of the configurations that the longest search tried."""
    found, used = [], 0.0
    for budgets in [(each,) for each in at] if POLICIES[policy].budgeted else [at]:
        for replays in replay(curves, policy, seed, budgets[-1], workers, grace_epochs):
            if replays.epochs in budgets:
                found.append(log_regret(replays))
                used = replays.used()
    return found, used


@dataclass(frozen=True)
class Estimate:
    """A median over seeds and the ends of its bootstrap 95 % interval, in per cent."""

    median: float
    low: float
    high: float


def estimate(logs: np.ndarray, seed: int = 0) -> Estimate:
    """The percentile bootstrap of the median of log ratios (Efron 1979)."""
    draws = np.random.default_rng(seed).integers(len(logs), size=(RESAMPLES, len(logs)))
    low, high = np.percentile(np.median(logs[draws], axis=1), (2.5, 97.5))
    return Estimate(*(float(100 * np.expm1(value)) for value in (np.median(logs), low, high)))


def wins(logs: np.ndarray) -> dict[str, int]:
    """In how many seeds a policy chose better, and worse, than the one it is compared with."""
    return {"better": int((logs < 0).sum()), "worse": int((logs > 0).sum())}


def compare(
    curves: Curves,
    policies: list[str],
    seeds: int,
    at: tuple[int, ...],
    workers: int,
    grace_epochs: int,
) -> dict:
    """The comparison of policies with the first of them after each number of epochs in `at`,
    JSON-ready."""
    searched = {
        name: [_searched(curves, name, seed, at, workers, grace_epochs) for seed in range(seeds)]
        for name in policies
    }
    logs = {name: np.array([log for log, _ in each]) for name, each in searched.items()}
    against = logs[policies[0]]
    return {
        "epochs": list(at),
        "seeds": seeds,
        "workers": workers,
        "grace_epochs": grace_epochs,
        "configurations": len(curves.parameters),
        "max_epochs": curves.max_epochs,
        "metric": curves.metric,
        "neighbour_agreement": neighbour_agreement(curves),
        "regret_percent": {
            name: [asdict(estimate(column)) for column in values.T] for name, values in logs.items()
        },
        "against": policies[0],
        "difference_percent": {
            name: [asdict(estimate(c)) | wins(c) for c in (values - against).T]
            for name, values in logs.items()
            if values is not against
        },
        "used_percent": {
            name: float(100 * np.mean([used for _, used in each]))
            for name, each in searched.items()
        },
        "log_regrets": {name: values.tolist() for name, values in logs.items()},
    }
