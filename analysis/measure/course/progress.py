"""What a search had found at each time: the best so far, and what it had cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.read.runs import FAILED, Group, Run
from analysis.read.values import column

MOST_GROUPS = 6  # that a picture has room for
CLOSE, CLOSE_ACCURACY = 0.05, 0.01
"""How near the best counts as nearly arrived: relative for an error, absolute for an accuracy."""


@dataclass(frozen=True)
class Arrival:
    """When a group found its best, and when it had nearly arrived."""

    group: Group
    best: float
    trial: int  # the number of trials begun when the best was found
    share: float  # of all epochs of the search, when it was found
    close: float  # likewise, when it had nearly arrived


def progress(run: Run) -> pd.DataFrame:
    """A row per epoch of any trial, trials in order of their number: group, trials started so far,
    epochs and seconds of all trials so far, and the group's best value so far.

    Trials that diverged or failed cost their time, but are left out of the best, as they are of
    every choice. Seconds are nan where epochs.csv has none.
    """
    order = run.trials.sort_values(["number", "id"])[["id", "state", run.group]]
    order = order.rename(columns={run.group: "group"}).assign(trials=range(1, len(order) + 1))
    seconds, value = column(run.epochs, "seconds"), column(run.epochs, run.metric)
    frame = run.epochs[["id", "epoch"]].assign(seconds=seconds, value=value)
    frame = frame.merge(order, on="id").sort_values(["trials", "epoch"], ignore_index=True)
    usable = np.isfinite(frame["value"]) & ~frame["state"].isin(FAILED)
    lowest = (run.sign * frame["value"]).where(usable).groupby(frame["group"]).cummin()
    timed = frame["seconds"].notna().any()
    return pd.DataFrame(
        {
            "group": frame["group"],
            "trial": frame["id"],
            "trials": frame["trials"],
            "epochs": np.arange(1, len(frame) + 1),
            "seconds": frame["seconds"].fillna(0).cumsum() if timed else math.nan,
            "best": run.sign * lowest.groupby(frame["group"]).ffill(),
        }
    )


def best_groups(run: Run, course: pd.DataFrame) -> list[Group]:
    """The groups with a value, in the run's order; where there are many, the best of them.
    `course` is `progress(run)`."""
    best = {
        group: run.sign * values.iloc[-1]
        for group in run.groups
        if len(values := course.loc[course["group"] == group, "best"].dropna())
    }
    kept = sorted(best, key=best.__getitem__)[:MOST_GROUPS]
    return [group for group in best if group in kept]


def largest_groups(sizes: Mapping[Group, int]) -> list[Group]:
    """As many of the groups as a picture has room for: the largest, in their own order."""
    kept = sorted(sizes, key=lambda group: -sizes[group])[:MOST_GROUPS]
    return [group for group in sizes if group in kept]


def arrivals(run: Run, course: pd.DataFrame, groups: Iterable[Group]) -> list[Arrival]:
    """Of each of the groups, which all have a value."""
    return [_arrival(run, course, group) for group in groups]


def _arrival(run: Run, course: pd.DataFrame, group: Group) -> Arrival:
    epochs = course["epochs"].max()
    best = course[(course["group"] == group) & np.isfinite(course["best"])]
    end = best["best"].iloc[-1]
    found = best[best["best"] == end].iloc[0]
    near = (
        best["best"] >= end - CLOSE_ACCURACY if run.maximised else best["best"] <= end * (1 + CLOSE)
    )
    return Arrival(
        group,
        float(end),
        int(found["trials"]),
        float(found["epochs"] / epochs),
        float(best.loc[near, "epochs"].iloc[0] / epochs),
    )
