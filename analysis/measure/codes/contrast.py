"""How the contrastive term changes what a probe reads from codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.read.runs import Group, Run
from analysis.read.values import column
from search.record.schema import COMPLETE

WITH, WITHOUT = "with the term", "without the term"


@dataclass(frozen=True)
class Contrast:
    """The most accurate complete trials of a code size with and without the term, at their best
    epochs. `curves` holds their probe accuracy by epoch, under WITH and WITHOUT."""

    size: Group
    curves: Mapping[str, pd.Series]
    accuracy: float
    accuracy_without: float
    error: float
    error_without: float
    unwarped: float  # the best accuracy with the term, without warps and affine augmentation

    @property
    def gain(self) -> float:
        return self.accuracy - self.accuracy_without

    @property
    def rise(self) -> float:
        """By how much the reconstruction error is larger with the term, as a share."""
        return self.error / self.error_without - 1 if self.error_without > 0 else math.nan


def contrasts(run: Run) -> list[Contrast]:
    """Of each code size that has complete trials both with the term and without it."""
    trials = _measured(run)
    found = (_contrast(run, size, trials[trials["size"] == size]) for size in run.groups)
    return [each for each in found if each]


def _measured(run: Run) -> pd.DataFrame:
    trials = pd.DataFrame(
        {
            "id": run.trials["id"],
            "size": run.trials[run.group],
            "weight": column(run.trials, "contrastive_weight"),
            "moved": column(run.trials, "warp") + column(run.trials, "affine"),
            "accuracy": run.best("probe_accuracy"),
            "error": run.best("validation_mse"),
        }
    )
    known = np.isfinite(column(trials, "weight")) & np.isfinite(column(trials, "accuracy"))
    return trials[known & (run.trials["state"] == COMPLETE)]


def _contrast(run: Run, size: Group, trials: pd.DataFrame) -> Contrast | None:
    parts = {WITH: trials[trials["weight"] > 0], WITHOUT: trials[trials["weight"] == 0]}
    if any(part.empty for part in parts.values()):
        return None
    best = {
        name: part.sort_values("accuracy", ascending=False, kind="stable").iloc[0]
        for name, part in parts.items()
    }
    still = parts[WITH][parts[WITH]["moved"] == 0]
    return Contrast(
        size,
        {name: _curve(run, trial["id"]) for name, trial in best.items()},
        float(best[WITH]["accuracy"]),
        float(best[WITHOUT]["accuracy"]),
        float(best[WITH]["error"]),
        float(best[WITHOUT]["error"]),
        float(still["accuracy"].max()) if len(still) else math.nan,
    )


def _curve(run: Run, trial: str) -> pd.Series:
    rows = run.epochs[run.epochs["id"] == trial]
    values = pd.Series(column(rows, "probe_accuracy").to_numpy(), rows["epoch"].to_numpy())
    return values[np.isfinite(values)].sort_index()
