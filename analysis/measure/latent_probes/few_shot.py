"""Accuracy on characters that no training has seen, from a few drawings of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

from analysis.read.runs import Run
from analysis.read.values import entries, number
from probes.codes.published import PUBLISHED


@dataclass(frozen=True)
class FewShot:
    """Accuracy of one kind of features by the number of classes (ways) and of labelled drawings of
    each class (shots); nan if not known."""

    features: str  # a code size, "pixels", or a published method with its source
    ways: float
    shots: float
    accuracy: float
    low: float = math.nan  # of the 95 % interval
    high: float = math.nan
    queries: float = math.nan  # of each class
    episodes: float = math.nan
    published: bool = False


def few_shot(run: Run) -> list[FewShot] | None:
    """The codes of a run, the largest first, and pixels; None where final.json is missing or says
    nothing of it."""
    if run.final is None or not isinstance(run.final.entry.get("few_shot"), list):
        return None
    keys = ("ways", "shots", "accuracy", "low", "high", "queries", "episodes")
    found = [
        FewShot(str(entry["code"]), *(number(entry.get(key)) for key in keys))
        for entry in entries(run.final.entry, "few_shot")
        if entry.get("code")
    ]
    return sorted(found, key=lambda each: -int(each.features) if each.features.isdecimal() else 0)


def published() -> list[FewShot]:
    return [
        FewShot(f"{each.method} ({each.source})", ways, shots, value, published=True)
        for each in PUBLISHED
        for (ways, shots), value in each.accuracy.items()
    ]
