"""Whether sampling found configurations that are better than the presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.measure.course.own_space import own_space
from analysis.measure.course.warnings import seed_deviation
from analysis.read.runs import Group, Result, Run
from search.record.schema import COMPLETE

DEVIATIONS = 2  # over seeds: a smaller difference may be one of seeds alone


@dataclass(frozen=True)
class Contest:
    """The best sampled trial of a group beside its best preset, both with the full budget, by the
    searched metric on the validation split."""

    group: Group
    sampled: str  # id of its trial
    sampled_value: float
    preset: str
    preset_value: float
    better: float  # how much better the sampled one is; negative if the preset is better
    deviation: float  # of the winner's seeds; nan if it is not known

    @property
    def known(self) -> bool:
        """Whether it is known how much seeds differ."""
        return math.isfinite(self.deviation)

    @property
    def decided(self) -> bool:
        """Whether the two differ by more than seeds do."""
        return abs(self.better) > DEVIATIONS * self.deviation


def contests(run: Run, chosen: Mapping[Group, Result]) -> list[Contest]:
    """A contest for each group that has trials of both kinds. `chosen` are the winners of the run.

    A winner of another run that begins this search was found by that search. It counts as sampled,
    unless it is a preset of this one."""
    sampled = run.sampled | run.trials["preset"].isin(_found_elsewhere(run))
    found = []
    for group, winner in chosen.items():
        complete = (run.trials["state"] == COMPLETE) & (run.trials[run.group] == group)
        ours, theirs = (_best(run, complete & kind) for kind in (sampled, ~sampled))
        if ours is None or theirs is None:
            continue
        values = [float(run.best()[row.name]) for row in (ours, theirs)]
        found.append(
            Contest(
                group,
                ours["id"],
                values[0],
                theirs["preset"],
                values[1],
                run.sign * (values[1] - values[0]),
                seed_deviation(run, winner),
            )
        )
    return found


def _found_elsewhere(run: Run) -> set[str]:
    return {start.preset for start in own_space(run).starts if start.preset.startswith(start.run)}


def _best(run: Run, rows: pd.Series) -> pd.Series | None:
    values = (run.sign * run.best())[rows].dropna()
    return None if values.empty or math.isinf(values.min()) else run.trials.loc[values.idxmin()]
