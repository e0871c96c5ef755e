"""The pictures of how a search went: best-so-far, ASHA's rungs, and the control sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    COLOURS,
    DASHES,
    DOTTED,
    FAINT,
    MARKERS,
    Scale,
    plain_log_ticks,
    styled,
)
from analysis.measure.rungs import Rung, Spared, best_unspared, complete_samples
from analysis.page.blocks import device_word, metric_words
from analysis.read.runs import FAILED, Group, Run, column, number

MOST_GROUPS = 6

_UNITS = ((7200.0, 3600.0, "hours"), (600.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_BARS = (  # from below; hatches tell them apart in grey
    ("passed", "passed on", {"color": COLOURS[0]}),
    ("stopped", "stopped", {"facecolor": "#f6d3bd", "edgecolor": COLOURS[1], "hatch": "////"}),
    ("spared", "control, would stop", {"facecolor": "white", "edgecolor": "#404040"}),
)
_REACHED = {"facecolor": "#bfe3d5", "edgecolor": COLOURS[2], "hatch": "..."}


def progress(run: Run) -> pd.DataFrame:
    """A row per epoch of any trial, trials in order of their number: group, trials started so far,
    epochs and seconds of all trials so far, and the group's best value so far.

    Trials that diverged or failed cost their time, but are left out of the best, as they are of
    every choice. Seconds are nan where epochs.csv has none.
    """
    order = run.trials.sort_values(["number", "id"])[["id", "state", run.group]]
    order = order.rename(columns={run.group: "group"}).assign(trials=range(1, len(order) + 1))
    seconds, value = column(run.epochs, "seconds"), column(run.epochs, run.metric)
    frame = run.epochs[["id", "epoch"]].assign(seconds=seconds, value=value)
    frame = frame.merge(order, on="id").sort_values(["trials", "epoch"], ignore_index=True)
    usable = np.isfinite(frame["value"]) & ~frame["state"].isin(FAILED)
    sign = -1 if run.info.get("mode") == "max" else 1
    lowest = (sign * frame["value"]).where(usable).groupby(frame["group"]).cummin()
    return pd.DataFrame(
        {
            "group": frame["group"],
            "trial": frame["id"],
            "trials": frame["trials"],
            "epochs": np.arange(1, len(frame) + 1),
            "seconds": frame["seconds"].fillna(0).cumsum()
            if frame["seconds"].notna().any()
            else math.nan,
            "best": sign * lowest.groupby(frame["group"]).ffill(),
        }
    )


def scale_of(run: Run) -> Scale:
    """The axis of the searched metric: errors logarithmic, accuracies linear."""
    return Scale(metric_words(run.metric), log=run.info.get("mode") != "max")


def name_of(run: Run, group: Group) -> str:
    """What a picture calls a group, short enough for a panel's title."""
    words = f"code {group}" if run.group == "latent_size" else str(group)
    return words if len(words) <= 24 else words[:23] + "…"


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
    sampled = set(run.trials.loc[run.trials["preset"].isin(["sampled", ""]), "id"])
    for axes, (name, unit, label) in zip(grid, axes_of, strict=True):
        end = course[name].max() / unit
        for place, group in enumerate(groups):
            mine = course[course["group"] == group]
            _draw_steps(axes, mine[name] / unit, mine["best"], end, place)
        _draw_first_sampled(axes, course[course["trial"].isin(sampled)][name] / unit)
        axes.set_xlim(0, 1.03 * end)
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=name != "seconds"))
    grid[0].set_ylabel(f"best {scale.label} so far")
    _set_values(grid[0], scale, limits)
    figure.legend(
        handles=_steps_legend(run, groups, bool(sampled & set(course["trial"]))),
        loc="outside lower center",
        ncols=4,
    )
    return figure


