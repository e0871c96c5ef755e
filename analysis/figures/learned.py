"""The pictures of what an autoencoder learned: samples, interpolations, the spread and a map of its
codes, and whether codes are better where the error is lower."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.curves import ERROR
from analysis.figures.drawing.style import (
    COLOURS,
    FAINT,
    GAP,
    MARKERS,
    blank,
    columns_that_fit,
    entry,
    line_look,
    marks,
    mosaic,
    not_to_the_end,
    pictures,
    plain_log_ticks,
    styled,
)
from analysis.read.gallery import CodeMap, Interpolation
from analysis.read.runs import Group

WIDTH = 1080  # screen pixels of a row of images
SHOWN = 12  # samples of a row
STEPS = 9  # of a line between two codes, as wide as a page bears
ROWS = 12  # of interpolations that still fit on a page
ASIDE = 4  # empty pixels of an image between a drawing and what is decoded
NARROWEST = 6.0  # span of a log axis, so that it has two ticks
LOWEST = 0.02  # span of an axis of accuracies: less is no difference
NAME = 22  # letters of a kind in the legend

_KIND_LOOKS = tuple(
    (colour, marker, fill)
    for fill, turn in ((True, 0), (False, 3))
    for colour, marker in zip((*COLOURS[turn:], *COLOURS[:turn]), MARKERS, strict=True)
)  # filled markers first, then hollow ones in other colours


@styled
def samples(found: Mapping[Group, np.ndarray]) -> Figure | None:
    """A row of images (N, side, side) or (N, side, side, 3) per code size."""
    if not found:
        return None
    rows = list(found.values())
    most = min(SHOWN, columns_that_fit(rows[0].shape[1], WIDTH))
    picture = mosaic(rows, min(most, max(map(len, rows))))
    labels = [f"code {size}" for size in found]
    return pictures([picture], [labels], ["decoded from random codes"])


@styled
def interpolations(found: Mapping[Group, Interpolation]) -> Figure | None:
    """Below each other the pairs of drawings, of each a row per code size."""
    pairs = min((len(each.images) for each in found.values()), default=0)
    pairs = min(pairs, max(1, ROWS // max(len(found), 1)))
    if not pairs:
        return None
    parts = [[_between(each, pair) for each in found.values()] for pair in range(pairs)]
    labels = [f"code {size}" for size in found]
    titles = ["left and right: drawings; between them: decoded on the way from code to code"]
    return pictures(
        [_stacked(rows) for rows in parts], [labels] * pairs, titles + [""] * (pairs - 1)
    )


@styled
def spread(found: Mapping[Group, np.ndarray]) -> Figure | None:
    """The deviation of code units (D,), falling, against their rank; a line per code size."""
    drawn = {size: units[units > 0] for size, units in found.items() if (units > 0).any()}
    if not drawn:
        return None
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    most = max(map(len, drawn.values()))
    for size, units in drawn.items():
        turn = list(found).index(size)
        ranks = np.arange(1, len(units) + 1)
        axes.plot(
            ranks,
            units,
            **line_look(turn),
            markevery=marks(len(units)),
            markerfacecolor="white",
            label=f"code {size}",
        )
    low = min(units.min() for units in drawn.values())
    high = max(units.max() for units in drawn.values())
    axes.set(xscale="log", yscale="log", xlim=(0.9, max(most, 2) * 1.12))
    low = max(low, high * 1e-6)  # far below lie units that say nothing
    axes.set_ylim(low / 1.25, high * 1.25)
    plain_log_ticks(axes.xaxis, 1, most)
    plain_log_ticks(axes.yaxis, low / 1.25, high * 1.25)
    axes.set_xlabel("rank of the code unit, widest first")
    axes.set_ylabel("standard deviation, units of the code")
    figure.legend(loc="outside lower center", ncols=min(len(drawn), 5))
    return figure


@styled
def maps(found: Mapping[Group, CodeMap]) -> Figure | None:
    """A panel per code size, and one legend of the kinds."""
    if not found:
        return None
    names = sorted({name for each in found.values() for name in each.names})[: len(_KIND_LOOKS)]
    columns = min(3, len(found))
    rows = math.ceil(len(found) / columns)
    side = 8 / columns if columns > 1 else 4.5
    longest = max(len(_short(name)) for name in names)
    across = int(np.clip(side * columns / (0.3 + 0.085 * longest), 1, 5))
    below = 0.2 * math.ceil(len(names) / across)
    figure = Figure(
        figsize=(side * columns, rows * (side + 0.1) + below + 0.2), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (size, codes) in zip(grid.flat, found.items(), strict=False):
        _draw_map(axes, codes, names)
        drawn = sum(codes.names[kind] in names for kind in codes.kinds)
        axes.set_title(f"code {size} ({drawn:,} drawings)")
    for axes in grid[:, 0]:
        axes.set_ylabel("t-SNE 2, no unit")
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    handles = [
        entry(_short(name), linestyle="", markersize=5, **_kind_look(turn))
        for turn, name in enumerate(names)
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=across, handletextpad=0.2, handlelength=1
    )
    return figure


@styled
def error_and_accuracy(trials: pd.DataFrame, sizes: Sequence[Group]) -> Figure | None:
    """Trials with `size`, `error`, `accuracy`, `state`, `complete`, `won`: complete ones filled,
    others hollow, winners ringed."""
    if trials.empty:
        return None
    figure = Figure(figsize=(6.6, 4.2), layout="constrained")
    axes = figure.subplots()
    many = float(np.clip(60 / len(trials), 0.35, 0.9))
    for turn, size in enumerate(sizes):
        of_size = trials[trials["size"] == size]
        turn %= len(COLOURS)
        for complete in (False, True):
            some = of_size[of_size["complete"] == complete]
            axes.plot(
                some["error"],
                some["accuracy"],
                linestyle="",
                marker=MARKERS[turn],
                markersize=4.5,
                markeredgecolor=COLOURS[turn],
                markerfacecolor=COLOURS[turn] if complete else "none",
                markeredgewidth=0.8,
                alpha=max(many, 0.6) if complete else many,
                zorder=3 if complete else 2,
            )
    won = trials[trials["won"]]
    axes.plot(won["error"], won["accuracy"], **_RING, zorder=4)
    low, high = trials["error"].min(), trials["error"].max()
    room = max(1.25, (NARROWEST * low / high) ** 0.5)
    low, high = low / room, high * room
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    worst, best = trials["accuracy"].min(), trials["accuracy"].max()
    middle, half = (worst + best) / 2, max(0.55 * (best - worst), LOWEST / 2)
    axes.set_ylim(middle - half, middle + half)
    plain_log_ticks(axes.xaxis, low, high)
    axes.set_xlabel(f"validation {ERROR.label}")
    axes.set_ylabel("probe accuracy on validation, fraction")
    figure.legend(handles=_legend(trials, sizes), loc="outside lower center", ncols=3)
    return figure


_RING: dict[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 11,
    "markerfacecolor": "none",
    "markeredgecolor": "#000000",
    "markeredgewidth": 1.2,
}


def _legend(trials: pd.DataFrame, sizes: Sequence[Group]) -> list[Line2D]:
    """Entries for what is drawn."""
    looks = {
        f"code {size}": {
            "marker": MARKERS[turn % len(MARKERS)],
            "color": COLOURS[turn % len(COLOURS)],
        }
        for turn, size in enumerate(sizes)
        if size in set(trials["size"])
    }
    dot = {"marker": "o", "markeredgecolor": FAINT}
    if trials["complete"].any():
        looks["complete"] = {**dot, "markerfacecolor": FAINT}
    if not trials["complete"].all():
        looks[not_to_the_end(trials["state"])] = {**dot, "markerfacecolor": "none"}
    if trials["won"].any():
        looks["winner"] = {**_RING, "markersize": 8}
    return [entry(label, **{**look, "linestyle": ""}) for label, look in looks.items()]


def _between(way: Interpolation, pair: int) -> np.ma.MaskedArray:
    """A row: a drawing, the images on the way, the other drawing."""
    first, last = way.ends[pair]
    images = way.images[pair]
    side = first.shape[0]
    most = min(STEPS, max(2, columns_that_fit(side, WIDTH) - 2))
    steps = np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)
    aside = blank(side, ASIDE, images)
    shown = mosaic([images[steps]], len(steps))
    return np.ma.hstack([np.ma.array(first), aside, shown, aside, np.ma.array(last)])


def _stacked(rows: Sequence[np.ma.MaskedArray]) -> np.ma.MaskedArray:
    between = blank(GAP, rows[0].shape[1], rows[0])
    parts = [part for row in rows for part in (row, between)]
    return np.ma.vstack(parts[:-1])


def _draw_map(axes: Axes, codes: CodeMap, names: Sequence[str]) -> None:
    many = float(np.clip(6 - len(codes.points) / 250, 2.6, 5))
    for turn, name in enumerate(names):
        of_kind = codes.points[[codes.names[kind] == name for kind in codes.kinds]]
        axes.plot(
            of_kind[:, 0],
            of_kind[:, 1],
            linestyle="",
            markersize=many,
            alpha=0.8,
            **{**_kind_look(turn), "markeredgewidth": 0.6},
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_box_aspect(1)
    axes.set_xlabel("t-SNE 1, no unit")
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(FAINT)


def _kind_look(turn: int) -> dict[str, Any]:
    colour, marker, fill = _KIND_LOOKS[turn]
    return {
        "marker": marker,
        "markeredgecolor": colour,
        "markerfacecolor": colour if fill else "white",
    }


def _short(name: str) -> str:
    words = name.replace("_", " ")
    return words if len(words) <= NAME else f"{words[: NAME - 1]}…"
