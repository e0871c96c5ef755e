"""The limits of a session of a search, and the exception that stops it early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray import tune

from models.machine import seconds
from search.tune.worker.attempt import EVERY_EPOCH, CheckpointPolicy


@dataclass(frozen=True)
class Limits:
    """The limits of a session. They may differ between the sessions of a search."""

    num_samples: int
    grace_epochs: int
    max_concurrent: int
    cpus_per_trial: float
    gpus_per_trial: float
    max_failures: int
    trial_timeout_s: float
    time_budget_s: float | None
    checkpoints: CheckpointPolicy = EVERY_EPOCH
    cards: Any = None
    """The `search.tune.worker.card.Cards` actor, if trials share GPUs in one process each."""
    slots: Callable[[], int] | None = None
    """Returns how many trials fit into the cluster now. Without it, `max_concurrent` is fixed."""


class SearchStopped(Exception):
    """The search cannot go on, and lost nothing; the text is one line that says why."""


class TimeBudget(tune.Stopper):
    """Ends all trials `limit` seconds after it was made; never if `limit` is None.

    Ray's own stopper goes by the machine's clock: it ends a search early if that clock is set
    forward, and late if it is set back."""

    def __init__(self, limit: float | None):
        self._end = float("inf") if limit is None else seconds() + limit

    def is_spent(self) -> bool:
        return self.left() <= 0

    def left(self) -> float:
        """Seconds; infinite without a limit."""
        return self._end - seconds()

    def __call__(self, trial_id: str, result: dict) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.is_spent()
