"""Points of accuracy that one level of a factor costs against another, and when they count."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from analysis.read.autopsy import FORESTS as QUESTION
from analysis.read.autopsy import Autopsy, Measurement

LEAST = 1.0  # points; a smaller difference is no cause of a failure
ONE_SEED = 3.0  # points that one seed alone must show: 400 drawings of 200 classes scatter by 1.5


@dataclass(frozen=True)
class Cost:
    """Points of accuracy lost; `noise` is two standard errors: chance alone can cost as much."""

    points: float
    noise: float

    @property
    def real(self) -> bool:
        return self.points > max(LEAST, self.noise)

    @property
    def gain(self) -> Cost:
        return Cost(-self.points, self.noise)


def lost(good: Measurement, bad: Measurement) -> Cost:
    """What `bad` loses against `good`.

    Differences are taken within a seed, which chooses autoencoder and classes; where the two share
    no seed, the means are compared and the noise is 0.
    """
    better, worse = good.by_seed, bad.by_seed
    losses = [100 * (better[seed] - worse[seed]) for seed in sorted(better.keys() & worse.keys())]
    if not losses:
        return Cost(100 * (good.accuracy - bad.accuracy), 0.0)
    if len(losses) == 1:
        return Cost(losses[0], ONE_SEED)
    return Cost(statistics.fmean(losses), 2 * statistics.stdev(losses) / math.sqrt(len(losses)))


def factors(autopsy: Autopsy) -> list[str]:
    """The factors that were varied for the question why forests fail, in the order of the file."""
    return list(dict.fromkeys(row.factor for row in autopsy.measured(QUESTION)))


def baseline(autopsy: Autopsy, factor: str, probe: str) -> Measurement | None:
    """The baseline of a factor. If it has none, the baseline of another factor: the fit is the
    same."""
    rows = [row for row in autopsy.measured(QUESTION) if row.baseline and row.probe == probe]
    own = (row for row in rows if row.factor == factor)
    return next(own, rows[0] if rows else None)


def levels(autopsy: Autopsy, factor: str, probe: str) -> list[Measurement]:
    """The measurements of a factor, without its baseline."""
    return [
        row
        for row in autopsy.measured(QUESTION)
        if row.factor == factor and row.probe == probe and not row.baseline
    ]


def size(level: str) -> float:
    """A level as a number; infinity if it is not a number."""
    try:
        return float(level)
    except ValueError:
        return math.inf
