"""How well a search searches: epochs to the same error as random search that stops nothing.

On recorded curves, by search/simulate.py: for each seed, a random search that stops nothing early
spends the whole budget; then ours is given the same budget, and asked after how many epochs what
it would choose was at least as good. Error is the geometric mean over code sizes of what the
chosen configurations reach at full budget, as the simulator's regret has it. Where ours does not
get there, the whole budget counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from search.benchmark.figures import Spread, said, table
from search.simulate.command import SEARCHERS, estimate, fast_folder, log_regret, quiet, simulate
from search.simulate.curves import Curves

SEARCHED = ("ours", "random-unpruned")
BUDGET_EPOCHS = 250
GRACE_EPOCHS = 1


def measure(curves: Curves, seeds: int, budget_epochs: int = BUDGET_EPOCHS) -> dict:
    """Everything that is printed of this part, JSON-ready."""
    with quiet():
        found = [epochs_to_target(curves, seed, budget_epochs) for seed in range(seeds)]
    ours, random = ([float(each[place]) for each in found] for place in (0, 1))
    logs = np.log(np.array(random) / np.array(ours))
    return {
        "seeds": seeds,
        "budget_epochs": budget_epochs,
        "configurations": len(curves.parameters),
        "ours_epochs": Spread.of(ours).as_json(),
        "random_epochs": Spread.of(random).as_json(),
        "random / ours": Spread.of_ratios(random, ours).as_json(),
        "random / ours, 95 % interval": [
            1 + getattr(estimate(logs), end) / 100 for end in ("low", "high")
        ],
        "not_reached": sum(not each[2] for each in found),
    }


def epochs_to_target(curves: Curves, seed: int, budget_epochs: int) -> tuple[int, int, bool]:
    """Epochs until ours, and until random search itself, first chose as well as random search did
    with the whole budget; and whether ours got there."""
    random = list(_regrets(curves, "random-unpruned", seed, budget_epochs))
    target = random[-1]
    first = next(n for n, regret in enumerate(random, 1) if regret <= target)
    regrets = _regrets(curves, "ours", seed, budget_epochs)
    reached = next((n for n, regret in enumerate(regrets, 1) if regret <= target), None)
    return reached or budget_epochs, first, reached is not None


def _regrets(curves: Curves, searcher: str, seed: int, budget_epochs: int) -> Iterator[float]:
    """The log regret of a search after each of its epochs."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=fast_folder()) as folder:
        pair = SEARCHERS[searcher](curves, seed, GRACE_EPOCHS, Path(folder) / "run")
        for replays in simulate(curves, pair, budget_epochs, workers=1):
            yield log_regret(replays)


def as_text(found: dict) -> list[str]:
    low, high = found["random / ours, 95 % interval"]
    rows = [
        ["ours", said(found["ours_epochs"])],
        ["random search, nothing stopped", said(found["random_epochs"])],
        ["random / ours", said(found["random / ours"])],
    ]
    return [
        *table(
            ["epochs to the same error", f"median of {found['seeds']} seeds [least, most]"], rows
        ),
        f"bootstrap 95 % interval of the median ratio: {low:.2f} to {high:.2f}; ours did not get "
        f"there within {found['budget_epochs']} epochs in {found['not_reached']} seeds; "
        f"{found['configurations']} recorded configurations",
    ]
