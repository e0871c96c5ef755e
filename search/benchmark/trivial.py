"""Trials that only compute a sum: their time is what a search costs besides training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.task.space import Preset, Space

SPACE = Space(
    {
        "x": FloatDistribution(0.0, 1.0),
        "rate": FloatDistribution(1e-4, 1.0, log=True),
        "depth": IntDistribution(1, 9),
        "kind": CategoricalDistribution(("a", "b", "c")),
    },
    group="size",
    groups=(1, 2, 3),
    constants={},
)


@dataclass(frozen=True)
class NoData:
    """The data set of trivial trials."""


def trivial(parameters: dict) -> float:
    """All the work that a trial does."""
    return (parameters["x"] - 0.3) ** 2 + parameters["rate"] / parameters["depth"]


@dataclass(frozen=True)
class TrivialTask:
    """The part of a `search.task.protocol.Task` that a search without retraining uses."""

    max_epochs: int = 1
    metric: str = "value"
    mode: str = "min"
    metrics: tuple[str, ...] = ("train_loss", "value")
    checkpoints: bool = False
    seconds_per_trial: float | None = None

    def space(self) -> Space:
        return SPACE

    def presets(self) -> tuple[Preset, ...]:
        return ()

    def prepare(self, data: NoData, device: str) -> None:
        """There is nothing to prepare."""

    def start(self, parameters: dict, seed: int, prepared: None) -> TrivialRun:
        return TrivialRun(parameters, self.max_epochs)


@dataclass(frozen=True)
class TrivialRun:
    """A `search.task.protocol.Run` whose epochs are all alike."""

    parameters: dict
    max_epochs: int

    def epochs(self) -> Iterator[dict]:
        for epoch in range(1, self.max_epochs + 1):
            value = trivial(self.parameters)
            yield {"epoch": epoch, "train_loss": value, "value": value}
