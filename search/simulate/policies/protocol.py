"""What a simulated search asks a policy, and what the policy is built from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from search.simulate.recorded import Curves


@dataclass(frozen=True)
class Setting:
    """One simulated search. `folder` is for what a policy keeps on disk; it need not exist."""

    curves: Curves
    seed: int
    budget_epochs: int  # trained in all
    grace_epochs: int
    folder: Path


class Searching(Protocol):
    """A searcher with its scheduler."""

    def ask(self) -> tuple[int, dict]:
        """What a free worker trains: the number of a trial and its parameters, group included. A
        number that was given before calls a stopped trial back; it goes on where it stopped. New
        trials have the numbers 0, 1, 2, ..."""

    def tell(self, number: int, epoch: int, value: float) -> bool:
        """Hear the metric after an epoch (from 1); return whether the trial goes on."""
