"""The report's pictures: each function draws one figure from a run, or None if it has no data.

One style for all: Okabe and Ito's colours, which colour-blind readers can tell apart, always with
a marker or a line style of their own, so that a print in grey says the same.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.runs import Examples, Run, Winner, preset_results, winners
from analysis.seed_report import BEST_TEST_LOSS, MODELS
from analysis.tables import mse

DPI = 150
ERROR = "mean squared error per pixel"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
FAINT = "#8c8c8c"
FLOOR = "#404040"
PCA_STYLE = {"color": FLOOR, "linestyle": "--", "linewidth": 1.1}
MEAN_STYLE = {"color": FLOOR, "linestyle": ":", "linewidth": 1.4}

_STYLE = {
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
_BAD = ("diverged", "error")
_GAP = 2  # pixels of an image between two images of a mosaic
_ZOOM = 3  # screen pixels per pixel of an image: whole, so that no row is blurred


def _styled(draw: Callable[..., Figure | None]) -> Callable[..., Figure | None]:
    """Draw under this module's style, whatever the reader's matplotlibrc says."""

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure | None:
        with matplotlib.style.context(_STYLE, after_reset=True):
            return draw(*args, **kwargs)

    return drawn


def png(figure: Figure) -> bytes:
    """The figure as a PNG; equal figures give equal bytes, for no date or version is written."""
    buffer = io.BytesIO()
    with matplotlib.style.context(_STYLE, after_reset=True):
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


@_styled
def overview(run: Run, examples: dict[int, Examples]) -> Figure | None:
    """The winners' errors beside the floors and, at the right, what the winners draw.

    1200 pixels wide. `examples` may lack any size; without all of them the errors stand alone.
    """
    chosen = {size: winner for size, winner in winners(run).items() if _best_error(winner) > 0}
    if not chosen:
        return None
    rows = _strip_rows(examples)
    mosaic = _mosaic([images for _, images in rows], 7) if rows else None
    height = max(430, (mosaic.shape[0] * _ZOOM if rows else 0) + 110)
    figure = Figure(figsize=(1200 / DPI, height / DPI))
    width = (mosaic.shape[1] * _ZOOM if rows else 0) / 1200
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
        tall = mosaic.shape[0] * _ZOOM / height
        strip = figure.add_axes((0.99 - width, 1 - above - tall, width, tall))
        _show_mosaic(strip, mosaic, [label for label, _ in rows])
        strip.set_title("inputs and their reconstructions")
    return figure


@_styled
def preset_curves(run: Run) -> Figure | None:
    """Training loss and validation MSE of each preset against the epoch, log-log."""
    curves = _preset_curves(run)
    if not curves:
        return None
    figure = Figure(figsize=(8, 4.1), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric, title in zip(
        panels,
        ("train_loss", "validation_mse"),
        ("training loss, as optimised", "validation MSE, noise and dropout off"),
        strict=True,
    ):
        for place, (name, curve) in enumerate(curves):
            axes.plot(
                curve["epoch"],
                curve[metric].where(curve[metric] > 0),
                **_look(place),
                label=name if metric == "train_loss" else "_",
                markevery=_marks(curve),
                markerfacecolor="white",
            )
        _floor_line(
            axes,
            run.mean_image.validation_mse,
            MEAN_STYLE,
            "mean image" if metric == "train_loss" else "_",
        )
        axes.set_title(title)
        axes.set_xlabel("epoch")
    panels[0].set_ylabel(ERROR)
    values = np.concatenate(
        [curve[m] for _, curve in curves for m in ("train_loss", "validation_mse")]
    )
    _log_axes(
        panels,
        [curve["epoch"].max() for _, curve in curves],
        _limits(values, run.mean_image.validation_mse),
    )
    figure.legend(loc="outside lower center", ncols=4)
    return figure


@_styled
def trial_curves(run: Run) -> Figure | None:
    """Validation MSE of every trial against the epoch, a log-log panel per code size."""
    curves = run.epochs.merge(run.trials[["id", "state", "latent_size"]], on="id")
    curves = curves[curves["validation_mse"] > 0]
    sizes = [size for size in run.latent_sizes if (curves["latent_size"] == size).any()]
    if not sizes:
        return None
    chosen = winners(run)
    columns = min(3, len(sizes))
    rows = math.ceil(len(sizes) / columns)
    figure = Figure(figsize=(8 if columns > 1 else 6, 1 + 3.1 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    sound = curves.loc[~curves["state"].isin(_BAD), "validation_mse"]
    limits = _limits(
        curves["validation_mse"] if sound.empty else sound,
        run.mean_image.validation_mse,
        [run.pca(s).validation_mse for s in sizes],
    )
    for axes, size in zip(panels.flat, sizes, strict=False):
        place = run.latent_sizes.index(size)
        group = curves[curves["latent_size"] == size]
        _draw_trials(
            axes,
            group.assign(validation_mse=group["validation_mse"].clip(upper=limits[1] / 1.1)),
            chosen[size].trial if size in chosen else "",
            _colour(place),
        )
        _floor_line(axes, run.mean_image.validation_mse, MEAN_STYLE)
        _floor_line(axes, run.pca(size).validation_mse, PCA_STYLE)
        trials = group["id"].nunique()
        axes.set_title(f"code {size} ({trials} trial{'s' * (trials > 1)})")
        axes.set_xlabel("epoch")
    for axes in list(panels.flat)[len(sizes) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel(ERROR)
    _log_axes(panels.flat, curves["epoch"], limits)
    figure.legend(handles=_trial_legend(run, curves, sizes), loc="outside lower center", ncols=3)
    return figure


@_styled
def reconstructions(winner: Winner, examples: Examples) -> Figure:
    """Twelve inputs, what the training noise leaves of them, and the inputs as reconstructed."""
    noised = "noised\ninputs"
    if winner.parameters.get("noise") in ("none", "", None) or np.array_equal(
        examples.inputs, examples.noised
    ):
        noised = "noised inputs\n(no noise: as\nabove)"
    rows = [
        ("inputs", examples.inputs),
        (noised, examples.noised),
        ("reconstructions\nof the inputs", examples.reconstructions),
    ]
    mosaic = _mosaic([images for _, images in rows], 12)
    height, width = mosaic.shape[0] * _ZOOM, mosaic.shape[1] * _ZOOM
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
    _show_mosaic(axes, mosaic, [label for label, _ in rows])
    axes.set_title(f"code {winner.latent_size}, {_error_in_words(winner)}", loc="left")
    return figure


def _best_error(winner: Winner) -> float:
    """Test MSE, or the search's validation MSE where nothing was retrained."""
    return winner.test_mse if winner.seeds else winner.validation_mse


