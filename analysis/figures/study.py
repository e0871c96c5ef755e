"""The pictures of a search's settings: importances, parallel coordinates, slices, contour.

All but the importances are drawn by Optuna, which draws through pyplot and in a style of its own;
what it drew is then set in the report's style. Values are colours of a scale whose dark end is
good, and the dark end is dark in grey too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import optuna
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colorbar import Colorbar
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from optuna.visualization.matplotlib import plot_contour, plot_parallel_coordinate, plot_slice

from analysis.figures.style import COLOURS, FLOOR, styled
from analysis.measure.study import GroupStudy, quiet
from analysis.tables.formats import short
from analysis.tables.groups import panel_title

IN_PARALLEL = 6  # parameters side by side in 8 inches
SLICES = 4

_WINNER = COLOURS[1]
_STEPS = (1, 2, 2.5, 5, 10)
_INK = "#262626"
_GRID = "#e4e4e4"
_EQUAL = {"color": FLOOR, "linestyle": "--", "linewidth": 1}
_WHITE = {"facecolor": "white", "edgecolor": "none"}
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
    """A panel per group that has importances; the parameters in the order of `names`."""
    measured = [group for group in groups if group.importances]
    if not measured:
        return None
    figure = Figure(
        figsize=(8 if len(measured) > 1 else 5, 0.95 + 0.2 * len(names)), layout="constrained"
    )
    grid = figure.subplots(1, len(measured), sharey=True, sharex=True, squeeze=False)
    widest = max(max(group.importances.values()) for group in measured)
    for axes, group, colour in zip(grid.flat, measured, COLOURS, strict=False):
        shares = [group.importances.get(name, math.nan) for name in names]
        axes.barh(range(len(names)), np.nan_to_num(shares), height=0.68, color=colour)
        for place, share in enumerate(shares):
            said = f"{share:.2f}" if math.isfinite(share) else "not a parameter"
            x = np.nan_to_num(share) + 0.02 * widest
            axes.text(x, place, said, va="center", fontsize=7, bbox={**_WHITE, "pad": 0.6})
        axes.axvline(1 / len(group.importances), zorder=0.5, **_EQUAL)
        axes.set_title(f"{panel_title(group.group)} ({len(group.numbers)} trials)")
        axes.set_xlabel("share of importance")
        axes.grid(False, axis="y")
    grid[0, 0].set_yticks(range(len(names)), list(names))
    grid[0, 0].set_ylim(len(names) - 0.4, -0.6)
    grid[0, 0].set_xlim(0, 1.22 * widest)
    ticks = MaxNLocator(4).tick_values(0, min(1.22 * widest, 1))
    grid[0, 0].set_xticks([tick for tick in ticks if tick <= min(1.22 * widest, 1)])
    equal = Line2D([], [], label="equal shares", **_EQUAL)
    figure.legend(handles=[equal], loc="outside lower center")
    return figure


@styled
def parallel(group: GroupStudy, goal: str) -> Figure | None:
    """A line per trial through the most important parameters: Optuna's parallel coordinates."""
    whole, group = group, group.thinned()
    names = whole.top(IN_PARALLEL)
    if not names:
        return None
    with _by_optuna((8, 3.5)):
        axes = plot_parallel_coordinate(group.study, params=names, target_name=goal)
        figure = axes.figure
        (lines,) = axes.collections
        lines.set_cmap(_colours(group))
        faint = float(np.clip(25 / len(group.numbers), 0.12, 0.5))
        lines.set_linewidth([1.1 if done else 0.6 for done in group.complete])
        lines.set_alpha([max(0.45, faint) if done else faint for done in group.complete])
        _draw_winner_line(axes, group, lines.get_segments())
        bar = lines.colorbar
        _dress(axes, sides=("left",), grid=False)
        lines_of = "" if whole.one_line_in == 1 else f"{len(group.numbers)} of "
        axes.set_title(f"{panel_title(group.group)}: {lines_of}{len(whole.numbers)} trials")
        _value_ticks(axes.yaxis, group, *axes.get_ylim())
        places, words = axes.get_xticks(), [label.get_text() for label in axes.get_xticklabels()]
        axes.set_xticks(places, map(_two_lines, words), rotation=0, ha="center")
        axes.tick_params(axis="x", length=0, pad=6)
        for side in _others(figure, axes, bar):
            _dress(side, sides=("right",), grid=False)
        for side, name in zip(_others(figure, axes, bar), sorted(names), strict=True):
            _parallel_ticks(side, group, name)
        _dress_bar(bar, group)
    return figure


