"""How well a search searches: epochs until it is as good as random search that stops nothing.

Measured on recorded curves, by search/simulate/replay.py. For each seed, a random search that stops
nothing early spends the whole budget. Ours gets the same budget, and the figure is the number of
epochs after which what it would choose is at least as good: its regret (search/simulate/regret.py)
is as low. If ours does not get there, the whole budget counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from search.benchmark.figures import ratio_spread, spread, spread_text
from search.simulate.recorded import PROJECT_CURVES, Curves, load_curves
from search.simulate.regret import estimate, log_regret
from search.simulate.replay import replay
from search.simulate.table import columns
from search.task.kinds import at_least

BUDGET_EPOCHS = 250
GRACE_EPOCHS = 1
LEAST_SEEDS, SEEDS = 10, 20
NEEDS_RAY = False


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--curves",
        type=Path,
        default=PROJECT_CURVES,
        help="a file of recorded curves (default: autoencoders on mnist5k)",
    )
    parser.add_argument(
        "--seeds",
        type=at_least(LEAST_SEEDS),
        default=SEEDS,
        help=f"searches on recorded curves (default {SEEDS}, least {LEAST_SEEDS})",
    )


def prepare(given: argparse.Namespace) -> Callable[[], dict]:
    """The measurement that was asked for. Raises UsageError."""
    curves = load_curves(given.curves)
    return lambda: measure(curves, given.seeds)


def measure(curves: Curves, seeds: int, budget_epochs: int = BUDGET_EPOCHS) -> dict:
    """The figures of this part, JSON-ready."""
    found = [epochs_to_target(curves, seed, budget_epochs) for seed in range(seeds)]
    ours, random = ([float(each[index]) for each in found] for index in (0, 1))
    interval = estimate(np.log(np.array(random) / np.array(ours)))
    return {
        "seeds": seeds,
        "budget_epochs": budget_epochs,
        "configurations": len(curves.parameters),
        "ours_epochs": spread(ours),
        "random_epochs": spread(random),
        "random / ours": ratio_spread(random, ours),
        "random / ours, 95 % interval": [1 + interval.low / 100, 1 + interval.high / 100],
        "not_reached": sum(not each[2] for each in found),
    }


def epochs_to_target(curves: Curves, seed: int, budget_epochs: int) -> tuple[int, int, bool]:
    """After how many epochs ours, and random search itself, first choose as well as random search
    does with the whole budget; and whether ours gets there."""

    def regrets(policy: str) -> Iterator[float]:
        return map(log_regret, replay(curves, policy, seed, budget_epochs, 1, GRACE_EPOCHS))

    random = list(regrets("random-unpruned"))
    target = random[-1]
    first = next(n for n, regret in enumerate(random, 1) if regret <= target)
    reached = next((n for n, regret in enumerate(regrets("ours"), 1) if regret <= target), None)
    return reached or budget_epochs, first, reached is not None


def as_text(found: dict) -> list[str]:
    low, high = found["random / ours, 95 % interval"]
    rows = [
        ["ours", spread_text(found["ours_epochs"])],
        ["random search, nothing stopped", spread_text(found["random_epochs"])],
        ["random / ours", spread_text(found["random / ours"])],
    ]
    return [
        *columns(
            ["epochs to the same error", f"median of {found['seeds']} seeds [least, most]"], rows
        ),
        f"bootstrap 95 % interval of the median ratio: {low:.2f} to {high:.2f}; ours did not get "
        f"there within {found['budget_epochs']} epochs in {found['not_reached']} seeds; "
        f"{found['configurations']} recorded configurations",
    ]
