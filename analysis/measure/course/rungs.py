"""ASHA's rungs: which trials entered, which were stopped, and how well an early rank predicts the
final one.

A rung is an epoch at which a trial is compared with the trials of its group that reached it before.
The search lets the trial go on if it is among the best third. Only sampled trials enter rungs.
Presets run to the end without them. A control trial that a rung would have stopped goes on to the
end, but enters no further rung.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.measure.statistics import spearman
from analysis.read.runs import FAILED, Group, Run
from analysis.read.values import column
from search.record.schema import (
    COMPLETE,
    PAUSE,
    PROMOTE,
    REASON_PAUSED,
    REASON_TIME,
    SPARE,
    STOP,
    TIME_LIMIT,
)

FEWEST_COMMON = 4  # trials for a rank correlation
STEADY, PARTLY, LITTLE = "steady", "partly", "little"
_VERDICTS = ((0.8, STEADY), (0.5, PARTLY), (-math.inf, LITTLE))  # of a median rank correlation
_FEW = 20  # trials of which a rank correlation of 0.5 may still be chance


@dataclass(frozen=True)
class Rung:
    """Trials of a group at one rung: `entered` = `passed` + `stopped` + `spared`.

    Of those that passed, `timed_out` were stopped for the time they took and `lost` diverged or
    raised an error before the next rung.
    """

    group: Group
    epoch: int
    entered: int
    passed: int
    stopped: int
    spared: int  # control trials that would have been stopped
    timed_out: int
    lost: int

    @property
    def share_passed(self) -> float:
        return self.passed / self.entered if self.entered else math.nan


@dataclass(frozen=True)
class Rungs:
    """Every rung of every group that a sampled trial was tried in, empty ones too."""

    epochs: tuple[int, ...]  # of the rungs; empty where the search has none, or does not say
    grace: float  # epochs before the first rung; nan where run.json does not say it
    last: float  # epoch of the budget; nan likewise
    rungs: tuple[Rung, ...]
    outside: int  # sampled trials that entered no rung

    @property
    def entered(self) -> int:
        return sum(rung.entered for rung in self.rungs)

    @property
    def passed(self) -> int:
        return sum(rung.passed for rung in self.rungs)

    @property
    def stopped(self) -> int:
        return sum(rung.stopped for rung in self.rungs)

    @property
    def spared(self) -> int:
        return sum(rung.spared for rung in self.rungs)

    @property
    def epochs_saved(self) -> int:
        """By stopping, if every stopped trial would have run to the end."""
        return int(sum((self.last - rung.epoch) * rung.stopped for rung in self.rungs))

    def by_group(self) -> dict[Group, list[Rung]]:
        found: dict[Group, list[Rung]] = {}
        for rung in self.rungs:
            found.setdefault(rung.group, []).append(rung)
        return {group: rungs for group, rungs in found.items() if any(r.entered for r in rungs)}


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of the metric at two epochs, over the `trials` of a group that
    reached both; nan where they are too few, or all alike."""

    group: Group
    early: int
    late: int
    trials: int
    rho: float


@dataclass(frozen=True)
class Correlations:
    """Each pair of rungs of each group, the last epoch among them."""

    found: tuple[Correlation, ...]

    @property
    def known(self) -> bool:
        return any(math.isfinite(each.rho) for each in self.found)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return sorted({(each.early, each.late) for each in self.found})

    @property
    def first(self) -> int:
        return min(each.early for each in self.found)

    @property
    def last(self) -> int:
        return max(each.late for each in self.found)

    @property
    def from_first_to_last(self) -> list[Correlation]:
        """Of each group where it is known."""
        ends = (self.first, self.last)
        return [
            each
            for each in self.found
            if (each.early, each.late) == ends and math.isfinite(each.rho)
        ]

    @property
    def rhos(self) -> list[float]:
        """From the first rung to the last epoch, the lowest first."""
        return sorted(each.rho for each in self.from_first_to_last)

    @property
    def median(self) -> float:
        return float(np.median(self.rhos)) if self.rhos else math.nan

    @property
    def trials(self) -> int:
        return sum(each.trials for each in self.from_first_to_last)

    @property
    def verdict(self) -> str:
        """Whether the order at the first rung is that at the end: STEADY, PARTLY or LITTLE; empty
        where it is not known."""
        return next((word for least, word in _VERDICTS if self.median >= least), "")

    @property
    def is_a_hint(self) -> bool:
        """Whether the trials are too few for a proof."""
        return self.trials < _FEW


