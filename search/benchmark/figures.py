"""Figures of a benchmark: medians with their spread, and ratios taken repetition by repetition."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float]) -> dict:
    """The median of some repetitions, with the smallest and the largest; JSON-ready."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "repetitions": len(values),
    }


def ratio_spread(upper: Sequence[float], lower: Sequence[float]) -> dict:
    """The spread of upper / lower, repetition by repetition: other work of the machine slows both
    sides of a ratio."""
    return spread([a / b for a, b in zip(upper, lower, strict=True)])


def spread_text(found: dict, digits: int = 3) -> str:
    """A spread as "median [low, high]", or "value (once)" for one repetition."""
    median, low, high = (f"{found[key]:.{digits}g}" for key in ("median", "low", "high"))
    return f"{median} [{low}, {high}]" if found["repetitions"] > 1 else f"{median} (once)"
