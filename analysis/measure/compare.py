"""Runs of one command on the same data set, split and metric, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.measure.course.progress import MOST_GROUPS
from analysis.read.runs import STATES, Group, Result, Run, ordered, winners
from analysis.read.values import mapping

MOST_RUNS = 5  # columns of a table that can be read, and lines of a panel

_NOT_LISTED = ("name", "resume", "storage_path", "seed", "budget")
"""Settings that say where a run is, or that have a row of their own."""

_IDENTITY = ("start", "state", "seed", "budget", "git_commit", "device", "seconds")
"""What run.json says about each run, whether the runs differ in it or not."""


@dataclass(frozen=True)
class Best:
    """The winner of a group in one run, and how far it is from that of the first run.

    `metric` is of the test split, or of the search where nothing was retrained. `difference` is nan
    for the first run, and where only one of the two was retrained. `deviations` is the root of the
    sum of both squared deviations over seeds.
    """

    group: Group
    run: str
    metric: str
    winner: Result
    difference: float = math.nan
    deviations: float = math.nan

    @property
    def value(self) -> float:
        return self.winner.value(self.metric)

    @property
    def beyond(self) -> bool | None:
        """Whether the difference is more than the deviations; None where either is not known."""
        known = math.isfinite(self.difference) and math.isfinite(self.deviations)
        return abs(self.difference) > self.deviations if known else None


@dataclass(frozen=True)
class Comparison:
    """Runs of one question, oldest first."""

    runs: tuple[Run, ...]  # the newest MOST_RUNS
    found: int  # how many there are
    identity: dict[str, list[Any]]  # a value per run
    counts: dict[str, list[int]]  # trials by state
    settings: dict[str, list[Any]]  # those in which the runs differ
    data: dict[str, list[Any]]  # likewise of the data set; "sha256" is of its arrays
    space: list[list[str]] = field(default_factory=list)  # parameters not searched as in the first
    best: tuple[Best, ...] = ()
    drawn: tuple[Group, ...] = ()  # groups that a picture has room for

    @property
    def same_images(self) -> bool:
        return "sha256" not in self.data

    @property
    def groups(self) -> list[Group]:
        return ordered(each.group for each in self.best)

    @property
    def any_searched(self) -> bool:
        """Whether a figure is of the search itself, because nothing was retrained."""
        return any(each.winner.trial and not each.winner.seeds for each in self.best)

    @property
    def any_short(self) -> bool:
        """Whether a winner had less than the full budget."""
        return any(each.winner.state not in ("", "complete") for each in self.best)


def compare(runs: Sequence[Run]) -> Comparison:
    """Of at least one run."""
    shown = tuple(runs[-MOST_RUNS:])
    counts = [run.counts for run in shown]
    states = [*STATES, *sorted({state for each in counts for state in each} - {*STATES})]
    by_state = {state: [each.get(state, 0) for each in counts] for state in states}
    keys = dict.fromkeys(key for run in shown for key in run.settings if key not in _NOT_LISTED)
    data = {
        key: [run.data.get(key) for run in shown]
        for key in ("train", "validation", "test", "classes", "sha256")
    }
    groups = ordered(group for run in shown for group in run.groups)
    return Comparison(
        runs=shown,
        found=len(runs),
        identity={key: [run.info.get(key) for run in shown] for key in _IDENTITY},
        counts={state: values for state, values in by_state.items() if any(values)},
        settings=_differing({key: [_setting(run, key) for run in shown] for key in keys}),
        data=_differing(data),
        space=[_space_beside(run, shown[0]) for run in shown],
        best=tuple(_best(shown, groups)),
        drawn=tuple(_leading(shown[-1], groups)),
    )


def _setting(run: Run, key: str) -> Any:
    """None for an empty list too: an older run lacks what is empty in a newer one."""
    value = run.settings.get(key)
    return None if value == [] else value


def _differing(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {key: values for key, values in rows.items() if any(v != values[0] for v in values)}


def _space_beside(run: Run, first: Run) -> list[str]:
    here, there = (
        mapping(mapping(each.info.get("space")).get("distributions")) for each in (run, first)
    )
    return [name for name in {**here, **there} if here.get(name) != there.get(name)]


def _best(runs: Sequence[Run], groups: Sequence[Group]) -> list[Best]:
    chosen = [winners(run) for run in runs]
    return [
        _beside(run, group, found.get(group), chosen[0].get(group) if run is not runs[0] else None)
        for group in groups
        for run, found in zip(runs, chosen, strict=True)
    ]


def _beside(run: Run, group: Group, winner: Result | None, first: Result | None) -> Best:
    if winner is None:
        return Best(group, run.name, run.metric, Result())
    test = f"test_{run.metric.removeprefix('validation_')}"
    metric = test if winner.seeds else run.metric
    if first is None or bool(first.seeds) != bool(winner.seeds):
        return Best(group, run.name, metric, winner)
    return Best(
        group,
        run.name,
        metric,
        winner,
        winner.value(metric) - first.value(metric),
        math.hypot(winner.deviation(metric), first.deviation(metric)),
    )


def _leading(newest: Run, groups: Sequence[Group]) -> list[Group]:
    """The groups of the best winners, in their own order."""
    chosen = winners(newest)

    def rank(group: Group) -> float:
        value = chosen[group].own(newest.metric) if group in chosen else math.nan
        return newest.sign * value if math.isfinite(value) else math.inf

    best = sorted(groups, key=rank)[:MOST_GROUPS]
    return [group for group in groups if group in best]