def _error_in_words(winner: Winner) -> str:
    split = "test MSE" if winner.seeds else "validation MSE in the search"
    seeds = f" (mean of {winner.seeds} seeds)" if winner.seeds > 1 else ""
    return f"{split} {mse(_best_error(winner))}{seeds}"


def _draw_errors(axes: Axes, run: Run, chosen: dict[int, Winner]) -> None:
    """A dot with its deviation per code size; floors as lines; the seed report's number."""
    sizes = list(chosen)
    places = range(len(sizes))
    errors = [_best_error(winner) for winner in chosen.values()]
    tested = all(winner.seeds for winner in chosen.values())
    which = "test_mse" if tested else "validation_mse"
    deviations = [np.nan_to_num(w.std.get(which, math.nan)) for w in chosen.values()]
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
    pca = [math.nan if run.pca(size).exact else getattr(run.pca(size), which) for size in sizes]
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
    _floor_line(axes, getattr(run.mean_image, which), MEAN_STYLE, "mean image")
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
    values = np.array([*errors, *pca, *theirs, getattr(run.mean_image, which)])
    values = values[np.isfinite(values) & (values > 0)]
    axes.set_yscale("log")
    room = max(values.max() / values.min(), 4) ** 0.17  # for a number above or below any dot
    axes.set_ylim(values.min() / room, values.max() * room)
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_xticks(places, [str(size) for size in sizes], fontsize=8 if roomy else 7)
    axes.grid(False, axis="x")
    axes.set_xlabel("code size")
    axes.set_ylabel(ERROR)
    axes.set_title(f"best configuration, {run.data['name']}")
    _plain_log_ticks(axes.yaxis, *axes.get_ylim())


def _first(axes: Axes, label: str) -> str:
    """`label` once per panel, so that a legend lists it once."""
    return "_" if label in axes.get_legend_handles_labels()[1] else label


def _strip_rows(examples: dict[int, Examples]) -> list[tuple[str, np.ndarray]]:
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


def _mosaic(rows: list[np.ndarray], columns: int) -> np.ndarray:
    """Rows of images (N, 28, 28) as one picture, white where there is none."""
    side = 28 + _GAP
    picture = np.full((len(rows) * side - _GAP, columns * side - _GAP), -1.0)
    for r, images in enumerate(rows):
        for c, image in enumerate(images[:columns]):
            picture[r * side : r * side + 28, c * side : c * side + 28] = image
    return np.ma.masked_less(picture, 0)


