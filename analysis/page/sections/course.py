"""How a search went: endings, best so far, ASHA's rungs, the control sample, warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from analysis.figures import course as figures
from analysis.measure.course.control import control
from analysis.measure.course.endings import endings
from analysis.measure.course.own_space import own_space
from analysis.measure.course.progress import (
    CLOSE,
    CLOSE_ACCURACY,
    MOST_GROUPS,
    arrivals,
    best_groups,
    largest_groups,
    progress,
)
from analysis.measure.course.rungs import FEWEST_COMMON, rank_correlations, rungs
from analysis.measure.course.sampled import DEVIATIONS, contests
from analysis.measure.course.warnings import warnings
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.runs import Group, Result, Run, Skipped
from analysis.tables import course as tables
from analysis.tables.course import states
from analysis.tables.writing.groups import metric_format


def course_blocks(run: Run, chosen: Mapping[Group, Result]) -> Iterator[Block]:
    """`chosen` are the winners of the run."""
    if not run.metric:
        yield Skipped("course of the search", "run.json does not say what was searched for")
        return
    course, stops, correlations = progress(run), rungs(run), rank_correlations(run)
    best, sample, warned = best_groups(run, course), control(run), warnings(run, chosen)
    sizes = run.trials[run.group].value_counts()
    own, met = own_space(run), contests(run, chosen)
    shown = largest_groups({group: sizes[group] for group in stops.by_group()})
    yield from render(
        "course.md",
        run=run,
        own=own,
        change_table=tables.change_table(own.changes),
        start_table=tables.start_table(run, own.starts),
        show=metric_format(run),
        states=states(run),
        endings=endings(run),
        arrivals=arrivals(run, course, best),
        has_seconds=course["seconds"].notna().any(),
        fitted_at_once=(run.epochs.groupby("id")["epoch"].min() > 1).any(),
        close=f"{CLOSE_ACCURACY:g}" if run.maximised else f"{CLOSE:.0%}",
        best_so_far=figures.best_so_far(run, course, best) if best else None,
        rungs=stops,
        rung_table=tables.rung_table(run, stops.rungs),
        rung_bars=figures.rung_bars(run, {group: stops.by_group()[group] for group in shown}),
        shown=len(shown),
        correlations=correlations,
        correlation_table=tables.correlation_table(run, correlations),
        fewest_common=FEWEST_COMMON,
        most_pairs=tables.MOST_PAIRS,
        control=sample,
        spared_table=tables.spared_table(run, sample.spared),
        control_curves=figures.control_curves(run, sample),
        most_groups=MOST_GROUPS,
        contests=met,
        contest_table=tables.contest_table(run, met),
        deviations=DEVIATIONS,
        warnings=warned if chosen else None,
        tie_table=tables.tie_table(run, warned.tied),
    )