def rungs(run: Run) -> Rungs:
    """Read from the decisions of epochs.csv. A trial stopped for its time at a rung passed it, and
    so did a paused trial that was called back."""
    trials = run.trials.assign(group=run.trials[run.group]).loc[run.sampled]
    judged = run.epochs["decision"].isin([PROMOTE, STOP, PAUSE, SPARE, TIME_LIMIT])
    found = run.epochs[judged & run.epochs["epoch"].isin(run.rungs)]
    found = found[["id", "epoch", "decision"]].merge(trials[["id", "group", "state", "reason"]])
    reached = run.epochs.groupby("id")["epoch"].max()
    waits = (found["reason"] == REASON_PAUSED) & (found["epoch"] == found["id"].map(reached))
    paused = found["decision"] == PAUSE
    found["decision"] = found["decision"].mask(paused, PROMOTE).mask(paused & waits, STOP)
    found["last"] = found["epoch"] == found.groupby("id")["epoch"].transform("max")
    groups = [group for group in run.groups if (found["group"] == group).any()]
    return Rungs(
        tuple(run.rungs),
        run.grace_epochs,
        run.max_epochs,
        tuple(_rung(found, group, epoch) for group in groups for epoch in run.rungs),
        len(trials) - found["id"].nunique(),
    )


def complete_samples(run: Run, group: Group) -> int:
    """Sampled trials of a group that reached the last epoch."""
    members = run.sampled & (run.trials[run.group] == group)
    return int((members & (run.trials["state"] == COMPLETE)).sum())


def rank_correlations(run: Run) -> Correlations:
    """For each group that has a trial, each pair of rungs, the last epoch among them."""
    if not run.rungs:
        return Correlations(())
    epochs = [*run.rungs, int(run.max_epochs)]
    records = run.epochs[["id", "epoch"]].assign(value=column(run.epochs, run.metric))
    records = records[np.isfinite(records["value"]) & records["epoch"].isin(epochs)]
    values = records.pivot(index="id", columns="epoch", values="value").reindex(columns=epochs)
    found = [
        _correlation(group, early, late, values[values.index.isin(ids)])
        for group in run.groups
        if len(ids := set(run.trials.loc[run.trials[run.group] == group, "id"]))
        for early, late in combinations(epochs, 2)
    ]
    return Correlations(tuple(found))


def _rung(found: pd.DataFrame, group: Group, epoch: int) -> Rung:
    here = found[(found["group"] == group) & (found["epoch"] == epoch)]
    passed = here["decision"].isin([PROMOTE, TIME_LIMIT])
    ended = here[here["last"] & passed]
    return Rung(
        group,
        epoch,
        entered=len(here),
        passed=int(passed.sum()),
        stopped=int((here["decision"] == STOP).sum()),
        spared=int((here["decision"] == SPARE).sum()),
        timed_out=int((ended["reason"] == REASON_TIME).sum()),
        lost=int(ended["state"].isin(FAILED).sum()),
    )


def _correlation(group: Group, early: int, late: int, values: pd.DataFrame) -> Correlation:
    both = values[[early, late]].dropna()
    enough = len(both) >= FEWEST_COMMON
    rho = spearman(both[early], both[late]) if enough else math.nan
    return Correlation(group, early, late, len(both), rho)
