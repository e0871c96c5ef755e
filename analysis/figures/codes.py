"""The pictures of sparse codes and of the contrastive term."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from analysis.figures.curves import ERROR
from analysis.figures.drawing.style import line_look, plain_log_ticks, styled
from analysis.measure.codes.contrast import Contrast
from analysis.measure.codes.sparse import Sparse

COLUMNS = 3  # panels beside each other
ROOM = 1.25  # of a log axis beyond the outermost point


@styled
def error_by_units(found: Sparse) -> Figure:
    """The lowest validation MSE against the active units of a code, a line per kind, log-log."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    for turn, line in enumerate(found.lines):
        axes.plot(line.units, line.errors, **line_look(turn), label=line.name)
    axes.set(xscale="log", yscale="log")
    units = [count for line in found.lines for count in line.units]
    errors = [error for line in found.lines for error in line.errors]
    for axis, values, limit in (
        (axes.xaxis, units, axes.set_xlim),
        (axes.yaxis, errors, axes.set_ylim),
    ):
        low, high = min(values) / ROOM, max(values) * ROOM
        limit(low, high)
        plain_log_ticks(axis, low, high)
    axes.set_xlabel("active units of a code, mean; components of PCA")
    axes.set_ylabel(f"validation {ERROR.label}")
    figure.legend(loc="outside lower center", ncols=len(found.lines))
    return figure


@styled
def accuracy_by_epoch(found: Sequence[Contrast]) -> Figure:
    """Probe accuracy by epoch with and without the term, a panel per code size."""
    columns = min(COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    figure = Figure(figsize=(1.5 + 2.6 * columns, 0.6 + 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, each in zip(grid.flat, found, strict=False):
        for turn, (name, curve) in enumerate(each.curves.items()):
            axes.plot(curve.index, curve.to_numpy(), **line_look(turn), label=name)
        axes.set_title(f"code {each.size}")
        axes.set_xlabel("epoch")
    for axes in grid[:, 0]:
        axes.set_ylabel("probe accuracy on validation, fraction")
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
