"""What a tool must do to show a search, and which tools there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from search.record.state import TrialRecord
from search.task.settings import UsageError

_PACKAGES = {
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy"),
    "wandb": ("wandb",),
}


@dataclass(frozen=True)
class About:
    """What a tool is told about the search as a whole."""

    name: str  # of the run folder
    command: str
    folder: Path  # the run folder, or the driver's copy
    begun: float  # seconds since 1970; with the name it tells a search from all others
    metric: str
    mode: str  # "min" or "max"
    metrics: tuple[str, ...]
    hyperparameters: tuple[str, ...]

    def best(self, trial: TrialRecord) -> dict[str, float]:
        """The best value of the metric by its name, such as `best_validation_mse`; empty before
        any finite value."""
        found = trial.best_record(self.metric, self.mode)
        return {f"best_{self.metric}": found[self.metric]} if found else {}


@dataclass(frozen=True)
class Known:
    """What a tool has of a trial already."""

    epochs: frozenset[int] = field(default_factory=frozenset)
    ended: bool = False


class Dashboard(Protocol):
    """A tool. All methods are called in one thread; each may raise, and is called again then."""

    def open(self) -> None:
        """Connect, and find what an earlier session left."""

    def known(self, trial: TrialRecord) -> Known: ...

    def write(self, trial: TrialRecord, state: str, records: list[dict]) -> None:
        """Add the epochs `records` of a trial, and end it if `state` is not `running`."""

    def picture(self, name: str, image: np.ndarray) -> None:
        """Show a picture, uint8 (H, W) or (H, W, 3), in the place of one of the same name."""

    def close(self) -> None:
        """Flush. Trials that have not ended stay open for the next session."""


def refuse_missing(tools: Iterable[str]) -> None:
    """Raise UsageError for a tool that is not installed, or that has no login."""
    for tool in tools:
        missing = [package for package in _PACKAGES[tool] if find_spec(package) is None]
        if missing:
            raise UsageError(f"--log-to {tool} needs an extra: pip install '.[{tool}]'")
        check = getattr(_module(tool), "refuse_unusable", None)
        if check:
            check()


def open_dashboard(tool: str, about: About) -> Dashboard:
    make: Callable[[About], Dashboard] = _module(tool).make
    return make(about)


def _module(tool: str):
    return import_module(f"search.dashboards.{tool}")


def plain(parameters: Mapping) -> dict[str, bool | int | float | str]:
    """Hyperparameters as every tool takes them."""
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in parameters.items()
    }
