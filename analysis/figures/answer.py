"""The picture of the report's first part: errors by code size, and accuracies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.style import COLOURS, FLOOR, MARKERS, plain_log_ticks, styled
from analysis.tables.frames import mse

_REPORT = {"color": "#000000", "marker": "D", "markerfacecolor": "white", "markersize": 5}
_PCA = {"color": FLOOR, "linestyle": "-", "linewidth": 2.2}
_MEAN = {"color": FLOOR, "linestyle": ":", "linewidth": 1.8}
_NEAREST = {"color": FLOOR, "marker": "|", "markersize": 9, "markeredgewidth": 2.2}
_WIDTH = 0.92  # of what a code size has, for all runs side by side
_NUMBERED = 6  # dots that can each bear their number


@dataclass(frozen=True)
class Point:
    """An autoencoder's error; nan for a number that is not known."""

    data: str
    series: str  # its run, as the legend names it
    size: int
    value: float
    deviation: float
    tested: bool
    by_probe: bool
    pca: float
    mean_image: float
    theirs: float


@dataclass(frozen=True)
class Dot:
    """A classifier's accuracy; nan for a number that is not known."""

    data: str
    name: str
    value: float
    deviation: float
    tested: bool
    theirs: tuple[float, float]  # lowest and highest
    nearest: float
    of_codes: bool


@styled
def answer_figure(points: Sequence[Point], dots: Sequence[Dot]) -> Figure | None:
    """Errors at the left, accuracies at the right; a side without data leaves its room to the
    other. A data set has one colour and one marker on both; hollow is a validation figure, half
    filled an autoencoder that was chosen for its codes."""
    panels: list[tuple[float, Callable[[Axes], list[Line2D]]]] = []
    data = _distinct([one.data for one in [*points, *dots]])
    if points:
        panels.append((1.5, lambda axes: _draw_errors(axes, points, data)))
    if dots:
        panels.append((1.0, lambda axes: _draw_accuracies(axes, dots, data)))
    if not panels:
        return None
    rows = len(dots) + len({one.of_codes for one in dots})
    figure = Figure(
        figsize=(8, max(3.8 if points else 2.2, 1.3 + 0.25 * rows)), layout="constrained"
    )
    grid = figure.subplots(
        1, len(panels), width_ratios=[width for width, _ in panels], squeeze=False
    )
    handles = [
        handle for axes, (_, draw) in zip(grid[0], panels, strict=True) for handle in draw(axes)
    ]
    distinct = {handle.get_label(): handle for handle in handles}
    figure.legend(handles=list(distinct.values()), loc="outside lower center", ncols=4)
    return figure


def _draw_errors(axes: Axes, points: Sequence[Point], data: Sequence[str]) -> list[Line2D]:
    """A place per code size, in it a dot per run, side by side, each with its own floors."""
    sizes = sorted({one.size for one in points}, reverse=True)
    series = _distinct([one.series for one in points])
    step = _WIDTH / len(series)
    for one in points:
        middle = sizes.index(one.size) + step * (series.index(one.series) - (len(series) - 1) / 2)
        half = min(0.4 * step, 0.2)
        if one.pca > 0:
            axes.hlines(one.pca, middle - half, middle + half, **_line(_PCA))
        if one.mean_image > 0:
            axes.hlines(one.mean_image, middle - half, middle + half, **_line(_MEAN))
        axes.errorbar(
            middle,
            one.value,
            yerr=one.deviation if one.deviation > 0 else None,
            capsize=3,
            zorder=4,
            **_look(one.data, data, one.tested, one.by_probe),
        )
        if len(points) <= _NUMBERED:
            _write_error(axes, one, middle)
    theirs = {one.size: one.theirs for one in points if one.theirs > 0}
    for size, value in theirs.items():
        axes.plot(sizes.index(size), value, zorder=3, linestyle="", **_REPORT)
    _set_error_axes(axes, points, sizes)
    for place in range(1, len(sizes)):
        axes.axvline(place - 0.5, color="#e4e4e4", linewidth=0.8, zorder=0)
    axes.set_title(f"best autoencoders{_split(points)}")
    shown = {one.series: one for one in reversed(points)}
    handles = [
        _handle(name, **_look(shown[name].data, data, shown[name].tested, shown[name].by_probe))
        for name in series
    ]
    floors = [("PCA, as many components", _PCA, [one.pca for one in points])]
    floors += [("mean image", _MEAN, [one.mean_image for one in points])]
    handles += [Line2D([], [], label=label, **look) for label, look, v in floors if _any(v)]
    return handles + ([_handle("seed report", **_REPORT)] if theirs else [])


def _write_error(axes: Axes, one: Point, place: float) -> None:
    """Away from PCA, whose line would run through it."""
    below = one.pca > one.value
    axes.annotate(
        mse(one.value),
        (place, one.value),
        (0, -7 if below else 7),
        ha="center",
        va="top" if below else "bottom",
        textcoords="offset points",
        fontsize=7,
    )


