"""How large differences by chance are: between seeds, and between choices of test images."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from scipy.special import stdtrit

from analysis.read.runs import Result, Run
from analysis.read.values import number

APART = 2 * math.sqrt(2)
"""Standard deviations over seeds by which two networks must differ to be told apart: twice the
deviation of a difference of two."""


def seed_scatter(results: Iterable[Result], metric: str, relative: bool = False) -> float:
    """Standard deviation over seeds, the root of the mean square over configurations; `relative`
    to each mean. nan if no configuration has two seeds."""
    found = [
        each.deviation(metric) / (each.value(metric) if relative else 1.0)
        for each in results
        if each.value(metric) > 0 and math.isfinite(each.deviation(metric))
    ]
    return math.sqrt(statistics.fmean(value**2 for value in found)) if found else math.nan


def retrained(run: Run) -> list[Result]:
    """Configurations with two seeds or more, each once."""
    listed = [*run.final.winners, *run.final.presets] if run.final else []
    return list({each.trial: each for each in listed if each.seeds > 1}.values())


def chance(share: float, run: Run) -> float:
    """By how much an accuracy varies with the choice of test images: twice the standard deviation
    of a binomial share of that many images; nan if their number is not known."""
    images = number(run.data.get("test"))
    return 2 * math.sqrt(share * (1 - share) / images) if images > 0 else math.nan


def t_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of at least two values and the ends of its 95 % t-interval.

    >>> [round(end, 3) for end in t_interval([0.0, 2.0])]
    [1.0, -11.706, 13.706]
    """
    mean = statistics.fmean(values)
    half = statistics.stdev(values) / math.sqrt(len(values)) * stdtrit(len(values) - 1, 0.975)
    return mean, mean - float(half), mean + float(half)
