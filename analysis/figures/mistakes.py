"""Pictures of a classifier's errors: accuracy by class, and the most confused pairs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.drawing.style import (
    COLOURS,
    DOTTED,
    DPI,
    FAINT,
    MARKERS,
    mosaic,
    show_mosaic,
    styled,
    zoom,
)
from analysis.measure.mistakes import Confused
from analysis.tables.writing.formats import accuracy, count

_COLUMNS = 6  # pairs side by side; more go below
_WORDS = 16  # letters of a line under an image
_GAPS = (51, 66)  # screen pixels between rows, for two lines of words, and between columns


@styled
def accuracy_by_kind(found: Sequence[tuple[str, float]], overall: float, kind: str) -> Figure:
    """A dot per class or alphabet, in the order given from above, with a line to the overall
    accuracy."""
    names = [_plain(name) for name, _ in found]
    values = np.array([value for _, value in found])
    places = np.arange(len(found))
    figure = Figure(figsize=(8, 1.0 + 0.165 * len(found)), layout="constrained")
    axes = figure.subplots()
    middle = overall if np.isfinite(overall) else values.mean()
    axes.hlines(places, np.minimum(values, middle), np.maximum(values, middle), colors=FAINT, lw=1)
    axes.plot(values, places, MARKERS[0], color=COLOURS[0], label=f"{kind}")
    axes.axvline(middle, label=f"all test images, {accuracy(middle)}", zorder=1, **DOTTED)
    axes.set_yticks(places, names, fontsize=7)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("test accuracy")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def confusions(images: Sequence[np.ndarray], pairs: Sequence[Confused]) -> Figure:
    """A column per pair: the drawing that was mistaken, an example of its class, and one of the
    class it was taken for, each (pairs, side, side) or (pairs, side, side, 3), with a label of each
    below it."""
    labels = [
        (f"{count(pair.times)} of {count(pair.of)} times", pair.wanted, pair.taken_for)
        for pair in pairs
    ]
    bands = [slice(start, start + _COLUMNS) for start in range(0, len(labels), _COLUMNS)]
    columns = min(_COLUMNS, len(labels))
    side = images[0].shape[1]
    scale = zoom(side)
    gaps = (_GAPS[0] // scale, _GAPS[1] // scale)  # in pixels of an image
    down, across = (scale * (side + gap) for gap in gaps)
    left, edge, below = 84, 20, 6 + scale * gaps[0]  # screen pixels
    band = 3 * down - scale * gaps[0]
    width = left + columns * across + edge
    height = edge + len(bands) * (band + below) + edge * (len(bands) - 1)
    figure = Figure(figsize=(width / DPI, height / DPI))
    for place, chosen in enumerate(bands):
        picture = mosaic([rows[chosen] for rows in images], columns, gaps)
        bottom = height - edge - place * (band + below + edge) - band
        axes = figure.add_axes(
            (
                (left + scale * gaps[1] / 2) / width,
                bottom / height,
                picture.shape[1] * scale / width,
                band / height,
            )
        )
        show_mosaic(axes, picture, ["mistaken", "its class", "taken for"], gaps[0])
        for column, names in enumerate(labels[chosen]):
            for row, name in enumerate(names):
                axes.text(
                    side / 2 - 0.5 + column * (side + gaps[1]),
                    side + 1 + row * (side + gaps[0]),
                    short_name(name),
                    ha="center",
                    va="top",
                    fontsize=6.5,
                    linespacing=1.05,
                )
    return figure


def short_name(name: str) -> str:
    """A class's name on at most two short lines; a character of Omniglot keeps its number.

    >>> short_name("Grantha/character32"), short_name("Japanese_(hiragana)/character06")
    ('Grantha 32', 'Japanese\\n(hiragana) 06')
    >>> short_name("Blackfoot_(Canadian_Aboriginal_Syllabics)/character11")
    'Blackfoot… 11'
    """
    character = re.fullmatch(r"(.+)/character(\d+)", name)
    if character is None:
        return "\n".join(_wrapped(name))
    alphabet, digits = _plain(character[1]), character[2]
    first = alphabet.split(" (")[0] + "…"
    for words in (alphabet, first):
        lines = _wrapped(f"{words} {digits}")
        if lines[-1].endswith(digits):
            return "\n".join(lines)
    return f"{_cut(first, _WORDS)}\n{digits}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _wrapped(words: str) -> list[str]:
    """At most two lines; an ellipsis where there were more."""
    lines = textwrap.wrap(words, _WORDS) or [""]
    return lines if len(lines) <= 2 else [lines[0], _cut(lines[1], _WORDS)]


def _cut(words: str, letters: int) -> str:
    """The beginning of words, with an ellipsis that says that more was left out."""
    return words[: letters - 1].rstrip() + "…"