@styled
def slices(group: GroupStudy, goal: str) -> Figure | None:
    """Value against each of the most important parameters: Optuna's slice plot."""
    names = group.top(SLICES)
    if not names:
        return None
    with _by_optuna((8, 2.9)):
        grid = np.atleast_1d(plot_slice(group.study, params=names, target_name=goal)).tolist()
        figure = grid[0].figure
        figure.set_size_inches(8 if len(grid) > 1 else 4.5, 2.9)
        figure.suptitle(f"{panel_title(group.group)}: {len(group.numbers)} trials", fontsize=9)
        values = [trial.value for trial in group.trials]
        room = 0.06 * (max(values) - min(values) or 1)
        limits = min(values) - room, max(values) + room
        for axes, name in zip(grid, sorted(names), strict=True):
            axes.set_title("")
            _dress(axes)
            _dress_points(axes.collections[0], group)
            axes.set_ylim(*limits)
            if group.is_choice(name):
                _choice_ticks(axes, group, name)
            else:
                _parameter_ticks(axes.xaxis, group, name, 3)
            _draw_winner_point(axes, group, name)
        _value_ticks(grid[0].yaxis, group, *limits)
        bar = grid[-1].collections[0].colorbar
        _dress_bar(bar)
        bar.set_label("trial number")
        figure.legend(handles=_point_legend(group), loc="outside lower center", ncols=3, fontsize=8)
    return figure


@styled
def contour(group: GroupStudy, goal: str) -> Figure | None:
    """The value over the two most important numbers: Optuna's contour, through complete trials
    only, because a trial that was stopped early is bad for that reason at any place."""
    if not group.has_contour:
        return None
    trials, names = group.complete_trials, group.pair
    with _by_optuna((5.6, 3.7)):
        study = optuna.create_study(direction=group.study.direction)
        study.add_trials(trials)
        axes = plot_contour(study, params=names, target_name=goal)
        figure = axes.figure
        _dress(axes, sides=("left", "bottom"), grid=False)
        filled = next(one for one in axes.collections if getattr(one, "colorbar", None))
        for one in axes.collections:
            if isinstance(one, ContourSet) and one is not filled:
                one.set(linewidths=0.4, alpha=0.35)
            elif not isinstance(one, ContourSet):
                one.set(sizes=[11], facecolors="white", edgecolors="black", linewidths=0.7)
        filled.set_cmap(_colours(group))
        across, down = sorted(names)
        _parameter_ticks(axes.xaxis, group, across, 5)
        _parameter_ticks(axes.yaxis, group, down, 5)
        axes.set_title(f"{panel_title(group.group)}: {len(trials)} complete trials")
        _dress_bar(filled.colorbar, group)
        if group.winner is not None and group.complete[group.winner]:
            best = group.trials[group.winner].params
            axes.plot(best[across], best[down], **_STAR)
            axes.legend(
                handles=[Line2D([], [], **_STAR, label="winner")],
                loc="lower left",
                bbox_to_anchor=(0, 1),
                borderaxespad=0.1,
            )
            axes.set_title(axes.get_title(), loc="right", fontsize=9)
            axes.set_title("")
    return figure


