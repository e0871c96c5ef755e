"""ASHA's rungs, told anew from the epochs of a run: who entered, who was stopped, what ranks say.

A rung is an epoch at which a trial is set against those of its group that were there before: the
search lets it go on if it is no worse than the value that parts the best third of them from the
rest. Only sampled trials stand on rungs. Presets run to the end outside of them; a control trial
that a rung would have stopped goes on to the end, but enters no further rung.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, rankdata

from analysis.read.runs import FAILED, Group, Run, column, number

REDUCTION_FACTOR = 3  # the search's; run.json does not record it
FEWEST_COMMON = 4  # trials that a rank correlation is computed of
TOOK_TOO_LONG = "it took"  # how the reason begins of a trial that was stopped for its time
STOPPED, SPARED, PASSED = "stopped", "spared", "passed"


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
class Spared:
    """A control trial that a rung would have stopped, and what it came to; `rest` is the best of
    its group's complete trials that were not spared. `gain` is positive where it beat them."""

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
        """Whether it was seen to its end, and there is something to set it against."""
        return self.state in ("complete", "diverged") and math.isfinite(self.rest)

    @property
    def won(self) -> bool:
        return self.judged and self.state == "complete" and self.gain > 0


def milestones(run: Run) -> list[int]:
    """The epochs of the rungs; none where run.json does not say them.

    As Ray sets them: grace, 3 grace, 9 grace, ... below the last epoch, where nothing is decided.
    """
    grace = number(run.settings.get("grace_epochs"))
    last = number(run.settings.get("max_epochs"))
    if not (grace >= 1 and last < math.inf):
        return []
    found = [int(grace)]
    while found[-1] < last:
        found.append(found[-1] * REDUCTION_FACTOR)
    return found[:-1]


def entries(run: Run) -> pd.DataFrame:
    """A row per sampled trial and rung that it entered: id, group, state, rung, outcome
    (`stopped`, `spared` or `passed`), and whether it was the trial's last."""
    rows: list[dict[str, Any]] = []
    trials, epochs = run.trials[run.trials["preset"].isin(["sampled", ""])], milestones(run)
    curves = dict(tuple(_ranked(run).groupby("id")["epoch"]))
    ends = run.epochs.groupby("id")["epoch"].max()
    timed, spared_at = timed_out(run), column(run.trials, "spared_at")
    for place, trial in trials.iterrows():
        mine = _entered(curves.get(trial["id"], ()), epochs, spared_at[place])
        stopped = trial["state"] == "pruned" and not timed[place]
        for rung, epoch in mine.items():
            outcome = SPARED if epoch == spared_at[place] else PASSED
            rows.append(
                {
                    "id": trial["id"],
                    "group": trial[run.group],
                    "state": trial["state"],
                    "timed_out": bool(timed[place]),
                    "rung": rung,
                    "outcome": STOPPED if stopped and epoch == ends[trial["id"]] else outcome,
                    "last": rung == max(mine),
                }
            )
    names = ["id", "group", "state", "timed_out", "rung", "outcome", "last"]
    return pd.DataFrame(rows, columns=names)


def rungs(run: Run) -> list[Rung]:
    """Every rung of every group that a sampled trial was tried in, empty ones too."""
    found = entries(run)
    groups = [group for group in run.groups if (found["group"] == group).any()]
    return [_rung(found, group, epoch) for group in groups for epoch in milestones(run)]


def timed_out(run: Run) -> pd.Series:
    """Which trials were stopped for the time they took, and not for their rank."""
    reasons = run.trials.get("reason", pd.Series("", run.trials.index)).astype(str)
    return (run.trials["state"] == "pruned") & reasons.str.startswith(TOOK_TOO_LONG)


def complete_samples(run: Run, group: Group) -> int:
    """Sampled trials of a group that reached the last epoch."""
    trials = run.trials[run.trials["preset"].isin(["sampled", ""])]
    return int(((trials[run.group] == group) & (trials["state"] == "complete")).sum())


def rank_correlations(run: Run) -> list[Correlation]:
    """For each group that has a trial, each pair of rungs, the last epoch among them."""
    ends = milestones(run)
    if not ends:
        return []
    epochs = [*ends, int(number(run.settings.get("max_epochs")))]
    records = run.epochs[["id", "epoch"]].assign(value=column(run.epochs, run.metric))
    records = records[np.isfinite(records["value"]) & records["epoch"].isin(epochs)]
    values = records.pivot(index="id", columns="epoch", values="value").reindex(columns=epochs)
    return [
        _correlation(group, early, late, values[values.index.isin(ids)])
        for group in run.groups
        if len(ids := set(run.trials.loc[run.trials[run.group] == group, "id"]))
        for early, late in combinations(epochs, 2)
    ]


