"""What the report's pictures share: one style, and pictures of images.

Okabe and Ito's colours, which colour-blind readers can tell apart, always with a marker or a line
style of their own, so that a print in grey says the same. A function that draws returns its
figure, or None if there is no data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

DPI = 150
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
FAINT = "#8c8c8c"
FLOOR = "#404040"
DASHED = {"color": FLOOR, "linestyle": "--", "linewidth": 1.1}
DOTTED = {"color": FLOOR, "linestyle": ":", "linewidth": 1.4}
GAP = 2  # pixels of an image between two images of a mosaic
SHOWN = 84  # screen pixels of an image's side, about

STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "font.size": 8.5,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 9,
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "text.parse_math": False,  # words from a run folder are no formulas
}
_FEW_DECADES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


_is_on: ContextVar[bool] = ContextVar("is_on", default=False)


@contextmanager
def own_style() -> Iterator[None]:
    """This module's style, whatever the reader's matplotlibrc says. To set it takes a while, so it
    is set once around all figures of a report."""
    if _is_on.get():
        yield
        return
    token = _is_on.set(True)
    try:
        with matplotlib.style.context(STYLE, after_reset=True):
            yield
    finally:
        _is_on.reset(token)


def styled(draw: Callable[..., Figure | None]) -> Callable[..., Figure | None]:
    """Draw in this module's style."""

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure | None:
        with own_style():
            return draw(*args, **kwargs)

    return drawn


def zoom(side: int) -> int:
    """Screen pixels per pixel of an image of that side: whole, so that no row is blurred.

    >>> zoom(28), zoom(32), zoom(64), zoom(128)
    (3, 3, 1, 1)
    """
    return max(1, round(SHOWN / side))


def columns_that_fit(side: int, room: int) -> int:
    """How many images of that side, with the gaps, are shown in `room` screen pixels."""
    return max(1, room // (zoom(side) * (side + GAP)))


def mosaic(
    rows: list[np.ndarray], columns: int, gaps: tuple[int, int] = (GAP, GAP)
) -> np.ma.MaskedArray:
    """Rows of images (N, side, side), or (N, side, side, 3) in colour, as one picture, white where
    there is none; `gaps` are the pixels between two rows and between two columns."""
    side = rows[0].shape[1]
    down, across = (side + gap for gap in gaps)
    picture = blank(len(rows) * down - gaps[0], columns * across - gaps[1], rows[0])
    for r, images in enumerate(rows):
        for c, image in enumerate(images[:columns]):
            picture[r * down : r * down + side, c * across : c * across + side] = image
    return picture


def blank(height: int, width: int, images: np.ndarray) -> np.ma.MaskedArray:
    """An empty part of a picture of images like `images`."""
    if images.shape[-1] == 3:
        return np.ma.array(np.ones((height, width, 3)))
    return np.ma.masked_all((height, width))


def show_mosaic(axes: Axes, picture: np.ndarray, labels: Sequence[str], gap: int = GAP) -> None:
    """Colours as they are; ink dark on a grey so light that each image's edge can be seen."""
    side = (picture.shape[0] + gap) // len(labels) - gap
    axes.imshow(
        picture.data if picture.ndim == 3 else 1 - 0.03 - 0.97 * picture,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_yticks([side / 2 + place * (side + gap) for place in range(len(labels))], labels)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def plain_log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 of each decade; at the decades alone where many are spanned, and at more
    numbers where less than one is. None in between: they say no more, and take most of the time
    that a figure with few lines takes."""
    decades = math.log10(max(high, 1e-30) / max(low, 1e-30))
    subs = (1.0,) if decades > 2.6 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=_FEW_DECADES if decades < 0.75 else subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def not_to_the_end(states: Iterable[str]) -> str:
    """What a legend calls trials without the last epoch, by the states that there are; empty if
    there are none.

    >>> not_to_the_end(["complete", "pruned"]), not_to_the_end(["running"]), not_to_the_end([])
    ('stopped early', 'not finished', '')
    """
    words = {"pruned": "stopped early", "running": "not finished"}
    found = set(states)
    return " or ".join(said for state, said in words.items() if state in found)


def marks(points: int) -> list[int]:
    """Where to set the markers of a line: at most eight, evenly apart on a log scale, and the last.

    >>> marks(20), marks(0)
    ([0, 1, 3, 5, 7, 12, 19], [])
    """
    if not points:
        return []
    return sorted({int(round(place)) for place in np.geomspace(1, points, 8) - 1})


def line_look(turn: int) -> dict[str, Any]:
    """A line that differs from others in colour, marker and dashes."""
    turn %= len(COLOURS)
    return {"color": COLOURS[turn], "marker": MARKERS[turn], "linestyle": DASHES[turn]}


def entry(label: str, **look: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **look)


def pictures(
    parts: Sequence[np.ma.MaskedArray],
    labels: Sequence[Sequence[str]],
    titles: Sequence[str],
    left: int = 110,
) -> Figure:
    """Mosaics below each other, each with labels at its left, which has `left` screen pixels, and,
    where it has one, a title; no pixel of an image is a fraction of one on the screen."""
    top, edge = 48, 14  # screen pixels around images
    scale = zoom((parts[0].shape[0] + GAP) // len(labels[0]) - GAP)
    tall = [part.shape[0] * scale for part in parts]
    wide = max(part.shape[1] for part in parts) * scale
    width, height = left + wide + edge, top + sum(tall) + edge * len(parts)
    figure = Figure(figsize=(width / DPI, height / DPI))
    end = height - top
    for part, rows, title, size in zip(parts, labels, titles, tall, strict=True):
        box = (left / width, (end - size) / height, wide / width, size / height)
        axes = figure.add_axes(box)
        show_mosaic(axes, part, rows)
        axes.set_title(title, loc="left")
        end -= size + edge
    return figure