@styled
def rung_bars(run: Run, found: Mapping[Group, Sequence[Rung]]) -> Figure | None:
    """A panel per group: at each rung how many trials entered, and what became of them."""
    if not any(rung.entered for rungs in found.values() for rung in rungs):
        return None
    figure, panels = _panels(len(found), sharey=True)
    last = number(run.settings.get("max_epochs"))
    for axes, (group, rungs) in zip(panels, found.items(), strict=True):
        bottoms = np.zeros(len(rungs))
        for name, _, look in _BARS:
            heights = np.array([getattr(rung, name) for rung in rungs])
            there = np.flatnonzero(heights)  # a bar of no height would still have an edge
            axes.bar(there, heights[there], 0.68, bottom=bottoms[there], linewidth=0.8, **look)
            bottoms += heights
        reached = complete_samples(run, group)
        axes.bar([len(rungs)], [reached], 0.68, linewidth=0.8, **_REACHED)
        for place, total in enumerate([*bottoms, reached]):
            axes.annotate(
                f"{total:.0f}",
                (place, total),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=7.5,
            )
        axes.set_xticks(range(len(rungs) + 1), [*(str(rung.epoch) for rung in rungs), f"{last:g}"])
        axes.grid(False, axis="x")
        axes.set_title(name_of(run, group))
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
def control_curves(run: Run, found: Sequence[Spared]) -> Figure | None:
    """Control trials past the epoch at which they would have been stopped, beside the best of the
    others, a panel per group."""
    scale = scale_of(run)
    curves = run.epochs[["id", "epoch"]].assign(value=column(run.epochs, run.metric))
    curves = curves[scale.drawn(curves["value"]) & np.isfinite(curves["value"])]
    by_group: dict[Group, list[Spared]] = {}
    for one in found:
        if (curves["id"] == one.trial).any():
            by_group.setdefault(one.group, []).append(one)
    if not by_group:
        return None
    kept = set(_most(by_group))
    by_group = {group: members for group, members in by_group.items() if group in kept}
    leaders = {group: best_unspared(run, group) for group in by_group}
    ids = {one.trial for members in by_group.values() for one in members} | set(leaders.values())
    limits = scale.limits(curves.loc[curves["id"].isin(ids), "value"], (), whole=True)
    last = curves.loc[curves["id"].isin(ids), "epoch"].max()
    figure, panels = _panels(len(by_group), sharey=True)
    for axes, (group, members) in zip(panels, by_group.items(), strict=True):
        _draw_spared(axes, curves.assign(value=scale.clipped(curves["value"], limits)), members)
        best = curves[curves["id"] == leaders[group]]
        axes.plot(best["epoch"], best["value"], color="#000000", linewidth=2.2, zorder=5)
        axes.plot(best["epoch"][-1:], best["value"][-1:], "o", color="#000000", zorder=5)
        axes.set_title(f"{name_of(run, group)} ({len(members)} spared)")
        axes.set_xscale("log")
        axes.set_xlim(0.9, max(last, 2) * 1.12)
        plain_log_ticks(axes.xaxis, 1, last)
        _set_values(axes, scale, limits)
        axes.set_xlabel("epoch")
    figure.supylabel(scale.label, fontsize=8.5)
    won = any(one.won for members in by_group.values() for one in members)
    columns = 2 if won or len(panels) == 1 else 3
    figure.legend(handles=_control_legend(won), loc="outside lower center", ncols=columns)
    return figure


def shown_groups(run: Run, found: Iterable[Group]) -> list[Group]:
    """As many groups as a picture has room for, those with most trials, in the run's order."""
    by_group = {group: run.trials[run.trials[run.group] == group]["id"].tolist() for group in found}
    kept = set(_most(by_group))
    return [group for group in by_group if group in kept]


def _most(by_group: Mapping[Group, Sequence]) -> list[Group]:
    """The groups with most members; of equal ones the first."""
    return sorted(by_group, key=lambda group: -len(by_group[group]))[:MOST_GROUPS]


def _time_axis(run: Run, most: float) -> tuple[float, str]:
    """Seconds per unit of the axis, and its name."""
    unit, words = next((unit, words) for least, unit, words in _UNITS if most >= least)
    return unit, f"{device_word(run)}-{words} of trials"


def _limits(course: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """Range of the axis: on a linear one not how the first trials came up from chance, which would
    leave the rest no room, but where each group ended, however far below the others."""
    if scale.log:
        return scale.limits(course["best"], ())
    values = course.groupby(["group", "trial"])["best"].last()
    low, high = scale.limits(values, ())
    ends = course.groupby("group")["best"].last()
    return min(low, ends.min() - 0.08 * (high - ends.min())), high


def _draw_steps(axes: Axes, x: pd.Series, best: pd.Series, end: float, place: int) -> None:
    """The line goes on to the end of the search; its marker is the last improvement."""
    colour, x, best = COLOURS[place], x.to_numpy(), best.to_numpy()
    axes.plot(
        [*x, end],
        [*best, best[-1]],
        drawstyle="steps-post",
        color=colour,
        linestyle=DASHES[place],
    )
    first = int(np.argmax(best == best[-1]))
    axes.plot(x[first], best[first], MARKERS[place], color=colour, markeredgecolor="white")


def _draw_first_sampled(axes: Axes, x: pd.Series) -> None:
    if len(x) and x.iloc[0] > 1:
        axes.axvline(x.iloc[0], zorder=1, **DOTTED)


def _steps_legend(run: Run, groups: Sequence[Group], sampled: bool) -> list[Line2D]:
    lines = [
        Line2D(
            [],
            [],
            color=COLOURS[place],
            linestyle=DASHES[place],
            marker=MARKERS[place],
            label=name_of(run, group),
        )
        for place, group in enumerate(groups)
    ]
    presets = (~run.trials["preset"].isin(["sampled", ""])).any()
    return (
        [*lines, Line2D([], [], label="sampling begins", **DOTTED)] if sampled & presets else lines
    )


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
    for one in sorted(members, key=lambda one: one.won):
        curve = curves[curves["id"] == one.trial]
        colour, alpha = (COLOURS[1], 1.0) if one.won else (FAINT, faint)
        before = curve[curve["epoch"] <= one.epoch][["epoch", "value"]].to_numpy()
        after = curve[curve["epoch"] >= one.epoch][["epoch", "value"]].to_numpy()
        look = {"colors": colour, "alpha": alpha, "linewidths": 1.6 if one.won else 0.9}
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
