"""What a reader can do next, each with its command: go on with what is not finished, train longer,
search where a winner lies on an edge, retrain what is tied."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.measure.course.warnings import Edge, edges, tied
from analysis.read.commands import (
    longer_command,
    own_ranges,
    resume_command,
    wider_command,
)
from analysis.read.runs import Group, Result, Run, winners
from analysis.read.values import number, text
from search.record.schema import COMPLETE

MOST = 5
_POSSIBLE = {
    "dropout": (0, 0.9),
    "label_smoothing": (0, 0.9),
    "shrinkage": (1e-4, 1),
    "lda_shrinkage": (1e-5, 1),
    "boosting_rate": (1e-3, 1),
    "max_features": (0.01, 1),
    "candidates": (2, 100),
    "tree_depth": (1, 16),
    "views": (1, 1),
}
"""The lowest and the highest value that a search takes, where 0, or 1 if it is whole, and infinity
are not. There are no more views than were made."""

LONGER = 3  # times the epochs, as ASHA's next rung
MORE_SEEDS = 2  # times the seeds

UNFINISHED, SHORT, EDGE, TIE = "unfinished", "short", "edge", "tie"


@dataclass(frozen=True)
class Step:
    """Something to do about the winners of `groups`, of a `kind`: go on with an unfinished search,
    train longer because they were still improving or had less than the budget, widen a range, or
    retrain with more seeds because others are as good."""

    kind: str
    run: Run
    groups: tuple[Group, ...]
    command: str
    edges: tuple[Edge, ...] = ()
    epochs: int = 0  # that the command trains for


def next_steps(runs: Iterable[Run]) -> list[Step]:
    """At most `MOST` steps: first the cheapest step of every run, then the others."""
    found = [list(_steps(run)) for run in runs]
    turns = [steps[turn] for turn in range(MOST) for steps in found if turn < len(steps)]
    return turns[:MOST]


def _steps(run: Run) -> Iterator[Step]:
    chosen = winners(run)
    if not run.ended:
        yield Step(UNFINISHED, run, (), resume_command(run))
    improving = tuple(group for group, winner in chosen.items() if _is_short(run, winner))
    if improving and run.command != "latent_probes" and math.isfinite(run.max_epochs):
        epochs = round(LONGER * run.max_epochs)
        yield Step(SHORT, run, improving, longer_command(run, epochs), epochs=epochs)
    on_edges = _by_name(chosen, (edge for edge in edges(run, chosen) if not edge.nearly_off))
    ranges = {name: _wider(run, name, found) for name, found in on_edges.items()}
    ranges = {name: words for name, words in ranges.items() if words}
    if ranges:
        beyond = tuple(edge for name in ranges for edge in on_edges[name])
        groups = tuple(dict.fromkeys(edge.group for edge in beyond))
        yield Step(EDGE, run, groups, wider_command(run, ranges), beyond)
    ties = [each for winner in chosen.values() if (each := tied(run, winner)) and each.others]
    if ties:
        seeds = MORE_SEEDS * max(each.winner.seeds for each in ties)
        command = f"{resume_command(run)} --final-seeds {seeds}"
        yield Step(TIE, run, tuple(each.group for each in ties), command)


def _is_short(run: Run, winner: Result) -> bool:
    """Whether a complete winner was best in the last epoch of the budget. A fit without epochs says
    nothing about this, and neither does a trial that a rung or a failure stopped."""
    rows = run.epochs[run.epochs["id"] == winner.trial]
    trial = run.trials[run.trials["id"] == winner.trial]
    if winner.state != COMPLETE or len(rows) < 2 or trial.empty:
        return False
    return number(trial["best_epoch"].iloc[0]) == run.max_epochs if "best_epoch" in trial else False


def _by_name(chosen: Mapping[Group, Result], found: Iterable[Edge]) -> dict[str, list[Edge]]:
    """Edges by the names of their parameters; in a search of probes by those with the kind of
    probe, as `mlp.blocks`."""
    names: dict[str, list[Edge]] = defaultdict(list)
    for edge in found:
        probe = text(chosen[edge.group].parameters.get("probe"))
        names[f"{probe}.{edge.parameter}" if probe else edge.parameter].append(edge)
    return names


def _wider(run: Run, name: str, found: Sequence[Edge]) -> str:
    """A range as `--set` takes it, moved out by its own width at the ends where winners are; on a
    logarithmic scale by a factor of ten. Empty where the range cannot go further."""
    edge, ends = found[0], {edge.end for edge in found}
    low, high, log = edge.range.low, edge.range.high, edge.range.log
    least, most = _POSSIBLE.get(edge.parameter, (1 if isinstance(low, int) else 0, math.inf))
    if "low" in ends:
        low = min(low, max(least, low / 10 if log else 2 * low - high))
    if "high" in ends:
        high = max(high, min(most, high * 10 if log else 2 * high - edge.range.low))
    if isinstance(edge.range.low, int):
        low, high = math.ceil(low), math.floor(high)
    if (low, high) == (edge.range.low, edge.range.high):
        return ""
    own = own_ranges(run)
    _, slash, scale = own.get(name, own.get(edge.parameter, "")).partition("/")
    return f"{low:.12g}..{high:.12g}{slash}{scale}"
