"""What to be wary of in the winners of a search: settings on the edge of the searched ranges,
trials that are as good within the deviation over seeds, and budgets that were not reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from analysis.read.runs import Group, Result, Run
from analysis.read.values import entries, mapping, number
from search.record.schema import COMPLETE, PRUNED, RUNNING

NEAR = 0.05  # of a range: what lies closer to its end sits on the edge

_OFF_AT_ZERO = (
    "l1",
    "l2",
    "l2_later",
    "dropout",
    "noise_level",
    "affine",
    "warp",
    "elastic",
    "label_smoothing",
)
"""Settings whose low end, on a log scale too, means that next to nothing is done."""


Range = FloatDistribution | IntDistribution
"""The searched range of a numeric parameter, as Optuna has it: `low`, `high` and whether `log`."""


@dataclass(frozen=True)
class Edge:
    """A winner's setting at an end of its searched range."""

    group: Group
    parameter: str
    value: float
    range: Range
    end: str  # "low" or "high"

    @property
    def nearly_off(self) -> bool:
        """Whether values beyond this end only switch off what is nearly off already."""
        return self.end == "low" and self.parameter in _OFF_AT_ZERO


@dataclass(frozen=True)
class Ahead:
    """A trial without the full budget that was better than the complete winner of its group: it
    may be the better configuration, and was not chosen."""

    group: Group
    trial: str
    state: str
    epochs: float
    value: float
    winner: float  # the winner's value
    others: int  # more such trials


@dataclass(frozen=True)
class Tied:
    """The complete trials of a group whose best value is within the winner's seed deviation of the
    winner's own: rows of trials.csv with `value` and `behind` (how much worse they are), the
    winner first."""

    group: Group
    winner: Result
    deviation: float
    trials: pd.DataFrame

    @property
    def others(self) -> list[str]:
        return list(self.trials["id"].iloc[1:])


@dataclass(frozen=True)
class Warnings:
    """Of the winners of a run."""

    short: tuple[Result, ...]  # winners without the full budget
    unmeasured: tuple[Group, ...]  # groups without a winner
    ahead: tuple[Ahead, ...]
    edges: tuple[Edge, ...]
    no_range: tuple[Group, ...]  # of sampled winners, where the run does not say what was searched
    tied: tuple[Tied, ...]
    no_deviation: tuple[Group, ...]  # of winners of whom no deviation over seeds is known
    presets: tuple[Group, ...]  # whose winner is a preset, which was not searched

    @property
    def none(self) -> bool:
        """Whether there is nothing to warn of: a preset as winner is no fault."""
        return not any(found for name, found in vars(self).items() if name != "presets")

    def by_group(self, nearly_off: bool) -> dict[Group, list[Edge]]:
        found: dict[Group, list[Edge]] = {}
        for edge in self.edges:
            if edge.nearly_off == nearly_off:
                found.setdefault(edge.group, []).append(edge)
        return found


def warnings(run: Run, chosen: Mapping[Group, Result]) -> Warnings:
    """`chosen` are the winners of the run."""
    sampled = [group for group, winner in chosen.items() if winner.is_sampled]
    known = {group: tied(run, winner) for group, winner in chosen.items()}
    return Warnings(
        short=tuple(winner for winner in chosen.values() if winner.state != COMPLETE),
        unmeasured=tuple(group for group in run.groups if group not in chosen),
        ahead=tuple(found for winner in chosen.values() if (found := _ahead(run, winner))),
        edges=tuple(edges(run, chosen)),
        no_range=tuple(group for group in sampled if not ranges(run, group)),
        tied=tuple(found for found in known.values() if found and found.others),
        no_deviation=tuple(group for group, found in known.items() if found is None),
        presets=tuple(group for group in chosen if group not in sampled),
    )


def ranges(run: Run, group: Group) -> dict[str, Range]:
    """The searched range of each numeric parameter of a group; empty where run.json has none."""
    space = mapping(run.info.get("space"))
    found = _distributions(space)
    for family in map(_distributions, entries(space, "families")):
        if group in getattr(family.get(run.group), "choices", ()):
            found = family
            break
    return {name: each for name, each in found.items() if isinstance(each, Range)}


