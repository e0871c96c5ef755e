"""The pictures of classifiers of codes that no other section has: accuracy by probe, and by L2."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from analysis.figures.style import COLOURS, DASHES, MARKERS, Level, styled
from analysis.tables.frames import Row, short

_APART = 0.22  # of a row's height, between the dots of two code sizes
_CURVES = {"train_accuracy": "training drawings", "test_accuracy": "test drawings"}


@styled
def accuracies(rows: Sequence[Row], sizes: Sequence[int], levels: Sequence[Level]) -> Figure | None:
    """A dot with its interval per probe and code size, probes in the order of the rows from above;
    the best of each probe with its number. Levels are vertical lines."""
    if not rows:
        return None
    names = list(dict.fromkeys(row["probe"] for row in rows))
    apart = min(_APART, 0.7 / len(sizes))
    figure = Figure(
        figsize=(8, 1.3 + len(names) * max(0.28, 0.14 * len(sizes))), layout="constrained"
    )
    axes = figure.subplots()
    lines = [
        axes.axvline(level.value, label=level.label, zorder=1, **level.look) for level in levels
    ]
    dots = []
    for turn, size in enumerate(sizes):
        mine = [row for row in rows if row["latent_size"] == size]
        shift = apart * (turn - (len(sizes) - 1) / 2)
        places = [names.index(row["probe"]) + shift for row in mine]
        dots += [_draw_size(axes, mine, places, size, turn)] if mine else []
        for row, place in zip(mine, places, strict=True):
            if row is _best([one for one in rows if one["probe"] == row["probe"]]):
                _write_value(axes, row, place)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    axes.set_xlabel("test accuracy")
    figure.legend(handles=dots, loc="outside lower center", ncols=6)
    if lines:
        figure.legend(handles=lines, loc="outside upper center", ncols=2)
    return figure


@styled
def against_l2(rows: Sequence[Row]) -> Figure | None:
    """Training and test accuracy at each L2, from none to the strongest, evenly apart: none has no
    place on a log scale."""
    if not rows:
        return None
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    for turn, (metric, words) in enumerate(_CURVES.items()):
        values = [row[metric] for row in rows]
        axes.plot(
            places,
            values,
            color=COLOURS[turn],
            marker=MARKERS[turn],
            linestyle=DASHES[turn],
            markerfacecolor="white",
            label=words,
        )
        for place, value in zip(places, values, strict=True):
            if math.isfinite(value):
                axes.annotate(
                    f"{value:.3f}",
                    (place, value),
                    (0, 6),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7,
                )
    axes.set_xticks(places, [short(row["l2"]) for row in rows])
    axes.margins(x=0.06, y=0.16)
    axes.set_xlabel("L2")
    axes.set_ylabel("accuracy")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _draw_size(
    axes: Axes, rows: Sequence[Row], places: Sequence[float], size: int, turn: int
) -> ErrorbarContainer:
    values = np.array([row["test_accuracy"] for row in rows], float)
    ends = np.array([[row["test_low"], row["test_high"]] for row in rows], float).reshape(-1, 2)
    lengths = np.nan_to_num(np.abs(ends.T - values))  # an interval that is not known has none
    colour = COLOURS[turn % len(COLOURS)]
    return axes.errorbar(
        values,
        places,
        xerr=lengths,
        fmt=MARKERS[turn % len(MARKERS)],
        color=colour,
        capsize=2,
        elinewidth=1.1,
        label=f"code {size}",
        zorder=3,
    )


def _best(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: row["test_accuracy"])


def _write_value(axes: Axes, row: Row, place: float) -> None:
    """Right of the interval; three digits, as a reader keeps no more in mind."""
    end = row["test_high"] if math.isfinite(row["test_high"]) else row["test_accuracy"]
    axes.annotate(
        f"{row['test_accuracy']:.3f}",
        (end, place),
        (5, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},  # a level may run through
    )
