"""Pictures of how searches went: best so far, of one run and of several, ASHA's rungs, and the
control sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.curves import Scale
from analysis.figures.drawing.style import (
    COLOURS,
    DASHES,
    DOTTED,
    FAINT,
    MARKERS,
    plain_log_ticks,
    styled,
)
from analysis.measure.course.control import Control, Spared, best_unspared
from analysis.measure.course.progress import largest_groups
from analysis.measure.course.rungs import Rung, complete_samples
from analysis.read.runs import Group, Run
from analysis.read.values import column
from analysis.tables.writing.formats import metric_words
from analysis.tables.writing.groups import panel_title

_UNITS = ((7200.0, 3600.0, "hours"), (600.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_BARS = (  # from below; hatches tell them apart in grey
    ("passed", "passed on", {"color": COLOURS[0]}),
    ("stopped", "stopped", {"facecolor": "#f6d3bd", "edgecolor": COLOURS[1], "hatch": "////"}),
    ("spared", "control, would stop", {"facecolor": "white", "edgecolor": "#404040"}),
)
_REACHED = {"facecolor": "#bfe3d5", "edgecolor": COLOURS[2], "hatch": "..."}


def scale_of(run: Run) -> Scale:
    """The axis of the searched metric: errors logarithmic, accuracies linear."""
    return Scale(metric_words(run.metric), log=not run.maximised)


@styled
def best_so_far(run: Run, course: pd.DataFrame, groups: Sequence[Group]) -> Figure | None:
    """Best value so far of each group against epochs, device time and trials of the whole search.

    `course` is `progress(run)`; without seconds the panel of time is left out.
    """
    scale = scale_of(run)
    course = course[scale.drawn(course["best"])]
    groups = [group for group in groups if (course["group"] == group).any()]
    if not groups:
        return None
    axes_of = [("epochs", 1.0, "epochs trained, all trials")]
    if course["seconds"].notna().any():
        axes_of.append(("seconds", *_time_axis(run, course["seconds"].max())))
    axes_of.append(("trials", 1.0, "trials started"))
    figure = Figure(figsize=(8, 3.7), layout="constrained")
    grid = figure.subplots(1, len(axes_of), sharey=True)
    limits = _limits(course[course["group"].isin(groups)], scale)
    sampled = course["trial"].isin(run.trials.loc[run.sampled, "id"])
    for axes, (name, unit, label) in zip(grid, axes_of, strict=True):
        end = course[name].max() / unit
        for index, group in enumerate(groups):
            here = course[course["group"] == group]
            _draw_steps(axes, here[name] / unit, here["best"], end, index)
        _draw_first_sampled(axes, course.loc[sampled, name] / unit)
        axes.set_xlim(0, 1.03 * end)
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=name != "seconds"))
    grid[0].set_ylabel(f"best {scale.label} so far")
    _set_values(grid[0], scale, limits)
    lines = [_legend_line(index, panel_title(group)) for index, group in enumerate(groups)]
    if sampled.any() and not run.sampled.all():
        lines.append(Line2D([], [], label="sampling begins", **DOTTED))
    figure.legend(handles=lines, loc="outside lower center", ncols=4)
    return figure


@styled
def best_so_far_of_runs(
    runs: Sequence[Run], courses: Sequence[pd.DataFrame], groups: Sequence[Group]
) -> Figure | None:
    """Best value so far of several runs against the epochs of each whole search, a panel per group.

    `courses` are `progress` of each run.
    """
    scale = scale_of(runs[0])
    courses = [course[scale.drawn(course["best"])] for course in courses]
    groups = [g for g in groups if any((course["group"] == g).any() for course in courses)]
    if not groups:
        return None
    figure, panels = _panels(len(groups), sharey=False)
    for axes, group in zip(panels, groups, strict=True):
        lines = [
            course[course["group"] == group].assign(trial=course["trial"] + f" of run {index}")
            for index, course in enumerate(courses)
        ]
        for index, (line, course) in enumerate(zip(lines, courses, strict=True)):
            if len(line):
                _draw_steps(axes, line["epochs"], line["best"], course["epochs"].max(), index)
        first, last = (pd.concat(lines)["epochs"].agg(end) for end in ("min", "max"))
        axes.set_xscale("log")  # for most is gained early
        axes.set_xlim(first / 1.25, max(last, 2) * 1.25)
        plain_log_ticks(axes.xaxis, first, max(last, 2) * 8)  # decades alone: panels are narrow
        axes.set_title(panel_title(group))
        axes.set_xlabel("epochs trained, all trials")
        _set_values(axes, scale, _limits(pd.concat(lines), scale))
    figure.supylabel(f"best {scale.label} so far", fontsize=8.5)
    handles = [_legend_line(index, run.name) for index, run in enumerate(runs)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


@styled
def rung_bars(run: Run, found: Mapping[Group, Sequence[Rung]]) -> Figure | None:
    """A panel per group: at each rung how many trials entered, and what became of them."""
    if not any(rung.entered for rungs in found.values() for rung in rungs):
        return None
    figure, panels = _panels(len(found), sharey=True)
    last = run.max_epochs
    for axes, (group, rungs) in zip(panels, found.items(), strict=True):
        bottoms = np.zeros(len(rungs))
        for name, _, look in _BARS:
            heights = np.array([getattr(rung, name) for rung in rungs])
            there = np.flatnonzero(heights)  # a bar of no height would still have an edge
            axes.bar(there, heights[there], 0.68, bottom=bottoms[there], linewidth=0.8, **look)
            bottoms += heights
        reached = complete_samples(run, group)
        axes.bar([len(rungs)], [reached], 0.68, linewidth=0.8, **_REACHED)
        for index, total in enumerate([*bottoms, reached]):
            axes.annotate(
                f"{total:.0f}",
                (index, total),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
            )
        axes.set_xticks(range(len(rungs) + 1), [*(str(rung.epoch) for rung in rungs), f"{last:g}"])
        axes.grid(False, axis="x")
        axes.set_title(panel_title(group))
    highest = max(rung.entered for rungs in found.values() for rung in rungs)
    for axes in panels:
        axes.set_ylim(0, 1.14 * max(highest, *(complete_samples(run, group) for group in found)))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("rung at epoch, then the end")
    figure.supylabel("sampled trials", fontsize=8.5)
    every = [rung for rungs in found.values() for rung in rungs]
    handles = [
        Patch(label=label, **look)
        for name, label, look in _BARS
        if name != "spared" or any(rung.spared for rung in every)
    ]
    handles.append(Patch(label="reached the last epoch", **_REACHED))
    columns = 2 if len(panels) == 1 else len(handles)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


@styled
def control_curves(run: Run, found: Control) -> Figure | None:
    """Control trials past the epoch at which they would have been stopped, beside the best of the
    others, a panel per group."""
    scale = scale_of(run)
    curves = run.epochs[["id", "epoch"]].assign(value=column(run.epochs, run.metric))
    curves = curves[scale.drawn(curves["value"]) & np.isfinite(curves["value"])]
    drawn = {
        group: [each for each in members if (curves["id"] == each.trial).any()]
        for group, members in found.by_group().items()
    }
    kept = largest_groups({group: len(members) for group, members in drawn.items() if members})
    by_group = {group: drawn[group] for group in kept}
    if not by_group:
        return None
    leaders = {group: best_unspared(run, group) for group in by_group}
    ids = {each.trial for members in by_group.values() for each in members} | set(leaders.values())
    limits = scale.limits(curves.loc[curves["id"].isin(ids), "value"], (), whole=True)
    last = curves.loc[curves["id"].isin(ids), "epoch"].max()
    figure, panels = _panels(len(by_group), sharey=True)
    for axes, (group, members) in zip(panels, by_group.items(), strict=True):
        _draw_spared(axes, curves.assign(value=scale.clipped(curves["value"], limits)), members)
        best = curves[curves["id"] == leaders[group]]
        axes.plot(best["epoch"], best["value"], color="#000000", linewidth=2.2, zorder=5)
        axes.plot(best["epoch"][-1:], best["value"][-1:], "o", color="#000000", zorder=5)
        axes.set_title(f"{panel_title(group)} ({len(members)} spared)")
        axes.set_xscale("log")
        axes.set_xlim(0.9, max(last, 2) * 1.12)
        plain_log_ticks(axes.xaxis, 1, last)
        _set_values(axes, scale, limits)
        axes.set_xlabel("epoch")
    figure.supylabel(scale.label, fontsize=8.5)
    won = any(each.won for members in by_group.values() for each in members)
    columns = 2 if won or len(panels) == 1 else 3
    figure.legend(handles=_control_legend(won), loc="outside lower center", ncols=columns)
    return figure


def _time_axis(run: Run, most: float) -> tuple[float, str]:
    """Seconds per unit of the axis, and its name."""
    unit, words = next((unit, words) for least, unit, words in _UNITS if most >= least)
    return unit, f"{run.processor}-{words} of trials"


def _limits(course: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """Range of the axis: on a linear one not how the first trials came up from chance, which would
    leave the rest no room, but where each group ended, however far below the others."""
    if scale.log:
        return scale.limits(course["best"], ())
    values = course.groupby(["group", "trial"])["best"].last()
    low, high = scale.limits(values, ())
    ends = course.groupby("group")["best"].last()
    return min(low, ends.min() - 0.08 * (high - ends.min())), high


def _draw_steps(axes: Axes, x: pd.Series, best: pd.Series, end: float, index: int) -> None:
    """The line goes on to the end of the search; its marker is the last improvement."""
    colour, x, best = COLOURS[index], x.to_numpy(), best.to_numpy()
    axes.plot(
        [*x, end],
        [*best, best[-1]],
        drawstyle="steps-post",
        color=colour,
        linestyle=DASHES[index],
    )
    first = int(np.argmax(best == best[-1]))
    axes.plot(x[first], best[first], MARKERS[index], color=colour, markeredgecolor="white")


def _draw_first_sampled(axes: Axes, x: pd.Series) -> None:
    if len(x) and x.iloc[0] > 1:
        axes.axvline(x.iloc[0], zorder=1, **DOTTED)


def _legend_line(index: int, label: str) -> Line2D:
    look = {"linestyle": DASHES[index], "marker": MARKERS[index]}
    return Line2D([], [], color=COLOURS[index], label=label, **look)


def _panels(count: int, sharey: bool) -> tuple[Figure, list[Axes]]:
    """Small multiples, at most three in a row."""
    columns = min(3, count)
    rows = math.ceil(count / columns)
    size = (8 if columns > 2 else 6.4 if columns > 1 else 5, 1.1 + 2.4 * rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = list(figure.subplots(rows, columns, sharey=sharey, squeeze=False).flat)
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, grid[:count]


def _draw_spared(axes: Axes, curves: pd.DataFrame, members: Sequence[Spared]) -> None:
    """Solid until the trial would have been stopped, with a cross there, dashed from there on."""
    faint = float(np.clip(10 / len(members), 0.25, 0.9))
    for trial in sorted(members, key=lambda trial: trial.won):
        curve = curves[curves["id"] == trial.trial]
        colour, alpha = (COLOURS[1], 1.0) if trial.won else (FAINT, faint)
        before = curve[curve["epoch"] <= trial.epoch][["epoch", "value"]].to_numpy()
        after = curve[curve["epoch"] >= trial.epoch][["epoch", "value"]].to_numpy()
        look = {"colors": colour, "alpha": alpha, "linewidths": 1.6 if trial.won else 0.9}
        axes.add_collection(LineCollection([before], **look))
        axes.add_collection(LineCollection([after], linestyles="--", **look))
        if len(before):
            axes.plot(*before[-1], "x", color=colour, alpha=alpha, markersize=5, zorder=4)


def _control_legend(won: bool) -> list[Line2D]:
    looks = [
        ("best of the others", {"color": "#000000", "linewidth": 2.2, "marker": "o"}),
        ("would have been stopped here", {"color": FAINT, "linestyle": "", "marker": "x"}),
        ("what stopping would have cut off", {"color": FAINT, "linestyle": "--"}),
    ]
    if won:
        looks.append(("better than the best of the others", {"color": COLOURS[1], "marker": "x"}))
    return [Line2D([], [], label=label, **look) for label, look in looks]


def _set_values(axes: Axes, scale: Scale, limits: tuple[float, float]) -> None:
    if scale.log:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis, *limits)
    axes.set_ylim(*limits)