def _show_mosaic(axes: Axes, mosaic: np.ndarray, labels: list[str]) -> None:
    """Ink dark on a grey so light that each image's edge can be seen."""
    axes.imshow(
        1 - 0.03 - 0.97 * mosaic,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_yticks([14 + place * (28 + _GAP) for place in range(len(labels))], labels)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _preset_curves(run: Run) -> list[tuple[str, pd.DataFrame]]:
    """A curve per preset, in the seed report's order; of one run twice, the first."""
    trials = {result.preset: result.trial for result in reversed(preset_results(run))}
    rank = {model.preset: place for place, model in enumerate(MODELS)}
    names = sorted(trials, key=lambda name: (rank.get(name, len(rank)), name))
    curves = [(name, run.epochs[run.epochs["id"] == trials[name]]) for name in names]
    return [
        (name, curve)
        for name, curve in curves
        if (curve[["train_loss", "validation_mse"]] > 0).any(axis=None)
    ]


def _draw_trials(axes: Axes, curves: pd.DataFrame, winner: str, colour: str) -> None:
    """Pruned trials faint, complete ones thin, the winner bold; a dot where a trial stopped."""
    stopped, complete, bad = [], [], []
    for _, curve in curves.groupby("id", sort=True):
        points = curve[["epoch", "validation_mse"]].to_numpy()
        state = curve["state"].iloc[0]
        (complete if state == "complete" else bad if state in _BAD else stopped).append(points)
    faint = float(np.clip(12 / max(len(stopped), 1), 0.25, 0.7))
    axes.add_collection(LineCollection(stopped, colors=FAINT, linewidths=0.7, alpha=faint))
    _ends(axes, stopped, ".", FAINT, faint)
    _ends(axes, bad, "x", "#000000", 0.8)
    axes.add_collection(LineCollection(complete, colors=colour, linewidths=0.8, alpha=0.6))
    best = curves[curves["id"] == winner]
    axes.plot(
        best["epoch"],
        best["validation_mse"],
        color=colour,
        linewidth=2.4,
        marker=MARKERS[0],
        markevery=_marks(best),
        zorder=4,
    )


def _ends(axes: Axes, curves: list[np.ndarray], marker: str, colour: str, alpha: float) -> None:
    if curves:
        ends = np.array([curve[-1] for curve in curves])
        axes.plot(ends[:, 0], ends[:, 1], marker, color=colour, alpha=alpha, markersize=4)


def _trial_legend(run: Run, curves: pd.DataFrame, sizes: list[int]) -> list[Line2D]:
    """Entries for what the panels really hold; colours differ by panel, so these are grey."""
    states = set(curves["state"])
    chosen = winners(run)
    entries = [
        (
            "winner",
            {"color": "#000000", "linewidth": 2.4, "marker": MARKERS[0]},
            any(size in chosen for size in sizes),
        ),
        ("complete", {"color": "#000000", "linewidth": 0.8}, "complete" in states),
        (
            "stopped early",
            {"color": FAINT, "linewidth": 0.8, "marker": "."},
            bool(states & {"pruned", "running"}),
        ),
        (
            "diverged or failed",
            {"color": "#000000", "linestyle": "", "marker": "x"},
            bool(states & set(_BAD)),
        ),
        (
            "PCA, as many components",
            PCA_STYLE,
            any(run.pca(s).validation_mse > 0 and not run.pca(s).exact for s in sizes),
        ),
        ("mean image", MEAN_STYLE, run.mean_image.validation_mse > 0),
    ]
    return [Line2D([], [], label=label, **look) for label, look, present in entries if present]


def _floor_line(axes: Axes, value: float, look: dict[str, Any], label: str = "_") -> None:
    if value > 1e-7:  # below that PCA is exact, and no line on a log scale
        axes.axhline(value, label=label, zorder=1, **look)


def _look(place: int) -> dict[str, Any]:
    turn = place % len(COLOURS)
    return {"color": COLOURS[turn], "marker": MARKERS[turn], "linestyle": DASHES[turn]}


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _marks(curve: pd.DataFrame) -> list[int]:
    """Where to set markers: at most some eight, evenly apart on a log scale, and the last."""
    if curve.empty:
        return []
    last = len(curve) - 1
    return sorted({int(round(place)) for place in np.geomspace(1, last + 1, 8) - 1})


def _limits(
    values: Iterable[float], mean_image: float, floors: Iterable[float] = ()
) -> tuple[float, float]:
    """Range of the error axis: all that is low, but not the heights of a diverging trial."""
    drawn = np.array([value for value in values if 0 < value < math.inf])
    low = min([drawn.min(), *(floor for floor in floors if floor > 1e-7)])
    high = drawn.max()
    if mean_image > 0:
        high = max(min(high, 4 * mean_image), mean_image)
    elif len(drawn) > 20:
        high = np.quantile(drawn, 0.98)
    return low / 1.25, max(high, low) * 1.25


def _log_axes(panels: Iterable[Axes], epochs: Iterable[float], limits: tuple[float, float]) -> None:
    """Both axes logarithmic, with plain numbers at the ticks."""
    last = max(epochs)
    for axes in panels:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(0.9, max(last, 2) * 1.12)
        axes.set_ylim(*limits)
        _plain_log_ticks(axes.xaxis, 1, last)
        _plain_log_ticks(axes.yaxis, *limits)


def _plain_log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 of each decade, or at the decades alone where many are spanned."""
    many = math.log10(max(high, 1e-30) / max(low, 1e-30)) > 2.6
    axis.set_major_locator(LogLocator(subs=(1.0,) if many else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
