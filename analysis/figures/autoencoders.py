"""The pictures of autoencoders that no other section has: the overview, and reconstructions."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    COLOURS,
    DOTTED,
    DPI,
    ERROR,
    FLOOR,
    MARKERS,
    ZOOM,
    draw_level,
    mosaic,
    plain_log_ticks,
    show_mosaic,
    styled,
)
from analysis.read.runs import Examples, Floor, Group, Result, Run, winners
from analysis.read.seed_report import BEST_TEST_LOSS
from analysis.tables.frames import mse


@styled
def overview(run: Run, examples: dict[Group, Examples]) -> Figure | None:
    """The winners' errors beside the floors and, at the right, what the winners draw.

    1200 pixels wide. `examples` may lack any size; without all of them the errors stand alone.
    """
    chosen = {size: winner for size, winner in winners(run).items() if _best_error(winner) > 0}
    if not chosen:
        return None
    rows = _strip_rows(examples)
    images = mosaic([images for _, images in rows], 7) if rows else None
    height = max(430, (images.shape[0] * ZOOM if rows else 0) + 110)
    figure = Figure(figsize=(1200 / DPI, height / DPI))
    width = (images.shape[1] * ZOOM if rows else 0) / 1200
    label_room = 0.085 if rows else 0.015
    left, below, above = 0.09, 112 / height, 34 / height
    axes = figure.add_axes((left, below, 0.98 - left - width - label_room, 1 - below - above))
    _draw_errors(axes, run, chosen)
    handles, labels = axes.get_legend_handles_labels()  # ours is last, because it has error bars
    figure.legend(
        [*handles[-1:], *handles[:-1]],
        [*labels[-1:], *labels[:-1]],
        loc="lower center",
        ncols=4,
        columnspacing=1.6,
    )
    if rows:
        tall = images.shape[0] * ZOOM / height
        strip = figure.add_axes((0.99 - width, 1 - above - tall, width, tall))
        show_mosaic(strip, images, [label for label, _ in rows])
        strip.set_title("inputs and their reconstructions")
    return figure


@styled
def reconstructions(winner: Result, examples: Examples) -> Figure:
    """Twelve inputs, what the training noise leaves of them, and the inputs as reconstructed."""
    noised = "noised\ninputs"
    if np.array_equal(examples.inputs, examples.noised):
        noised = "noised inputs\n(no noise: as\nabove)"
    rows = [
        ("inputs", examples.inputs),
        (noised, examples.noised),
        ("reconstructions\nof the inputs", examples.reconstructions),
    ]
    images = mosaic([images for _, images in rows], 12)
    height, width = images.shape[0] * ZOOM, images.shape[1] * ZOOM
    left, top, edge = 172, 48, 14  # screen pixels
    figure = Figure(figsize=((left + width + edge) / DPI, (top + height + edge) / DPI))
    axes = figure.add_axes(
        (
            left / (left + width + edge),
            edge / (top + height + edge),
            width / (left + width + edge),
            height / (top + height + edge),
        )
    )
    show_mosaic(axes, images, [label for label, _ in rows])
    axes.set_title(f"code {winner.group}, {_error_in_words(winner)}", loc="left")
    return figure


def _best_error(winner: Result) -> float:
    """Test MSE, or the search's validation MSE where nothing was retrained."""
    return winner.value("test_mse" if winner.seeds else "validation_mse")


def _error_in_words(winner: Result) -> str:
    split = "test MSE" if winner.seeds else "validation MSE in the search"
    seeds = f" (mean of {winner.seeds} seeds)" if winner.seeds > 1 else ""
    return f"{split} {mse(_best_error(winner))}{seeds}"


def _draw_errors(axes: Axes, run: Run, chosen: dict[Group, Result]) -> None:
    """A dot with its deviation per code size; floors as lines; the seed report's number."""
    sizes = list(chosen)
    places = range(len(sizes))
    errors = [_best_error(winner) for winner in chosen.values()]
    tested = all(winner.seeds for winner in chosen.values())
    which = "test_mse" if tested else "validation_mse"
    deviations = [np.nan_to_num(winner.deviation(which)) for winner in chosen.values()]
    several = max(winner.seeds for winner in chosen.values()) > 1
    label = f"ours, {'test' if tested else 'validation'}{' (mean ± std)' if several else ''}"
    axes.errorbar(
        places,
        errors,
        yerr=deviations if several else None,
        fmt=MARKERS[0],
        color=COLOURS[0],
        markersize=5,
        capsize=6,
        label=label,
        zorder=4,
    )
    pca = [_pca_error(run.floor("pca", str(size)), which) for size in sizes]
    for place, value in zip(places, pca, strict=True):
        if value > 0:
            axes.hlines(
                value,
                place - 0.3,
                place + 0.3,
                color=FLOOR,
                linewidth=2,
                label=_first(axes, "PCA, as many components"),
            )
    mean = run.floor("mean_image").value(which)
    if mean > 0:
        draw_level(axes, mean, DOTTED, "mean image")
    theirs = [BEST_TEST_LOSS.get(size, math.nan) for size in sizes]
    if np.isfinite(theirs).any():
        axes.plot(
            places,
            theirs,
            "D",
            color="#000000",
            markerfacecolor="white",
            label="seed report (data set not named)",
        )
    roomy = len(sizes) <= 4  # more numbers than that would run into each other
    for place, error, floor in zip(places, errors, pca, strict=True) if roomy else ():
        below = not floor < error
        axes.annotate(
            mse(error),
            (place, error),
            (0, -8 if below else 8),
            ha="center",
            va="top" if below else "bottom",
            textcoords="offset points",
            fontsize=8,
        )
    values = np.array([*errors, *pca, *theirs, mean])
    values = values[np.isfinite(values) & (values > 0)]
    axes.set_yscale("log")
    room = max(values.max() / values.min(), 4) ** 0.28  # for a number above or below any dot
    axes.set_ylim(values.min() / room, values.max() * room)
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_xticks(places, [str(size) for size in sizes], fontsize=8 if roomy else 7)
    axes.grid(False, axis="x")
    axes.set_xlabel("code size")
    axes.set_ylabel(ERROR.label)
    axes.set_title(f"best configuration, {run.data['name']}")
    plain_log_ticks(axes.yaxis, *axes.get_ylim())


def _pca_error(pca: Floor, which: str) -> float:
    return math.nan if pca.exact else pca.value(which)


def _first(axes: Axes, label: str) -> str:
    """`label` once per panel, so that a legend lists it once."""
    return "_" if label in axes.get_legend_handles_labels()[1] else label


def _strip_rows(examples: dict[Group, Examples]) -> list[tuple[str, np.ndarray]]:
    """The inputs once where all winners were shown the same, else above each winner's row."""
    if not examples:
        return []
    shown = list(examples.values())
    same = all(np.array_equal(one.inputs, shown[0].inputs) for one in shown)
    rows = [("input", shown[0].inputs)] if same else []
    for size, one in examples.items():
        rows += [] if same else [("input", one.inputs)]
        rows.append((f"code {size}", one.reconstructions))
    return rows
