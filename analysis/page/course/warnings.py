"""What to be wary of in the winners of a search: settings on the edge of what was searched, trials
that are as good within the deviation over seeds, and budgets that were not reached."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.figures.course import MOST_GROUPS
from analysis.page import blocks
from analysis.page.blocks import Block, metric_words
from analysis.page.course.words import PRINTED, enumerated, formatter, group_column, group_name
from analysis.read.runs import NO_PARAMETERS, Group, Result, Run, column, mapping, number, text
from analysis.tables import frames as tables
from analysis.tables.frames import Column, Table, escape, in_words, parameter_words, plural, short

_SHORT_OF_BUDGET = ("pruned", "running")
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

_FULL = ("max_features",)
"""Shares of all: their high end cannot be moved."""


@dataclass(frozen=True)
class Range:
    """What a numeric parameter was searched over."""

    low: float
    high: float
    log: bool
    whole: bool  # integers only

    def end(self, value: float) -> str:
        """Which end the value sits on, "low" or "high"; empty inside the range."""
        if not (math.isfinite(value) and self.low < self.high < math.inf):
            return ""
        if self.whole:
            return "low" if value <= self.low else "high" if value >= self.high else ""
        if self.log and min(value, self.low) <= 0:
            return ""
        low, high, here = (
            math.log(each) if self.log else each for each in (self.low, self.high, value)
        )
        place = (here - low) / (high - low)
        return "low" if place <= NEAR else "high" if place >= 1 - NEAR else ""


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
        """Whether all that lies beyond is to switch off what is all but off already."""
        return self.end == "low" and self.parameter in _OFF_AT_ZERO


def warning_blocks(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    """Edges, ties and short budgets of the winners, and the table of ties."""
    if not chosen:
        yield "There is no winner to warn of yet."
        return
    notes = [
        *blocks.budget_notes(run, chosen, lambda group: group_name(run, group)),
        *ahead_notes(run, chosen),
        *edge_notes(run, edges(run, chosen)),
        *tie_notes(run, chosen),
    ]
    sampled = [group for group, winner in chosen.items() if winner.preset == "sampled"]
    if blind := [group for group in sampled if not ranges(run, group)]:
        names = [group_name(run, group) for group in blind]
        notes.append(
            f"Whether {_winners(names)} on the edge of a range is not known: the run does not say "
            "what was searched."
        )
    if not notes:
        hand = [group_name(run, group) for group in chosen if group not in sampled]
        yield "None: no winner sits on an edge, is tied, or short." + (
            f" {_presets(hand)} a preset, which has no edge, for it was not sampled."
            if hand
            else ""
        )
    yield from blocks.bullets(notes)
    sets = {group: near for group in chosen if (near := tied(run, chosen[group])) is not None}
    sets = {group: near for group, near in sets.items() if len(near) > 1}
    if sets:
        yield (
            "The tied sets: each trial's best value in the search is within the winner's deviation "
            "over retrained seeds, so which of them is best is a matter of the seed."
        )
        yield tie_table(run, sets, chosen)


def ranges(run: Run, group: Group) -> dict[str, Range]:
    """What each numeric parameter of a group was searched over, from run.json or else from the
    first line of ledger.log; empty where neither says."""
    space = mapping(run.info.get("space"))
    space = space if mapping(space.get("distributions")) else _space_of_ledger(run)
    listed = space.get("families")
    families = (
        [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    )
    space = next((each for each in families if group in _choices(each, run.group)), space)
    found = {name: _range(told) for name, told in mapping(space.get("distributions")).items()}
    return {name: each for name, each in found.items() if each}


def edges(run: Run, chosen: Mapping[Group, Result]) -> list[Edge]:
    """Settings of sampled winners that sit on the edge of what was searched.

    Left out: an end that cannot be moved, which is zero of what zero switches off and all of a
    share, and the level of a noise that is off. Presets were not searched.
    """
    return [
        Edge(group, name, number(winner.parameters[name]), each, end)
        for group, winner in chosen.items()
        if winner.preset == "sampled"
        for name, each in ranges(run, group).items()
        if name in winner.parameters
        and (end := each.end(number(winner.parameters[name])))
        and not _as_far_as_it_goes(name, each, end, winner)
    ]


def tied(run: Run, winner: Result) -> pd.DataFrame | None:
    """The rows of trials.csv, with `value` and `behind` added, of the complete trials whose best
    value is within the winner's seed deviation of the winner's own, the winner first; None where
    no deviation is known. `behind` is how much worse each is."""
    allowed = seed_deviation(run, winner)
    mine = run.trials["id"] == winner.trial
    full = (run.trials[run.group] == winner.group) & (run.trials["state"] == "complete")
    trials = run.trials[full | mine]
    values = column(trials, f"best_{run.metric}")
    own = values[trials["id"] == winner.trial]
    if not math.isfinite(allowed) or own.empty:
        return None
    sign = -1 if run.info.get("mode") == "max" else 1
    trials = trials.assign(value=values, behind=sign * (values - own.iloc[0]), deviation=allowed)
    near = trials[trials["behind"].abs() <= allowed * (1 + 1e-9)]
    first = (near["id"] != winner.trial).rename("first")
    return near.assign(first=first).sort_values(["first", "behind", "number"])


def seed_deviation(run: Run, winner: Result) -> float:
    """Of the searched metric over the retrained seeds, on the validation split or, where they were
    trained on that, on the test split; nan where fewer than two seeds were retrained."""
    if winner.seeds < 2:
        return math.nan
    known = winner.deviation(run.metric)
    if math.isfinite(known):
        return known
    return winner.deviation(run.metric.replace("validation", "test"))


def tie_table(
    run: Run, found: Mapping[Group, pd.DataFrame], chosen: Mapping[Group, Result]
) -> Table:
    """The tied sets, each with its winner first."""
    rows = [
        {
            run.group: group,
            "trial": trial["id"],
            "winner": trial["id"] == chosen[group].trial,
            run.metric: trial["value"],
            "behind": trial["behind"],
            "seed_deviation": trial["deviation"],
            "configuration": in_words(trial["preset"] or "sampled", _settings(run, trial)),
        }
        for group, trials in found.items()
        for trial in trials.to_dict("records")
    ]
    names = ("trial", "winner", run.metric, "behind", "seed_deviation", "configuration")
    show = formatter(run)
    return Table(
        "ties",
        pd.DataFrame(rows, columns=[run.group, *names]),
        (
            group_column(run),
            Column(
                "trial",
                lambda row: escape(row["trial"]) + (" (winner)" if row["winner"] else ""),
                numeric=False,
            ),
            Column(f"best {metric_words(run.metric)}", lambda row: show(row[run.metric])),
            Column("worse by", lambda row: short(row["behind"])),
            Column("seed deviation", lambda row: short(row["seed_deviation"])),
            tables.CONFIGURATION,
        ),
        PRINTED,
    )


def ahead_notes(run: Run, chosen: Mapping[Group, Result]) -> Iterator[str]:
    """A sentence per winner that a trial without the full budget was better than: it may be the
    better configuration, and was not crowned."""
    values = column(run.trials, f"best_{run.metric}")
    sign = -1 if run.info.get("mode") == "max" else 1
    full, show = blocks.known(run.settings.get("max_epochs")), formatter(run)
    for group, winner in chosen.items():
        own = values[run.trials["id"] == winner.trial]
        if winner.state != "complete" or own.empty:
            continue
        short_of = (run.trials[run.group] == group) & run.trials["state"].isin(_SHORT_OF_BUDGET)
        ahead = run.trials[short_of & (sign * (values - own.iloc[0]) < 0)]
        if ahead.empty:
            continue
        best = ahead.loc[(sign * values[ahead.index]).idxmin()]
        others = f" ({plural(len(ahead) - 1, 'more such trial')})" if len(ahead) > 1 else ""
        yield (
            f"{group_name(run, group)}: {escape(best['id'])} never reached the full budget (state "
            f"{best['state']}, {tables.count(number(best['epochs']))} of {full} epochs) and is not "
            f"the winner, though its {metric_words(run.metric)}, {show(values[best.name])}, is "
            f"better than the winner's {show(own.iloc[0])}{others}."
        )


def edge_notes(run: Run, found: Iterable[Edge]) -> Iterator[str]:
    """A sentence per winner and kind of edge."""
    by_group: dict[tuple[Group, bool], list[Edge]] = {}
    for edge in found:
        by_group.setdefault((edge.group, edge.nearly_off), []).append(edge)
    for (group, off), members in by_group.items():
        told = ", ".join(_edge_words(edge) for edge in members)
        if off:
            yield (
                f"{group_name(run, group)}: the winner has {told}. That is as good as off, so this "
                "search found no use for it; a wider range would change little."
            )
        else:
            yield (
                f"{group_name(run, group)}: the winner sits on the edge of what was searched, with "
                f"{told}. Something better may lie beyond."
            )


def tie_notes(run: Run, chosen: Mapping[Group, Result]) -> Iterator[str]:
    """A sentence per winner that others come as close to as its own seeds come to one another, and
    one for the winners of which that is not known."""
    unknown: list[str] = []
    for group, winner in chosen.items():
        near = tied(run, winner)
        if near is None:
            unknown.append(group_name(run, group))
        elif len(near) > 1:
            others = [f"{escape(trial)}" for trial in near["id"].iloc[1:4]]
            more = f" and {len(near) - 4} more" if len(near) > 4 else ""
            yield (
                f"{group_name(run, group)}: the winner {escape(winner.trial)} is tied with "
                f"{plural(len(near) - 1, 'other trial')} ({', '.join(others)}{more}), no further "
                f"from it than its own seeds deviate "
                f"({short(float(near['deviation'].iloc[0]))}, {plural(winner.seeds, 'seed')})."
            )
    if unknown:
        yield (
            f"Whether {_winners(unknown)} tied with others is not known: no deviation over seeds "
            "(at least two, `--final-seeds 2`), or none of the searched metric."
        )


def _space_of_ledger(run: Run) -> dict[str, Any]:
    """From the first event, which follows its checksum and a space."""
    try:
        with (run.folder / "ledger.log").open(encoding="utf-8") as file:
            event = json.loads(file.readline().partition(" ")[2])
    except (OSError, ValueError, RecursionError):
        return {}
    return mapping(mapping(event).get("space"))


def _distribution(told: Any) -> dict[str, Any]:
    """A distribution as Optuna writes it, JSON inside of JSON: its name and attributes."""
    try:
        return mapping(json.loads(told)) if isinstance(told, str) else {}
    except (ValueError, RecursionError):
        return {}


def _choices(space: Mapping[str, Any], name: str) -> list[Any]:
    told = mapping(space.get("distributions")).get(name)
    found = mapping(_distribution(told).get("attributes")).get("choices")
    return found if isinstance(found, list) else []


def _range(told: Any) -> Range | None:
    """None for choices, which have no edge."""
    read = _distribution(told)
    attributes = mapping(read.get("attributes"))
    low, high = number(attributes.get("low")), number(attributes.get("high"))
    if not low <= high:
        return None
    whole = text(read.get("name")).startswith("Int")
    return Range(low, high, attributes.get("log") is True, whole)


def _as_far_as_it_goes(name: str, searched: Range, end: str, winner: Result) -> bool:
    if name == "noise_level" and winner.parameters.get("noise") == "none":
        return True
    if end == "high":
        return name in _FULL and searched.high == 1
    return searched.low == 0 and (name in _OFF_AT_ZERO or not searched.whole)


def _edge_words(edge: Edge) -> str:
    return (
        f"{escape(parameter_words(edge.parameter))} {short(edge.value)} at the {edge.end} end of "
        f"{short(edge.range.low)} to {short(edge.range.high)}"
    )


def _settings(run: Run, trial: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's parameters: what stands between its preset and its epochs in trials.csv."""
    names = [name for name in run.trials.columns if not name.startswith(("best_", "last_"))]
    return {name: trial[name] for name in names if name not in NO_PARAMETERS}


def _presets(names: Sequence[str]) -> str:
    """Groups whose winner is a preset as the start of a sentence, named where they are few."""
    return f"Of {len(names) if len(names) > MOST_GROUPS else enumerated(names)} the winner is"


def _winners(names: Sequence[str]) -> str:
    """The winners of groups as the subject of a clause, named where they are few."""
    if len(names) > MOST_GROUPS:
        return f"{len(names)} winners are"
    return f"the winner{'s' * (len(names) > 1)} of {enumerated(names)} {_is(len(names))}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