def _colours(group: GroupStudy) -> str:
    return "viridis" if group.study.direction.name == "MINIMIZE" else "viridis_r"


@contextmanager
def _by_optuna(size: tuple[float, float]) -> Iterator[None]:
    """Let Optuna open one figure of that size in inches, without a screen, and close it."""
    pyplot.switch_backend("agg")  # a report is written where there may be no screen
    known = set(pyplot.get_fignums())
    settings = {
        "figure.figsize": size,
        "figure.constrained_layout.use": True,
        "contour.negative_linestyle": "solid",  # a logarithm below 0 is no special one
    }
    with quiet(), matplotlib.rc_context(settings):
        try:
            yield
        finally:
            for number in sorted(set(pyplot.get_fignums()) - known):
                pyplot.close(number)


def _draw_winner_line(axes: Axes, group: GroupStudy, segments: Sequence[np.ndarray]) -> None:
    if group.winner is None:
        return
    line = segments[group.winner]
    axes.plot(line[:, 0], line[:, 1], color="white", linewidth=3.6, zorder=4)
    axes.plot(line[:, 0], line[:, 1], color=_WINNER, linewidth=2, zorder=5, label="winner")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, fontsize=8)


def _draw_winner_point(axes: Axes, group: GroupStudy, name: str) -> None:
    if group.winner is None:
        return
    best = group.trials[group.winner]
    if name in best.params:
        value = best.params[name]
        axes.plot([repr(value) if group.is_choice(name) else value], [best.value], **_STAR)


def _dress_points(points: Any, group: GroupStudy) -> None:
    """Complete trials large and ringed, stopped ones small; the colour is the number in the run,
    where Optuna has the place in the study."""
    places = np.asarray(points.get_array()).astype(int)
    done = np.array(group.complete)[places]
    faint = float(np.clip(60 / len(group.numbers), 0.45, 0.9))
    points.set_array(np.array(group.numbers)[places])
    points.set_clim(min(group.numbers), max(group.numbers))
    points.set_cmap("cividis")
    points.set_sizes(np.where(done, 22.0 if len(done) < 100 else 13.0, 7.0))
    points.set_edgecolors(["black" if one else FLOOR for one in done])  # yellow needs an edge too
    points.set_linewidths([0.5 if one else 0.25 for one in done])
    points.set_alpha(faint)


def _point_legend(group: GroupStudy) -> list[Line2D]:
    dot = {"marker": "o", "linestyle": "", "color": "#7d7c78"}
    looks = [
        ("complete", {**dot, "markersize": 4.7, "markeredgecolor": "black"}, True),
        ("stopped early", {**dot, "markersize": 2.6, "markeredgecolor": FLOOR}, False),
    ]
    found = [Line2D([], [], label=words, **k) for words, k, done in looks if done in group.complete]
    star = [Line2D([], [], label="winner", **_STAR)] if group.winner is not None else []
    return found + star


def _dress(axes: Axes, sides: Sequence[str] = ("left", "bottom"), grid: bool = True) -> None:
    """The report's style on axes that were drawn in another."""
    axes.set_facecolor("none" if not grid else "white")
    axes.set_axisbelow(True)
    axes.grid(False, which="both")
    if grid:
        axes.grid(True, color=_GRID, linewidth=0.6, linestyle="-")
    for name, spine in axes.spines.items():
        spine.set(visible=name in sides, edgecolor=_INK, linewidth=0.8)
    axes.tick_params(which="both", colors=_INK, labelsize=8)
    axes.tick_params(which="minor", length=0)
    for words, size in ((axes.xaxis.label, 8.5), (axes.yaxis.label, 8.5), (axes.title, 9)):
        words.set(color=_INK, fontsize=size)


