"""Figures of a benchmark: medians with their spread, and ratios taken repetition by repetition."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Spread:
    """The median of some repetitions, with the smallest and the largest."""

    median: float
    low: float
    high: float
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values), len(values))

    @classmethod
    def of_ratios(cls, upper: Sequence[float], lower: Sequence[float]) -> Spread:
        """Of upper / lower, repetition by repetition: what else the machine did then slows both
        sides of a ratio."""
        return cls.of([a / b for a, b in zip(upper, lower, strict=True)])

    def as_json(self) -> dict:
        return asdict(self)


def spread_text(spread: dict, digits: int = 3) -> str:
    """A `Spread` from JSON as "median [low, high]", or "value (once)" for one repetition."""
    median, low, high = (f"{spread[key]:.{digits}g}" for key in ("median", "low", "high"))
    return f"{median} [{low}, {high}]" if spread["repetitions"] > 1 else f"{median} (once)"
