"""What bounds a session of a search, and how it stops before its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What bounds a session; may differ from one session of a search to the next."""

    num_samples: int
    grace_epochs: int
    max_concurrent: int
    cpus_per_trial: float
    gpus_per_trial: float
    max_failures: int
    trial_timeout_s: float
    time_budget_s: float | None
    slots: Callable[[], int] | None = None
    """How many trials the cluster holds now, where `max_concurrent` is to follow it."""


class SearchStopped(Exception):
    """The search cannot go on, and lost nothing; the text is one line that says why."""
