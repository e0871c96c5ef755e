"""Figures of a benchmark: medians with their spread, and ratios, repetition by repetition."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Spread:
    """A median with the smallest and the largest of the repetitions that it is of."""

    median: float
    low: float
    high: float
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values), len(values))

    @classmethod
    def of_ratios(cls, upper: Sequence[float], lower: Sequence[float]) -> Spread:
        """Of upper / lower, repetition by repetition: what the machine did beside falls on both."""
        return cls.of([a / b for a, b in zip(upper, lower, strict=True)])

    def as_json(self) -> dict:
        return asdict(self)


def said(spread: dict, digits: int = 3) -> str:
    """A `Spread` as JSON holds it, in text: median [low, high], or the value if it is alone."""
    median, low, high = (f"{spread[key]:.{digits}g}" for key in ("median", "low", "high"))
    return f"{median} [{low}, {high}]" if spread["repetitions"] > 1 else f"{median} (once)"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
