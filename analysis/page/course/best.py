"""What a search had found by when: the best so far against what it had cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.figures import course as search_course_figures
from analysis.figures.course import MOST_GROUPS, progress
from analysis.page import blocks
from analysis.page.blocks import Block, metric_words, picture
from analysis.page.course.words import formatter, group_name
from analysis.read.runs import Group, Run

CLOSE = 0.05  # of an error: what counts as having nearly arrived
CLOSE_ACCURACY = 0.01


def best_so_far_blocks(run: Run) -> Iterator[Block]:
    course = progress(run)
    shown = _best_groups(run, course)
    figure = search_course_figures.best_so_far(run, course, shown) if shown else None
    if figure:
        yield _how_to_read(run, course, shown)
        yield from blocks.bullets(_arrivals(run, course, shown))
    one = "a line" if len(shown) == 1 else "a line each"
    below = " A line that comes in from below had lower values before."
    yield picture(
        "best-so-far",
        figure,
        f"Best {metric_words(run.metric)} so far, {one}, against what the whole search had cost "
        "by then. Trials are taken in order of their number, for epochs carry no time of day; a "
        "marker is a line's last improvement."
        f"{below if run.info.get('mode') == 'max' else ''}",
    )


def _how_to_read(run: Run, course: pd.DataFrame, shown: Sequence[Group]) -> str:
    better = "Higher" if run.info.get("mode") == "max" else "Lower"
    which = ""
    if len(set(course["group"])) > len(shown):
        which = (
            f" Shown are the {len(shown)} best of {len(run.groups)} by {metric_words(run.metric)}."
        )
    time = ""
    if course["seconds"].isna().all():
        time = " epochs.csv holds no seconds, so the panel against time is left out."
    fitted = run.epochs.groupby("id")["epoch"].min()
    once = " What is fitted at once counts as one epoch." if (fitted > 1).any() else ""
    return (
        f"{better} is better; a line that has been flat for long says that more of the same search "
        f"would have found little more.{which}{time}{once}"
    )


def _arrivals(run: Run, course: pd.DataFrame, shown: Sequence[Group]) -> Iterator[str]:
    """When each group found its best, and when it had nearly arrived."""
    show, high = formatter(run), run.info.get("mode") == "max"
    epochs = course["epochs"].max()
    for group in shown:
        best = course[(course["group"] == group) & np.isfinite(course["best"])]
        end = best["best"].iloc[-1]
        found = best[best["best"] == end].iloc[0]
        near = best["best"] >= end - CLOSE_ACCURACY if high else best["best"] <= end * (1 + CLOSE)
        close = best[near]
        margin = f"{CLOSE_ACCURACY:g} " if high else f"{CLOSE:.0%} "
        yield (
            f"{group_name(run, group)}: best {show(end)}, found by the {_th(found['trials'])} of "
            f"{len(run.trials)} trials after {found['epochs'] / epochs:.0%} of all epochs; within "
            f"{margin}of it after {close['epochs'].iloc[0] / epochs:.0%}."
        )


def _best_groups(run: Run, course: pd.DataFrame) -> list[Group]:
    """The groups with a value, in the run's order; where there are many, the best of them."""
    best = {
        group: values.iloc[-1]
        for group in run.groups
        if len(values := course.loc[course["group"] == group, "best"].dropna())
    }
    sign = -1 if run.info.get("mode") == "max" else 1
    kept = sorted(best, key=lambda group: sign * best[group])[:MOST_GROUPS]
    return [group for group in best if group in kept]


def _th(number: int) -> str:
    """An ordinal.

    >>> [_th(number) for number in (1, 2, 3, 4, 11, 22, 113)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '113th']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
