"""Runs of one command on the same data set, split and metric, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.figures.course import best_so_far_of_runs
from analysis.measure.compare import Comparison, compare
from analysis.measure.course.progress import progress
from analysis.page.blocks import COMMANDS, Block
from analysis.page.rendering import render
from analysis.read.runs import Run
from analysis.tables.compare import best_table, settings_table


def compare_blocks(groups: Sequence[Sequence[Run]]) -> Iterator[Block]:
    """The differences, the best of each run beside the first run, and the course of each."""
    found = [compare(runs) for runs in groups if len(runs) > 1]
    parts = [(each, settings_table(each), best_table(each), _progress(each)) for each in found]
    yield from render("compare.md", comparisons=parts, commands=COMMANDS)


def _progress(found: Comparison):
    courses = [progress(run) for run in found.runs]
    return best_so_far_of_runs(found.runs, courses, found.drawn)
