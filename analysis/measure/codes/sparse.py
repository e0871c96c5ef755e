"""The error of sparse codes against their active units, beside PCA and dense codes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.measure.claims.autoencoders import decrease, least_share
from analysis.read.results import EXACT
from analysis.read.runs import Group, Run
from analysis.read.values import column, mapping, number
from search.record.schema import COMPLETE

KINDS = {"relu": "L1 and ReLU", "topk": "top-k"}  # code_activation -> what the report calls it
LINEAR, PCA = "linear", "PCA"
COMPARED_AT = 64  # active units of a code that are compared with as many components of PCA

COSTS, HELPS, NEITHER, ONE_SEED = "costs", "helps", "neither", "one seed"


@dataclass(frozen=True)
class Line:
    """The lowest errors (validation MSE) that are known at rising numbers of active units."""

    name: str
    units: tuple[float, ...]
    errors: tuple[float, ...]

    def at_most(self, units: float) -> float:
        """The lowest error with at most that many active units; nan if there is none."""
        pairs = zip(self.units, self.errors, strict=True)
        return min((error for count, error in pairs if count <= units), default=math.nan)


@dataclass(frozen=True)
class Sparse:
    """Complete trials of one code size; `dense` and `best` are the lowest errors of codes that are
    not sparse and of those that are."""

    size: Group
    lines: tuple[Line, ...]  # one for each kind of KINDS that has a trial, then PCA
    dense: float
    best: float
    least: float  # the least difference that counts, as a share of the error

    @property
    def verdict(self) -> str:
        """COSTS, HELPS or NEITHER; ONE_SEED where no scatter over seeds is known; empty without a
        code to compare with."""
        change = decrease(self.dense, self.best)
        if not math.isfinite(change):
            return ""
        if not math.isfinite(self.least):
            return ONE_SEED
        return NEITHER if abs(change) <= self.least else HELPS if change > 0 else COSTS

    @property
    def beside_pca(self) -> list[tuple[str, float, float]]:
        """For each kind: its name, its error at COMPARED_AT active units at most, and PCA's."""
        known = {line.name: line.at_most(COMPARED_AT) for line in self.lines}
        pca = known.pop(PCA, math.nan)
        return [
            (name, error, pca) for name, error in known.items() if math.isfinite(error) and pca > 0
        ]


def sparse(run: Run) -> Sparse | None:
    """Of the largest code size with a sparse complete trial; None if there is none."""
    trials = _measured(run)
    sizes = set(trials.loc[trials["kind"].isin(KINDS), "size"])
    size = next((each for each in run.groups if each in sizes), None)
    if size is None:
        return None
    trials = trials[trials["size"] == size]
    of_kind = {kind: trials[trials["kind"] == kind] for kind in (*KINDS, LINEAR)}
    lines = [
        _line(name, of_kind[kind]["units"], of_kind[kind]["error"])
        for kind, name in KINDS.items()
        if len(of_kind[kind])
    ]
    lowest = {kind: float(rows["error"].min()) for kind, rows in of_kind.items()}
    return Sparse(
        size,
        (*lines, *_pca(run)),
        lowest[LINEAR],
        float(np.nanmin([lowest[kind] for kind in KINDS])),
        least_share(run),
    )


def _measured(run: Run) -> pd.DataFrame:
    """`size`, `kind`, `units` and `error` of the complete trials that have these figures."""
    if "code_activation" not in run.trials:  # an older run
        return pd.DataFrame(columns=["size", "kind", "units", "error"])
    trials = pd.DataFrame(
        {
            "size": run.trials[run.group],
            "kind": run.trials["code_activation"],
            "units": run.best("units_per_image"),
            "error": run.best("validation_mse"),
        }
    )
    known = np.isfinite(column(trials, "units")) & np.isfinite(column(trials, "error"))
    return trials[known & (trials["error"] > 0) & (run.trials["state"] == COMPLETE)]


def _line(name: str, units: pd.Series, errors: pd.Series) -> Line:
    """Without the points that another point beats with fewer units."""
    pairs, lowest = [], math.inf
    for count, error in sorted(zip(units.astype(float), errors.astype(float), strict=True)):
        if error < lowest:
            pairs.append((count, error))
            lowest = error
    return Line(name, tuple(count for count, _ in pairs), tuple(error for _, error in pairs))


def _pca(run: Run) -> list[Line]:
    floors = run.final.floors if run.final else {}
    entries = [*mapping(floors.get("pca_curve")).values(), *mapping(floors.get("pca")).values()]
    found = {
        number(mapping(entry).get("components")): number(mapping(entry).get("validation_mse"))
        for entry in entries
    }
    known = pd.Series(
        {count: error for count, error in found.items() if count > 0 and error > EXACT}
    )
    return [_line(PCA, known.index.to_series(), known)] if len(known) else []
