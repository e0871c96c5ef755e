"""The pictures of a search's settings: importances, parallel coordinates, slices, contour.

Values are colours of a scale whose dark end is good, and the dark end is dark in grey too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.tri import Triangulation

from analysis.figures.drawing.style import COLOURS, FLOOR, plain_log_ticks, styled
from analysis.measure.study import GroupStudy
from analysis.tables.writing.formats import short
from analysis.tables.writing.groups import panel_title

IN_PARALLEL = 6  # parameters side by side in 8 inches
SLICES = 4

_WINNER = COLOURS[1]
_EQUAL = {"color": FLOOR, "linestyle": "--", "linewidth": 1}
_WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
_STAR = {
    "marker": "*",
    "color": _WINNER,
    "markersize": 10,
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "linestyle": "",
    "zorder": 6,
}


@styled
def importances(groups: Sequence[GroupStudy], names: Sequence[str]) -> Figure | None:
    """A panel per group, which all have importances; the parameters in the order of `names`."""
    if not groups:
        return None
    size = (8 if len(groups) > 1 else 5, 0.95 + 0.2 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1, len(groups), sharey=True, sharex=True, squeeze=False)
    widest = max(max(group.importances.values()) for group in groups)
    for axes, group, colour in zip(grid.flat, groups, COLOURS, strict=False):
        shares = [group.importances.get(name, math.nan) for name in names]
        axes.barh(range(len(names)), np.nan_to_num(shares), height=0.68, color=colour)
        for row, share in enumerate(shares):
            words = f"{share:.2f}" if math.isfinite(share) else "not a parameter"
            x = np.nan_to_num(share) + 0.02 * widest
            axes.text(x, row, words, va="center", fontsize=7, bbox=_WHITE)
        axes.axvline(1 / len(group.importances), zorder=0.5, **_EQUAL)
        axes.set_title(f"{panel_title(group.group)} ({len(group.numbers)} trials)")
        axes.set_xlabel("share of importance")
        axes.grid(False, axis="y")
    grid[0, 0].set_yticks(range(len(names)), list(names))
    grid[0, 0].set_ylim(len(names) - 0.4, -0.6)
    grid[0, 0].set_xlim(0, 1.22 * widest)
    equal = Line2D([], [], label="equal shares", **_EQUAL)
    figure.legend(handles=[equal], loc="outside lower center")
    return figure


@styled
def parallel(group: GroupStudy, goal: str) -> Figure | None:
    """A line per trial through the most important parameters, each an axis of its searched range,
    and through its value."""
    names, rows = sorted(group.top(IN_PARALLEL)), group.lines
    if not names:
        return None
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.subplots()
    heights = [_shares(group, name)[rows] for name in names]
    norm = _norm(group, group.values)
    heights.append(np.asarray(norm(group.values))[rows])
    lines = np.stack([np.tile(np.arange(len(heights)), (len(rows), 1)), np.array(heights).T], -1)
    done, faint = group.complete[rows], float(np.clip(25 / len(rows), 0.12, 0.5))
    drawn = LineCollection(lines, cmap=_colours(group), norm=norm, array=group.values[rows])
    drawn.set(linewidth=np.where(done, 1.1, 0.6), alpha=np.where(done, max(0.45, faint), faint))
    axes.add_collection(drawn)
    if group.winner is not None:
        best = lines[rows.index(group.winner)]
        axes.plot(*best.T, color="white", linewidth=3.6, zorder=4)
        axes.plot(*best.T, color=_WINNER, linewidth=2, zorder=5, label="winner")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1)
    for place, name in enumerate(names):
        axes.axvline(place, color=FLOOR, linewidth=0.8)
        for height, words in _axis_labels(group, name):
            axes.text(place, height, f" {words}", fontsize=7, va="center", bbox=_WHITE, zorder=7)
    axes.set_xticks(range(len(heights)), [*(name.replace(" ", "\n") for name in names), goal])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(-0.1, len(names) + 0.1), ylim=(-0.05, 1.05))
    some = "" if group.one_line_in == 1 else f"{len(rows)} of "
    axes.set_title(f"{panel_title(group.group)}: {some}{len(group.numbers)} trials")
    _add_bar(figure, axes, group, drawn, goal)
    return figure


@styled
def slices(group: GroupStudy, goal: str) -> Figure | None:
    """Value against each of the most important parameters."""
    names = sorted(group.top(SLICES))
    if not names:
        return None
    figure = Figure(figsize=(8 if len(names) > 1 else 4.5, 2.9), layout="constrained")
    grid = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    done, look = (
        group.complete,
        {"cmap": "cividis", "alpha": float(np.clip(60 / len(group.numbers), 0.45, 0.9))},
    )
    for axes, name in zip(grid, names, strict=True):
        points = axes.scatter(
            _drawn(group, name),
            group.values,
            np.where(done, 22.0 if len(done) < 100 else 13.0, 7.0),
            group.numbers,
            edgecolors=np.where(done, "black", FLOOR),  # yellow needs an edge too
            linewidths=np.where(done, 0.5, 0.25),
            **look,
        )
        if group.winner is not None:
            axes.plot(_drawn(group, name)[group.winner], group.values[group.winner], **_STAR)
        axes.set_xlabel(name)
        _set_axis(axes, "x", group, name, narrow=True)
    _set_value_axis(grid[0], group)
    grid[0].set_ylabel(goal)
    figure.suptitle(f"{panel_title(group.group)}: {len(group.numbers)} trials", fontsize=9)
    figure.colorbar(points, ax=grid[-1], label="trial number").outline.set_visible(False)
    figure.legend(handles=_point_legend(group), loc="outside lower center", ncols=3)
    return figure


@styled
def contour(group: GroupStudy, goal: str) -> Figure | None:
    """The value over the two most important numbers, through complete trials only, because a trial
    that was stopped early is bad for that reason anywhere."""
    if not group.has_contour:
        return None
    names, done = sorted(group.pair), group.complete
    shares = [_shares(group, name)[done] for name in names]
    x, y = (group.parameters.loc[done, name].to_numpy(float) for name in names)
    figure = Figure(figsize=(5.6, 3.7), layout="constrained")
    axes = figure.subplots()
    for axis, name in zip("xy", names, strict=True):
        _set_axis(axes, axis, group, name)
        axes.set(**{f"{axis}label": name})
    values = group.values[done]
    norm = _norm(group, values)
    try:
        net = Triangulation(x, y, Triangulation(*shares).triangles)  # near on the axes' scales
        levels = np.asarray(norm.inverse(np.linspace(0, 1, 12)))
        axes.tricontourf(net, values, levels=levels, cmap=_colours(group), norm=norm)
    except (ValueError, RuntimeError):
        pass  # the trials lie on a line: dots alone
    look = {"cmap": _colours(group), "norm": norm, "edgecolors": "black", "linewidths": 0.7}
    points = axes.scatter(x, y, 16, values, zorder=4, **look)
    axes.use_sticky_edges = False
    axes.margins(0.05)
    axes.grid(False)
    axes.set_title(f"{panel_title(group.group)}: {done.sum()} complete trials")
    _add_bar(figure, axes, group, points, goal)
    if group.winner is not None and done[group.winner]:
        axes.plot(*group.parameters.loc[group.winner, names].to_numpy(float), **_STAR)
        star = Line2D([], [], label="winner", **_STAR)
        figure.legend(handles=[star], loc="outside lower center")
    return figure


def _colours(group: GroupStudy) -> str:
    return "viridis_r" if group.maximised else "viridis"


def _is_log(group: GroupStudy) -> bool:
    """Whether values are drawn on a logarithmic scale: errors are."""
    return not group.maximised and bool((group.values > 0).all())


def _norm(group: GroupStudy, values: np.ndarray) -> Normalize:
    low, high = values.min(), values.max()
    kind = LogNorm if _is_log(group) else Normalize
    return kind(low, high if high > low else low + abs(low) * 0.01 + 1e-9)


def _shares(group: GroupStudy, name: str) -> np.ndarray:
    """Where in its searched range each value of a parameter lies, from 0 to 1."""
    values, choices = group.parameters[name], group.choices(name)
    if choices:
        return values.map(choices.index).to_numpy(float) / max(1, len(choices) - 1)
    ends, numbers = np.array(_ends(group, name), float), values.to_numpy(float)
    if group.is_log(name):
        ends, numbers = np.log(ends), np.log(numbers)
    return (numbers - ends[0]) / max(ends[1] - ends[0], 1e-12)


def _ends(group: GroupStudy, name: str) -> tuple[float, float]:
    return group.distributions[name].low, group.distributions[name].high


def _axis_labels(group: GroupStudy, name: str) -> list[tuple[float, str]]:
    choices = group.choices(name)
    if not choices:
        return [(turn, short(end)) for turn, end in enumerate(_ends(group, name))]
    return [
        (turn / max(1, len(choices) - 1), _choice_words(each)) for turn, each in enumerate(choices)
    ]


def _choice_words(choice: Any) -> str:
    return {True: "yes", False: "no"}[choice] if isinstance(choice, bool) else short(choice)


def _drawn(group: GroupStudy, name: str) -> np.ndarray:
    """Values of a parameter as an axis takes them: choices by their turn."""
    choices = group.choices(name)
    values = group.parameters[name]
    return (values.map(choices.index) if choices else values).to_numpy(float)


def _set_axis(axes: Axes, axis: str, group: GroupStudy, name: str, narrow: bool = False) -> None:
    """Ticks and scale of a parameter; on a narrow panel few ticks."""
    choices, ticks = group.choices(name), getattr(axes, f"{axis}axis")
    if choices:
        words = [_choice_words(choice) for choice in choices]
        crowded = len("".join(words)) > 14
        turn = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
        axes.set_xticks(range(len(choices)), words, **turn)
        axes.set_xlim(-0.5, len(choices) - 0.5)
    elif group.is_log(name):
        axes.set(**{f"{axis}scale": "log"})
        low, high = _ends(group, name)
        decades_alone = narrow and high >= 10 * low
        plain_log_ticks(ticks, low, 1e3 * high if decades_alone else high)
    else:
        whole = isinstance(group.distributions[name].low, int)
        ticks.set_major_locator(MaxNLocator(4, integer=whole))


def _set_value_axis(axes: Axes, group: GroupStudy) -> None:
    if _is_log(group):
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis, group.values.min(), group.values.max())


def _add_bar(figure: Figure, axes: Axes, group: GroupStudy, drawn: Any, goal: str) -> None:
    bar = figure.colorbar(drawn, ax=axes, label=goal)
    bar.outline.set_visible(False)
    if _is_log(group):
        plain_log_ticks(bar.ax.yaxis, bar.vmin, bar.vmax)


def _point_legend(group: GroupStudy) -> list[Line2D]:
    dot = {"marker": "o", "linestyle": "", "color": "#7d7c78"}
    looks = [
        ("complete", {**dot, "markersize": 4.7, "markeredgecolor": "black"}, True),
        ("stopped early", {**dot, "markersize": 2.6, "markeredgecolor": FLOOR}, False),
    ]
    found = [Line2D([], [], label=w, **k) for w, k, done in looks if done in group.complete]
    star = [Line2D([], [], label="winner", **_STAR)] if group.winner is not None else []
    return found + star
