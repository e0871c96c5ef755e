"""Errors of autoencoders by code size, beside PCA, the mean image and the seed report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figures.curves import ERROR
from analysis.figures.drawing.style import COLOURS, FLOOR, MARKERS, entry, plain_log_ticks
from analysis.measure.best import Best
from analysis.tables.writing.formats import mse

REPORT: dict[str, Any] = {
    "color": "#000000",
    "marker": "D",
    "markerfacecolor": "white",
    "markersize": 5,
    "linestyle": "",
}
_PCA = {"color": FLOOR, "linestyle": "-", "linewidth": 2.2}
_MEAN = {"color": FLOOR, "linestyle": ":", "linewidth": 1.8}
_WIDTH = 0.92  # of the room of a code size, for all runs side by side
_NUMBERED = 6  # dots that can each bear their number


def drawable(found: Sequence[Best]) -> list[Best]:
    """Those that have an error and a place on a logarithmic axis."""
    return [each for each in found if each.draws and each.value > 0]


def draw_errors(axes: Axes, found: Sequence[Best], data: Sequence[str]) -> list[Line2D]:
    """A column per code size, in it a dot per run, side by side, each with its own floors.

    A data set has the colour and the marker of its place in `data`. Returns what a legend needs.
    """
    sizes = sorted({each.size for each in found}, reverse=True)
    series = list(dict.fromkeys(_series(each) for each in found))
    step = _WIDTH / len(series)
    for each in found:
        turn = series.index(_series(each)) - (len(series) - 1) / 2
        middle = sizes.index(each.size) + step * turn
        half = min(0.4 * step, 0.2)
        for floor, look in ((_pca(each), _PCA), (each.mean_image, _MEAN)):
            if floor > 0:
                axes.hlines(floor, middle - half, middle + half, **_of_lines(look))
        axes.errorbar(
            middle,
            each.value,
            yerr=each.deviation if each.deviation > 0 else None,
            capsize=3,
            zorder=4,
            **look_of(each, data),
        )
        if len(found) <= _NUMBERED:
            _write_error(axes, each, middle)
    theirs = {each.size: each.theirs[0] for each in found if each.theirs[0] > 0}
    for size, value in theirs.items():
        axes.plot(sizes.index(size), value, zorder=3, **REPORT)
    _set_axes(axes, found, sizes)
    axes.set_title(f"best autoencoders{split_of(found)}")
    shown = {_series(each): each for each in reversed(found)}
    handles = [entry(name, **look_of(shown[name], data)) for name in series]
    floors = [("PCA, as many components", _PCA, map(_pca, found))]
    floors += [("mean image", _MEAN, (each.mean_image for each in found))]
    handles += [
        entry(label, **look) for label, look, values in floors if any(value > 0 for value in values)
    ]
    return handles + ([entry("seed report", **REPORT)] if theirs else [])


def look_of(each: Best, data: Sequence[str]) -> dict[str, Any]:
    """Of a data set the same wherever it is drawn; hollow is a figure of validation, half filled an
    autoencoder that was chosen for its codes."""
    turn = list(data).index(each.run.data["name"])
    colour = COLOURS[turn % len(COLOURS)]
    return {
        "color": colour,
        "marker": MARKERS[turn % len(MARKERS)],
        "markerfacecolor": colour if each.tested else "white",
        "markerfacecoloralt": "white",
        "fillstyle": "left" if each.by_probe and each.tested else "full",
        "markersize": 5.5,
        "linestyle": "",
    }


def split_of(found: Sequence[Best]) -> str:
    """Of which split the numbers are, for a title."""
    tested = {each.tested for each in found}
    return {(True,): ", test split", (False,): ", validation split"}.get(tuple(tested), "")


def _series(each: Best) -> str:
    """A run as the legend names it."""
    by = ", chosen by probe accuracy" if each.by_probe else ""
    return f"{each.run.data['name']}{by}{'' if each.tested else ', validation'}"


def _pca(each: Best) -> float:
    return math.nan if each.pca.exact else each.pca.value("test_mse")


def _write_error(axes: Axes, each: Best, middle: float) -> None:
    """Away from PCA, whose line would run through it."""
    below = _pca(each) > each.value
    axes.annotate(
        mse(each.value),
        (middle, each.value),
        (0, -7 if below else 7),
        ha="center",
        va="top" if below else "bottom",
        textcoords="offset points",
        fontsize=7,
    )


def _set_axes(axes: Axes, found: Sequence[Best], sizes: Sequence[int]) -> None:
    values = [v for each in found for v in (each.value, _pca(each), each.mean_image)]
    values += [each.theirs[0] for each in found]
    known = np.array([value for value in values if value > 0 and math.isfinite(value)])
    room = max(known.max() / known.min(), 4) ** 0.12
    axes.set_yscale("log")
    axes.set_ylim(known.min() / room, known.max() * room)
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    for place in range(1, len(sizes)):
        axes.axvline(place - 0.5, color="#e4e4e4", linewidth=0.8, zorder=0)
    axes.grid(False, axis="x")
    axes.set_xlabel("code size")
    axes.set_ylabel(ERROR.label)
    plain_log_ticks(axes.yaxis, *axes.get_ylim())


def _of_lines(look: dict[str, Any]) -> dict[str, Any]:
    """The look of a line as that of a collection of lines."""
    return {f"{name}s": value for name, value in look.items()}
