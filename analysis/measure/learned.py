"""What the codes of autoencoders are like, and whether a lower error means better codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.measure.statistics import spearman, spearman_interval
from analysis.read.runs import FAILED, Group, Result, Run
from analysis.read.values import column
from search.record.schema import COMPLETE

FEWEST = 5  # trials for a rank correlation
WIDEST = 0.1  # of the units, whose share of the variance is measured

BETTER, WORSE, NEITHER = "better", "worse", "neither"
"""Codes where the error is lower, as the interval of the rank correlation says."""

UNKNOWN = "cannot be judged"
YES, SOMETIMES, NO, NOT_SHOWN = "yes", "sometimes", "no", "not shown"


@dataclass(frozen=True)
class Codes:
    """The codes of validation drawings by one winner; nan is not known.

    Deviations are standard deviations of single units, in the units of the code.
    """

    size: Group
    trial: str
    active_fraction: float
    effective_rank: float
    largest_deviation: float
    median_deviation: float
    widest_units: float  # their number
    widest_share: float  # of all variance

    @property
    def active_units(self) -> float:
        active = self.active_fraction * self.size
        return round(active) if math.isfinite(active) else math.nan


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation with its 95 % interval, over a number of trials; nan for fewer
    than FEWEST, or where a figure never differs."""

    value: float
    low: float
    high: float
    trials: int


@dataclass(frozen=True)
class ErrorAndAccuracy:
    """Validation MSE and probe accuracy of the trials of a code size, or of all of them (None)."""

    size: Group | None
    complete: Correlation  # over the complete trials
    all: Correlation
    lowest_mse: float  # of the trial of lowest error, with its accuracy
    lowest_accuracy: float
    highest_mse: float  # of the trial of highest accuracy
    highest_accuracy: float

    @property
    def verdict(self) -> str:
        """BETTER, WORSE, NEITHER, or UNKNOWN: judged on complete trials."""
        if not math.isfinite(self.complete.value):
            return UNKNOWN
        if self.complete.high < 0:
            return BETTER
        return WORSE if self.complete.low > 0 else NEITHER

    @property
    def cost(self) -> float:
        """How much accuracy is lost if the trial with the lowest error is chosen."""
        return self.highest_accuracy - self.lowest_accuracy


@dataclass(frozen=True)
class Question:
    """Does better reconstruction mean better codes? `trials` are those that count."""

    trials: pd.DataFrame
    left_out: int  # trials that diverged, failed or lack a figure
    by_size: tuple[ErrorAndAccuracy, ...]
    pooled: ErrorAndAccuracy | None  # where there are several sizes

    @property
    def rows(self) -> list[ErrorAndAccuracy]:
        return [*self.by_size, *([self.pooled] if self.pooled else [])]

    @property
    def judged(self) -> list[ErrorAndAccuracy]:
        return [each for each in self.by_size if each.verdict != UNKNOWN]

    @property
    def most_complete(self) -> int:
        """The complete trials of the code size that has most."""
        return max((each.complete.trials for each in self.by_size), default=0)

    @property
    def verdict(self) -> str:
        """Of all sizes that can be judged: YES, SOMETIMES, NO, NOT_SHOWN or UNKNOWN."""
        verdicts = {each.verdict for each in self.judged}
        if BETTER in verdicts:
            return YES if verdicts == {BETTER} else SOMETIMES
        return NO if WORSE in verdicts else NOT_SHOWN if verdicts else UNKNOWN

    @property
    def costliest(self) -> ErrorAndAccuracy | None:
        """Where choosing by the error costs most; None if it costs nothing."""
        most = max(self.judged, key=lambda each: each.cost, default=None)
        return most if most and most.cost > 0 else None


def codes(
    run: Run, chosen: Mapping[Group, Result], spreads: Mapping[Group, np.ndarray]
) -> list[Codes]:
    """`Codes` of each winner. `spreads` are the standard deviations (D,) of code units, falling, of
    the sizes that have them."""
    return [
        _codes(run, size, winner, spreads.get(size, np.zeros(0))) for size, winner in chosen.items()
    ]


def question(run: Run, chosen: Mapping[Group, Result]) -> Question:
    """Measured on all trials that have both figures."""
    trials = measured_trials(run, chosen)
    sizes = [size for size in run.groups if (trials["size"] == size).any()]
    by_size = tuple(_compared(size, trials[trials["size"] == size]) for size in sizes)
    pooled = _compared(None, trials) if len(sizes) > 1 else None
    return Question(trials, len(run.trials) - len(trials), by_size, pooled)


def measured_trials(run: Run, chosen: Mapping[Group, Result]) -> pd.DataFrame:
    """`size`, `error` (validation MSE), `accuracy` (of the probe), `state`, `complete` and `won` of
    the trials that have both figures and neither diverged nor failed."""
    trials = pd.DataFrame(
        {
            "size": run.trials[run.group],
            "error": run.best("validation_mse"),
            "accuracy": run.best("probe_accuracy"),
            "state": run.trials["state"],
            "complete": run.trials["state"] == COMPLETE,
            "won": run.trials["id"].isin({winner.trial for winner in chosen.values()}),
        }
    )
    known = np.isfinite(trials[["size", "error", "accuracy"]].astype(float)).all(axis=1)
    return trials[known & (trials["error"] > 0) & ~trials["state"].isin(FAILED)]


def _codes(run: Run, size: Group, winner: Result, spread: np.ndarray) -> Codes:
    trial = run.trials[run.trials["id"] == winner.trial]
    active, rank = (
        float(column(trial, f"best_{name}").max()) for name in ("active_fraction", "effective_rank")
    )
    variance, widest = np.square(spread), math.ceil(WIDEST * len(spread))
    return Codes(
        size,
        winner.trial,
        active,
        rank,
        float(spread[0]) if len(spread) else math.nan,
        float(np.median(spread)) if len(spread) else math.nan,
        widest or math.nan,
        float(variance[:widest].sum() / variance.sum()) if variance.any() else math.nan,
    )


def _compared(size: Group | None, trials: pd.DataFrame) -> ErrorAndAccuracy:
    lowest = trials.sort_values("error", kind="stable").iloc[0]
    highest = trials.sort_values(["accuracy", "error"], ascending=[False, True]).iloc[0]
    return ErrorAndAccuracy(
        size,
        _correlation(trials[trials["complete"]]),
        _correlation(trials),
        float(lowest["error"]),
        float(lowest["accuracy"]),
        float(highest["error"]),
        float(highest["accuracy"]),
    )


def _correlation(trials: pd.DataFrame) -> Correlation:
    if len(trials) < FEWEST:
        return Correlation(math.nan, math.nan, math.nan, len(trials))
    value = spearman(trials["error"], trials["accuracy"])
    return Correlation(value, *spearman_interval(value, len(trials)), len(trials))