def _dress_bar(bar: Colorbar, group: GroupStudy | None = None) -> None:
    bar.outline.set_visible(False)
    bar.ax.grid(False)
    bar.ax.tick_params(colors=_INK, labelsize=8)
    bar.ax.yaxis.label.set(color=_INK, fontsize=8.5)
    if group is None:
        bar.ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        bar.ax.yaxis.set_minor_locator(NullLocator())
    else:
        low, high = bar.vmin, bar.vmax
        _value_ticks(bar.ax.yaxis, group, low, high)


def _others(figure: Figure, axes: Axes, bar: Colorbar) -> list[Axes]:
    return [one for one in figure.axes if one is not axes and one is not bar.ax]


def _value_ticks(axis: Axis, group: GroupStudy, low: float, high: float) -> None:
    """Ticks of the value, in plain numbers where the axis has logarithms."""
    axis.set_minor_locator(NullLocator())
    if not group.log:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
        return
    ticks = _log_ticks(low, high)
    axis.set_ticks([math.log10(tick) for tick in ticks], [f"{tick:g}" for tick in ticks])


def _log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Two to `most` plain numbers between 10**low and 10**high: decades if enough of them lie
    there, else 1, 2 and 5 of each, else any digit or, in a narrow range, even steps.

    >>> _log_ticks(-3, -0.5), _log_ticks(-2.1, -1.2), _log_ticks(-2.1, -2.09)
    ([0.001, 0.01, 0.1], [0.01, 0.02, 0.05], [0.00795, 0.008, 0.00805, 0.0081])
    """
    decades = range(math.floor(low), math.ceil(high) + 1)
    for digits, enough in (((1,), min(3, most - 1)), ((1, 2, 5), 2), (range(1, 10), 2)):
        ticks = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if low - 1e-9 <= math.log10(tick) <= high + 1e-9]
        if len(ticks) >= enough:
            return ticks[:: math.ceil(len(ticks) / most)]
    ticks = MaxNLocator(min(4, most)).tick_values(10**low, 10**high)
    return [float(f"{tick:.12g}") for tick in ticks if 10**low <= tick <= 10**high]


def _parameter_ticks(axis: Axis, group: GroupStudy, name: str, most: int) -> None:
    axis.set_minor_formatter(NullFormatter())
    if group.is_log(name):
        axis.set_minor_locator(NullLocator())
        ticks = _log_ticks(*(math.log10(value) for value in axis.get_view_interval()), most)
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    else:
        axis.set_major_locator(MaxNLocator(most, steps=_STEPS, integer=group.is_whole(name)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _choice_ticks(axes: Axes, group: GroupStudy, name: str) -> None:
    """The choices that some trial had, as Optuna places them, without its quotation marks."""
    had = {trial.params[name] for trial in group.trials if name in trial.params}
    choices = [short(each) for each in group.distribution(name).choices if each in had]
    crowded = len("".join(choices)) > 14
    axes.set_xticks(
        range(len(choices)),
        choices,
        rotation=35 if crowded else 0,
        ha="right" if crowded else "center",
        rotation_mode="anchor",
    )
    axes.set_xlim(-0.5, len(choices) - 0.5)


def _parallel_ticks(axes: Axes, group: GroupStudy, name: str) -> None:
    """Small ticks on white beside the axis of a parameter, which lines cross."""
    axes.set_zorder(3)
    if not group.is_choice(name):
        _parameter_ticks(axes.yaxis, group, name, 5)
    axes.tick_params(axis="y", labelsize=7, length=2.5, pad=2)
    for label in axes.get_yticklabels():
        label.set_bbox({**_WHITE, "alpha": 0.75, "pad": 0.4})


def _two_lines(words: str) -> str:
    r"""A name broken at the space nearest its middle.

    >>> _two_lines("learning rate"), _two_lines("depth")
    ('learning\nrate', 'depth')
    """
    spaces = [place for place, letter in enumerate(words) if letter == " "]
    if not spaces:
        return words
    middle = min(spaces, key=lambda place: abs(place - len(words) / 2))
    return f"{words[:middle]}\n{words[middle + 1 :]}"