def end_of(searched: Range, value: float) -> str:
    """The end of a range that a value sits on, "low" or "high"; empty inside the range."""
    low, high = searched.low, searched.high
    if not (math.isfinite(value) and low < high < math.inf):
        return ""
    if isinstance(searched, IntDistribution):
        return "low" if value <= low else "high" if value >= high else ""
    if searched.log:
        if min(value, low) <= 0:
            return ""
        low, high, value = math.log(low), math.log(high), math.log(value)
    share = (value - low) / (high - low)
    return "low" if share <= NEAR else "high" if share >= 1 - NEAR else ""


def edges(run: Run, chosen: Mapping[Group, Result]) -> list[Edge]:
    """Settings of sampled winners that sit on the edge of the searched range.

    Two kinds are left out: ends that cannot be moved (zero, where zero switches something off, and
    the whole of a share), and settings of what is off. Presets were not searched.
    """
    return [
        Edge(group, name, number(winner.parameters[name]), each, end)
        for group, winner in chosen.items()
        if winner.is_sampled
        for name, each in ranges(run, group).items()
        if name in winner.parameters
        and (end := end_of(each, number(winner.parameters[name])))
        and not _as_far_as_it_goes(name, each, end, winner)
    ]


def tied(run: Run, winner: Result) -> Tied | None:
    """The trials that tie with a winner; None where no deviation over seeds is known."""
    allowed = seed_deviation(run, winner)
    full = (run.trials[run.group] == winner.group) & (run.trials["state"] == COMPLETE)
    trials = run.trials[full | (run.trials["id"] == winner.trial)]
    values = run.best()[trials.index]
    own = values[trials["id"] == winner.trial]
    if not math.isfinite(allowed) or own.empty or winner.group is None:
        return None
    trials = trials.assign(value=values, behind=run.sign * (values - own.iloc[0]))
    near = trials[trials["behind"].abs() <= allowed * (1 + 1e-9)]
    near = near.assign(first=near["id"] != winner.trial)
    return Tied(winner.group, winner, allowed, near.sort_values(["first", "behind", "number"]))


def seed_deviation(run: Run, winner: Result) -> float:
    """The deviation of the searched metric over the retrained seeds, on the validation split or, if
    they were trained on it, on the test split; nan if fewer than two seeds were retrained."""
    if winner.seeds < 2:
        return math.nan
    known = winner.deviation(run.metric)
    if math.isfinite(known):
        return known
    return winner.deviation(run.metric.replace("validation", "test"))


def _ahead(run: Run, winner: Result) -> Ahead | None:
    values = run.best()
    own = values[run.trials["id"] == winner.trial]
    if winner.state != COMPLETE or own.empty or winner.group is None:
        return None
    short_of = run.trials["state"].isin([PRUNED, RUNNING])
    short_of &= (run.trials[run.group] == winner.group) & np.isfinite(values)
    better = (run.sign * (values - own.iloc[0]))[short_of]
    better = better[better < 0]
    if better.empty:
        return None
    best = run.trials.loc[better.idxmin()]
    return Ahead(
        winner.group,
        best["id"],
        best["state"],
        number(best.get("epochs")),
        float(values[best.name]),
        float(own.iloc[0]),
        len(better) - 1,
    )


def _distributions(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """The distributions of a search space by parameter, without those that cannot be read."""
    found = {}
    for name, words in mapping(space.get("distributions")).items():
        with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            found[name] = json_to_distribution(words)
    return found


def _is_idle(name: str, parameters: Mapping[str, Any]) -> bool:
    """Whether another setting makes this one have no effect."""
    switch, on = {
        "noise_level": ("noise", lambda kind: kind != "none"),
        "kept_units": ("code_activation", lambda kind: kind == "topk"),
        "auxk": ("code_activation", lambda kind: kind == "topk"),
        "temperature": ("contrastive_weight", lambda weight: number(weight) > 0),
    }.get(name, ("", bool))
    return switch in parameters and not on(parameters[switch])


def _as_far_as_it_goes(name: str, searched: Range, end: str, winner: Result) -> bool:
    if _is_idle(name, winner.parameters):
        return True
    if end == "high":
        return name == "max_features" and searched.high == 1  # a share of all
    return searched.low == 0 and (name in _OFF_AT_ZERO or not isinstance(searched, IntDistribution))
