"""What early stopping cost: how the control trials ended that ASHA would have stopped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.measure.statistics import share_at_most
from analysis.read.runs import Group, Run
from analysis.read.values import column, finite
from search.record.schema import COMPLETE, DIVERGED


@dataclass(frozen=True)
class Spared:
    """A control trial that a rung would have stopped, and its result; `rest` is the best of its
    group's complete trials that were not spared.

    `gain` is positive where it beat them: in hundredths of their error, or of accuracy.
    """

    group: Group
    trial: str
    state: str
    epoch: int  # after which it would have been stopped
    then: float  # the metric at that epoch
    best: float
    rest: float
    gain: float

    @property
    def judged(self) -> bool:
        """Whether it ran to its end, and there is a trial to compare it with."""
        return self.state in (COMPLETE, DIVERGED) and math.isfinite(self.rest)

    @property
    def won(self) -> bool:
        return self.judged and self.state == COMPLETE and self.gain > 0


@dataclass(frozen=True)
class Control:
    """The control sample: one of `every` rounds of trials is in it; 0 for none."""

    every: float
    spared: tuple[Spared, ...]  # the trial furthest ahead first

    @property
    def judged(self) -> list[Spared]:
        return [each for each in self.spared if each.judged]

    @property
    def won(self) -> list[Spared]:
        return [each for each in self.judged if each.won]

    @property
    def share_at_most(self) -> float:
        """The largest share of stopped trials that would have won, at 95 %."""
        return share_at_most(len(self.won), len(self.judged))

    @property
    def gains(self) -> list[float]:
        """Of those that won, the smallest first."""
        return sorted(each.gain for each in self.won)

    @property
    def nearest(self) -> float:
        """By how much the best of the trials that lost is behind; nan if none has a value."""
        behind = [-each.gain for each in self.judged if math.isfinite(each.gain)]
        return min(behind, default=math.nan)

    def by_group(self) -> dict[Group, list[Spared]]:
        found: dict[Group, list[Spared]] = {}
        for each in self.spared:
            found.setdefault(each.group, []).append(each)
        return found


def control(run: Run) -> Control:
    trials = run.trials.assign(spared_at=column(run.trials, "spared_at"), best=run.best())
    found: list[Spared] = []
    for group in run.groups:
        members = trials[trials[run.group] == group]
        condemned = np.isfinite(members["spared_at"])
        others = run.sign * members.loc[~condemned & (members["state"] == COMPLETE), "best"]
        rest = run.sign * others[np.isfinite(others)].min() if len(others) else math.nan
        for trial in members[condemned].to_dict("records"):
            epoch, best = int(trial["spared_at"]), trial["best"]
            then, gain = _value(run, trial["id"], epoch), _gain(run, best, rest)
            found.append(Spared(group, trial["id"], trial["state"], epoch, then, best, rest, gain))
    found.sort(key=lambda each: -each.gain if math.isfinite(each.gain) else math.inf)
    return Control(finite(run.settings.get("control_every"), 0.0), tuple(found))


def best_unspared(run: Run, group: Group) -> str:
    """The id of the best complete trial of a group, control trials that would have been stopped
    left out; empty if there is none."""
    value = run.sign * run.best()
    usable = (run.trials[run.group] == group) & (run.trials["state"] == COMPLETE)
    usable &= np.isfinite(value) & column(run.trials, "spared_at").isna()
    ranked = run.trials[usable].assign(value=value[usable]).sort_values(["value", "number"])
    return "" if ranked.empty else ranked["id"].iloc[0]


def _gain(run: Run, best: float, rest: float) -> float:
    if run.maximised:
        return 100 * (best - rest)
    return 100 * (rest - best) / rest if rest > 0 else math.nan


def _value(run: Run, trial: str, epoch: int) -> float:
    here = (run.epochs["id"] == trial) & (run.epochs["epoch"] == epoch)
    found = column(run.epochs, run.metric)[here]
    return float(found.iloc[0]) if len(found) else math.nan