def _set_error_axes(axes: Axes, points: Sequence[Point], sizes: Sequence[int]) -> None:
    values = [value for one in points for value in (one.value, one.pca, one.mean_image, one.theirs)]
    known = np.array([value for value in values if value > 0 and math.isfinite(value)])
    low, high = known.min(), known.max()
    room = max(high / low, 4) ** 0.12
    axes.set_yscale("log")
    axes.set_ylim(low / room, high * room)
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    axes.grid(False, axis="x")
    axes.set_xlabel("code size")
    axes.set_ylabel("mean squared error per pixel")
    plain_log_ticks(axes.yaxis, *axes.get_ylim())


def _draw_accuracies(axes: Axes, dots: Sequence[Dot], data: Sequence[str]) -> list[Line2D]:
    """A row per classifier, first those of images; its number at the right edge."""
    places, labels = _rows(dots)
    for one, place in zip(dots, places, strict=True):
        lowest, highest = one.theirs
        if math.isfinite(lowest):
            axes.plot([lowest, highest], [place] * 2, linewidth=1.1, zorder=3, **_REPORT)
        if math.isfinite(one.nearest):
            axes.plot(one.nearest, place, linestyle="", zorder=2, **_NEAREST)
        axes.errorbar(
            one.value,
            place,
            xerr=one.deviation if one.deviation > 0 else None,
            capsize=3,
            zorder=4,
            **_look(one.data, data, one.tested),
        )
        axes.annotate(
            f"{one.value:.3f}",
            (1, place),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    axes.set_yticks([place for place, _ in labels], [label for _, label in labels])
    axes.set_ylim(max(places) + 0.6, -0.6)
    for tick, (place, _) in zip(axes.get_yticklabels(), labels, strict=True):
        if place not in places:
            tick.set_fontweight("bold")
    axes.set_xlim(*_accuracy_limits(dots))
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("accuracy")
    axes.set_title(f"best classifiers{_split(dots)}")
    tested = {name: any(d.tested for d in dots if d.data == name) for name in data}
    handles = [
        _handle(name if tested[name] else f"{name}, validation", **_look(name, data, tested[name]))
        for name in _distinct([d.data for d in dots])
    ]
    if any(math.isfinite(one.theirs[0]) for one in dots):
        handles.append(_handle("seed report", **_REPORT))
    if any(math.isfinite(one.nearest) for one in dots):
        handles.append(_handle("1-NN on pixels", **_NEAREST))
    return handles


def _rows(dots: Sequence[Dot]) -> tuple[list[float], list[tuple[float, str]]]:
    """The place of each dot from above, and all labels with theirs: a heading before the first
    of images and before the first of codes."""
    places: list[float] = []
    labels: list[tuple[float, str]] = []
    heading = ""
    for one in dots:
        wanted = "of codes" if one.of_codes else "of images"
        if wanted != heading:
            heading = wanted
            labels.append((float(len(labels)), heading))
        places.append(float(len(labels)))
        labels.append((places[-1], one.name))
    return places, labels


def _accuracy_limits(dots: Sequence[Dot]) -> tuple[float, float]:
    values = [value for one in dots for value in (one.value, *one.theirs, one.nearest)]
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known), max(known)
    room = max(0.06 * (high - low), 0.01)
    low = max(low - room, -0.02)
    return low, min(high + room, 1 + 0.04 * (1 - low))  # whose axis ends in 1, not in a tick above


def _split(found: Sequence[Point | Dot]) -> str:
    """Of which split the numbers are, for a title."""
    tested = {one.tested for one in found}
    return {(True,): ", test split", (False,): ", validation split"}.get(tuple(tested), "")


def _look(
    name: str, data: Sequence[str], tested: bool = True, by_probe: bool = False
) -> dict[str, Any]:
    """Of a data set, the same wherever it is drawn."""
    turn = list(data).index(name)
    colour = COLOURS[turn % len(COLOURS)]
    return {
        "color": colour,
        "marker": MARKERS[turn % len(MARKERS)],
        "markerfacecolor": colour if tested else "white",
        "markerfacecoloralt": "white",
        "fillstyle": "left" if by_probe and tested else "full",
        "markersize": 5.5,
        "linestyle": "",
    }


def _line(look: dict[str, Any]) -> dict[str, Any]:
    """The look of a line as that of a collection of lines."""
    return {
        "colors": look["color"],
        "linestyles": look["linestyle"],
        "linewidths": look["linewidth"],
    }


def _handle(label: str, **look: Any) -> Line2D:
    return Line2D([], [], label=label, **{**look, "linestyle": ""})


def _any(values: Iterable[float]) -> bool:
    return any(value > 0 for value in values)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
