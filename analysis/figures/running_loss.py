"""The running loss of the sparse autoencoders, as in a plot of the seed report."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.curves import ERROR
from analysis.figures.drawing.style import DASHED, DOTTED, line_look, marks, plain_log_ticks, styled
from analysis.measure.running_loss import NAMES, RunningLoss
from analysis.read.seed_report import reported
from analysis.tables.writing.formats import mse


@styled
def sae_by_step(found: RunningLoss) -> Figure | None:
    """Training loss by optimiser step, log-log; by epoch, which the axis says, where the run does
    not tell how many steps an epoch has."""
    if not found.curves:
        return None
    known = math.isfinite(found.steps)
    scale = found.steps if known else 1
    levels = {name: reported(name).train_loss for name in NAMES}
    limits = ERROR.limits(pd.concat(found.curves.values()), levels.values(), whole=True)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(NAMES):
        if name in found.curves:
            curve = ERROR.clipped(found.curves[name], limits)
            axes.plot(
                curve.index * scale,
                curve,
                **line_look(place),
                label=f"our {name}, {mse(curve.iloc[-1])} at its end",
                markevery=marks(len(curve)),
                markerfacecolor="white",
            )
    for (name, value), look in zip(levels.items(), (DASHED, DOTTED), strict=True):
        label = f"the seed report's {name} at its end, {mse(value)}"
        axes.axhline(value, label=label, zorder=1, **{**look, "linewidth": 0.9})
    epochs = [epoch for curve in found.curves.values() for epoch in curve.index]
    low, high = min(epochs) * scale, max(max(epochs), 2 * min(epochs)) * scale
    axes.set(xscale="log", yscale="log", xlim=(low / 1.12, high * 1.12), ylim=limits)
    plain_log_ticks(axes.xaxis, low, high)
    plain_log_ticks(axes.yaxis, *limits)
    steps = f"optimiser steps ({scale:.0f} an epoch)"
    axes.set_xlabel(steps if known else "epochs (steps of an epoch not known)")
    axes.set_ylabel("training loss (MSE per pixel + L1)")
    axes.set_title(f"sparse and deeper sparse autoencoder, {found.data}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
