"""Which settings of a search mattered, and where the good ones lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from analysis.figures import study as figures
from analysis.measure.study import (
    FEWEST,
    FEWEST_BEST,
    FEWEST_COMPLETE,
    GroupStudy,
    by_mean_importance,
    most_sampled,
    read_groups,
)
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.runs import Group, Result, Run, Skipped
from analysis.read.values import RunError
from analysis.tables.study import importance_table
from analysis.tables.writing.formats import metric_words
from search.record.schema import STUDY_LOG


def study_blocks(run: Run, chosen: Mapping[Group, Result]) -> Iterator[Block]:
    """Importances, parallel coordinates, slices and contours; `chosen` are the run's winners."""
    groups: list[GroupStudy] = []
    fault = None
    try:
        groups = read_groups(run, chosen)
    except RunError as error:
        fault = Skipped(STUDY_LOG, str(error))
    shown = most_sampled(run, groups)
    measured = [each for each in shown if each.importances]
    goal = metric_words(run.metric) or "value"
    yield from render(
        "study.md",
        fault=fault,
        groups=groups,
        shown=shown,
        measured=measured,
        fewest=FEWEST,
        fewest_best=FEWEST_BEST,
        table=importance_table(run, shown),
        too_few=Skipped(
            "importances.png", f"no group has {FEWEST} trials that can be compared yet"
        ),
        importances=figures.importances(measured, by_mean_importance(measured)),
        drawn=[_drawn(each, goal) for each in measured],
        goal=goal,
        in_parallel=figures.IN_PARALLEL,
        in_slices=figures.SLICES,
    )


def _drawn(each: GroupStudy, goal: str) -> tuple[Any, ...]:
    """A group, the end of its files' names (a group's name is no path), and its three pictures."""
    file = re.sub(r"[^A-Za-z0-9_-]", "-", str(each.group))
    contour = figures.contour(each, goal) if each.has_contour else _no_contour(each, file)
    return each, file, figures.parallel(each, goal), figures.slices(each, goal), contour


def _no_contour(each: GroupStudy, file: str) -> Skipped:
    reason = "the complete trials all have one value, or differ in fewer than two numbers"
    if each.complete.sum() < FEWEST_COMPLETE:
        reason = (
            f"a contour takes {FEWEST_COMPLETE} complete trials, here are {each.complete.sum()}"
        )
    return Skipped(f"contour-{file}.png", reason)
