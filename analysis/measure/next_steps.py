"""What a reader can do next, each with its command: go on with what is not finished, train longer,
search where a winner lies on an edge, retrain what is tied."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from analysis.measure.course.warnings import Edge, edges, tied
from analysis.read.commands import base_command, resume_command, start_command
from analysis.read.runs import Group, Result, Run, winners
from analysis.read.values import number
from search.record.schema import COMPLETE

MOST = 5
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
        yield Step(SHORT, run, improving, start_command(run, epochs), epochs=epochs)
    beyond = tuple(edge for edge in edges(run, chosen) if not edge.nearly_off)
    if beyond:
        groups = tuple(dict.fromkeys(edge.group for edge in beyond))
        widened = {edge.parameter: _wider(edge) for edge in beyond}
        wanted = " ".join(f"{name}={words}" for name, words in widened.items())
        yield Step(EDGE, run, groups, f"{base_command(run)} --set {wanted}", beyond)
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


def _wider(edge: Edge) -> str:
    """The range as `--set` takes it, moved out by its own width at the end where the winner is; on
    a logarithmic scale by a factor of ten. Nothing goes below zero."""
    low, high = edge.range.low, edge.range.high
    if edge.range.log:
        low, high = (low / 10, high) if edge.end == "low" else (low, high * 10)
    else:
        width = high - low
        low, high = (max(0, low - width), high) if edge.end == "low" else (low, high + width)
    if isinstance(edge.range.low, int):
        low, high = max(1, round(low)), round(high)
    return f"{low:g}..{high:g}"
