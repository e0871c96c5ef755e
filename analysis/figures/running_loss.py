"""The one plot of the seed report that no other section draws again: the running loss of its
sparse autoencoder beside that of the deeper one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    COLOURS,
    DASHED,
    DASHES,
    DOTTED,
    ERROR,
    MARKERS,
    draw_level,
    marks,
    plain_log_ticks,
    styled,
)
from analysis.read.runs import Run, column, mapping, number, preset_results
from analysis.read.seed_report import reported
from analysis.tables.frames import mse

NAMES = ("sae", "deeper-sae")
_LEVELS = (DASHED, DOTTED)


@styled
def sae_by_step(run: Run) -> Figure | None:
    """Training loss of the sparse autoencoder and of the deeper one by optimiser step, log-log.

    By epoch, which the axis says, where the run does not tell how many steps an epoch has.
    """
    curves = {name: _curve(run, name) for name in NAMES}
    if all(curve.empty for curve in curves.values()):
        return None
    steps = _steps_of_an_epoch(run)
    scale = steps if math.isfinite(steps) else 1
    levels = [reported(name).train_loss for name in NAMES]
    values = pd.concat([curve["train_loss"] for curve in curves.values()])
    limits = ERROR.limits(values, levels, whole=True)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for place, curve in enumerate(curves.values()):
        if not curve.empty:
            _draw(axes, curve["epoch"] * scale, ERROR.clipped(curve["train_loss"], limits), place)
    for name, value, look in zip(NAMES, levels, _LEVELS, strict=True):
        label = f"the report's {name} at its end, {mse(value)}"
        draw_level(axes, value, {**look, "linewidth": 0.9}, label)
    seen = pd.concat([curve["epoch"] for curve in curves.values()]) * scale
    _set_axes(axes, seen.min(), seen.max(), limits)
    known = f"optimiser steps ({scale:.0f} an epoch)"
    axes.set_xlabel(known if math.isfinite(steps) else "epochs (steps of an epoch not known)")
    axes.set_ylabel("training loss (MSE per pixel + L1)")
    axes.set_title(f"sparse and deeper sparse autoencoder, {run.data['name']}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _curve(run: Run, name: str) -> pd.DataFrame:
    """Epoch and training loss of a preset, where it has a place on a log axis."""
    trials = {result.preset: result.trial for result in reversed(preset_results(run))}
    rows = run.epochs[run.epochs["id"] == trials.get(name)]
    curve = rows[["epoch"]].assign(train_loss=column(rows, "train_loss"))
    return curve[ERROR.drawn(curve["train_loss"]) & (curve["train_loss"] < math.inf)]


def _steps_of_an_epoch(run: Run) -> float:
    """Batches of the training split; nan where its size or theirs is not known."""
    images = number(run.data.get("train"))
    sizes = [_batch_size(run.folder / "best" / name / "config.json") for name in NAMES]
    size = next((size for size in sizes if size >= 1), math.nan)
    return float(math.ceil(images / size)) if images > 0 and math.isfinite(size) else math.nan


def _batch_size(path: Path) -> float:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # a run without it has its curves all the same
        return math.nan
    return number(mapping(mapping(config).get("training")).get("batch_size"))


def _draw(axes: Axes, steps: pd.Series, losses: pd.Series, place: int) -> None:
    axes.plot(
        steps,
        losses,
        color=COLOURS[place],
        marker=MARKERS[place],
        linestyle=DASHES[place],
        label=f"our {NAMES[place]}, {mse(losses.iloc[-1])} at its end",
        markevery=marks(len(steps)),
        markerfacecolor="white",
    )


def _set_axes(axes: Axes, low: float, high: float, limits: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low / 1.12, max(high, 2 * low) * 1.12)
    axes.set_ylim(*limits)
    plain_log_ticks(axes.xaxis, low, max(high, 2 * low))
    plain_log_ticks(axes.yaxis, *limits)
