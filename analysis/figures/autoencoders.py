"""Pictures of a search of autoencoders: the overview and reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.figures.drawing.style import (
    DPI,
    columns_that_fit,
    mosaic,
    pictures,
    show_mosaic,
    styled,
    zoom,
)
from analysis.figures.errors import draw_errors, drawable
from analysis.measure.best import Best
from analysis.read.pictures import Examples
from analysis.read.runs import Group, Result
from analysis.tables.writing.formats import mse


@styled
def overview(found: Sequence[Best], examples: Mapping[Group, Examples]) -> Figure | None:
    """The winners' errors beside the floors and, at the right, what the winners draw.

    1200 pixels wide. `examples` may lack any size; without all of them the errors stand alone.
    """
    drawn = drawable(found)
    if not drawn:
        return None
    rows = _strip_rows(examples)
    side = rows[0][1].shape[1] if rows else 0
    scale = zoom(side) if rows else 0
    images = mosaic([images for _, images in rows], columns_that_fit(side, 630)) if rows else None
    height = max(430, (images.shape[0] * scale if rows else 0) + 110)
    figure = Figure(figsize=(1200 / DPI, height / DPI))
    width = (images.shape[1] * scale if rows else 0) / 1200
    label_room = 0.085 if rows else 0.015
    left, below, above = 0.09, 112 / height, 34 / height
    axes = figure.add_axes((left, below, 0.98 - left - width - label_room, 1 - below - above))
    handles = draw_errors(axes, drawn, [drawn[0].run.data["name"]])
    figure.legend(handles=handles, loc="lower center", ncols=4, columnspacing=1.6)
    if rows:
        tall = images.shape[0] * scale / height
        strip = figure.add_axes((0.99 - width, 1 - above - tall, width, tall))
        show_mosaic(strip, images, [label for label, _ in rows])
        strip.set_title("inputs and their reconstructions")
    return figure


@styled
def reconstructions(winner: Result, examples: Examples) -> Figure:
    """Some inputs, what the training noise leaves of them, and the inputs as reconstructed."""
    noised = "noised\ninputs"
    if np.array_equal(examples.inputs, examples.noised):
        noised = "noised inputs\n(no noise: as\nabove)"
    rows = [
        ("inputs", examples.inputs),
        (noised, examples.noised),
        ("reconstructions\nof the inputs", examples.reconstructions),
    ]
    columns = min(12, columns_that_fit(examples.inputs.shape[1], 1080))
    images = mosaic([images for _, images in rows], columns)
    title = f"code {winner.group}, {_error_in_words(winner)}"
    return pictures([images], [[label for label, _ in rows]], [title], left=172)


def _best_error(winner: Result) -> float:
    """Test MSE, or the search's validation MSE where nothing was retrained."""
    return winner.value("test_mse" if winner.seeds else "validation_mse")


def _error_in_words(winner: Result) -> str:
    split = "test MSE" if winner.seeds else "validation MSE in the search"
    seeds = f" (mean of {winner.seeds} seeds)" if winner.seeds > 1 else ""
    return f"{split} {mse(_best_error(winner))}{seeds}"


def _strip_rows(examples: Mapping[Group, Examples]) -> list[tuple[str, np.ndarray]]:
    """The inputs once where all winners were shown the same, else above each winner's row."""
    if not examples:
        return []
    shown = list(examples.values())
    same = all(np.array_equal(each.inputs, shown[0].inputs) for each in shown)
    rows = [("input", shown[0].inputs)] if same else []
    for size, each in examples.items():
        rows += [] if same else [("input", each.inputs)]
        rows.append((f"code {size}", each.reconstructions))
    return rows