def spared(run: Run) -> list[Spared]:
    """The control trials that a rung would have stopped, by group."""
    trials = run.trials.assign(
        spared_at=column(run.trials, "spared_at"), best=column(run.trials, f"best_{run.metric}")
    )
    sign = -1 if run.info.get("mode") == "max" else 1
    found: list[Spared] = []
    for group in run.groups:
        mine = trials[trials[run.group] == group]
        condemned = np.isfinite(mine["spared_at"])
        rest = sign * _lowest(sign * mine.loc[~condemned & (mine["state"] == "complete"), "best"])
        for trial in mine[condemned].to_dict("records"):
            epoch, gain = int(trial["spared_at"]), sign * (rest - trial["best"])
            then = _value(run, trial["id"], epoch)
            reached = (then, trial["best"], rest, gain)
            found.append(Spared(group, trial["id"], trial["state"], epoch, *reached))
    return found


def best_unspared(run: Run, group: Group) -> str:
    """The id of the trial that leads a group's complete ones without the control trials that would
    have been stopped; empty if there is none."""
    value = column(run.trials, f"best_{run.metric}")
    usable = (run.trials[run.group] == group) & (run.trials["state"] == "complete")
    usable &= np.isfinite(value) & column(run.trials, "spared_at").isna()
    sign = -1 if run.info.get("mode") == "max" else 1
    ranked = run.trials[usable].assign(value=sign * value[usable]).sort_values(["value", "number"])
    return "" if ranked.empty else ranked["id"].iloc[0]


def share_at_most(won: int, of: int) -> float:
    """The largest share that `won` of `of` still allows, at 95 % (exact binomial, one-sided).

    >>> round(share_at_most(0, 30), 3), share_at_most(0, 0)
    (0.095, 1.0)
    """
    if not of:
        return 1.0
    return float(binomtest(won, of, alternative="less").proportion_ci(method="exact").high)


def spearman(first: Iterable[float], second: Iterable[float]) -> float:
    """Rank correlation of two series of one length; nan where either is constant.

    >>> spearman([1, 2, 3, 4], [1, 4, 9, 16]), spearman([1, 2, 3, 4], [2, 2, 2, 2])
    (1.0, nan)
    """
    ranks = [rankdata(list(values)) for values in (first, second)]
    if any(np.ptp(each) == 0 for each in ranks):
        return math.nan
    return round(float(np.corrcoef(*ranks)[0, 1]), 12)


def _ranked(run: Run) -> pd.DataFrame:
    """The records on which the search decides: a value, and epochs still to come."""
    finite = np.isfinite(column(run.epochs, run.metric))
    if "train_loss" in run.epochs:
        finite &= np.isfinite(column(run.epochs, "train_loss"))
    return run.epochs[finite & (run.epochs["epoch"] < number(run.settings.get("max_epochs")))]


def _entered(epochs: Iterable[float], rungs: list[int], spared_at: float) -> dict[int, int]:
    """The rungs that a trial entered, each with the epoch at which it did.

    As Ray does it: at every epoch the highest rung not above it, if that was not entered yet, else
    the next lower one that was not.
    """
    found: dict[int, int] = {}
    for epoch in epochs:
        if epoch > spared_at:  # nan, of a trial that was not spared, is below nothing
            break
        open_ = [rung for rung in rungs if rung <= epoch and rung not in found]
        if open_:
            found[open_[-1]] = int(epoch)
    return found


def _rung(found: pd.DataFrame, group: Group, epoch: int) -> Rung:
    here = found[(found["group"] == group) & (found["rung"] == epoch)]
    ended = here[here["last"] & (here["outcome"] == PASSED)]
    counts = {name: int((here["outcome"] == name).sum()) for name in (PASSED, STOPPED, SPARED)}
    return Rung(
        group,
        epoch,
        len(here),
        counts[PASSED],
        counts[STOPPED],
        counts[SPARED],
        int(ended["timed_out"].sum()),
        int(ended["state"].isin(FAILED).sum()),
    )


def _correlation(group: Group, early: int, late: int, values: pd.DataFrame) -> Correlation:
    both = values[[early, late]].dropna()
    enough = len(both) >= FEWEST_COMMON
    rho = spearman(both[early], both[late]) if enough else math.nan
    return Correlation(group, early, late, len(both), rho)


def _lowest(values: pd.Series) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.min()) if len(finite) else math.nan


def _value(run: Run, trial: str, epoch: int) -> float:
    here = (run.epochs["id"] == trial) & (run.epochs["epoch"] == epoch)
    found = column(run.epochs, run.metric)[here]
    return float(found.iloc[0]) if len(found) else math.nan
