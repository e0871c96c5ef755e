"""Training curves of the seed report's models and of every trial, beside what needs no network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from analysis.figures.drawing.style import (
    COLOURS,
    DASHED,
    DOTTED,
    FAINT,
    MARKERS,
    entry,
    line_look,
    marks,
    not_to_the_end,
    plain_log_ticks,
    styled,
)
from analysis.measure.latent_probes.perceptrons import BLOCKS, L2
from analysis.read.runs import FAILED, Group, Run, preset_results, winners
from analysis.read.seed_report import CLASSIFIERS, MODELS
from analysis.read.values import column
from analysis.tables.classifiers import FLOORS
from analysis.tables.writing.formats import plural
from search.record.schema import COMPLETE


@dataclass(frozen=True)
class Scale:
    """What a vertical axis measures: a loss, logarithmic, or a fraction, linear."""

    label: str
    log: bool = True

    def drawn(self, values: pd.Series) -> pd.Series:
        """Which of the values have a place on the axis."""
        return (values > 0) if self.log else np.isfinite(values)

    def limits(
        self, values: Iterable[float], levels: Iterable[float], whole: bool = False
    ) -> tuple[float, float]:
        """Range of the axis: it holds good values, but not those of bad trials; on a linear axis
        these too where the `whole` is wanted."""
        known = np.array([value for value in values if math.isfinite(value)])
        lowest = 1e-7 if self.log else 0  # below that PCA is exact, and no line
        levels = [level for level in levels if lowest <= level < math.inf]
        return _log_limits(known, levels) if self.log else _linear_limits(known, levels, whole)

    def clipped(self, values: pd.Series, limits: tuple[float, float]) -> pd.Series:
        """Values on the far side of the range, drawn at its edge."""
        if self.log:
            return values.clip(upper=limits[1] / 1.1)
        return values.clip(lower=limits[0] + 0.015 * (limits[1] - limits[0]))


ERROR = Scale("mean squared error per pixel")
LOSS = Scale("cross-entropy, nats")
ACCURACY = Scale("accuracy", log=False)


@dataclass(frozen=True)
class Level:
    """Something that does not learn, as a horizontal line where that is in the panel's range."""

    label: str
    value: float
    look: Mapping[str, Any]

    def within(self, limits: tuple[float, float]) -> bool:
        return limits[0] < self.value < limits[1]


@dataclass(frozen=True)
class Panel:
    """A metric against the epoch: its column in epochs.csv, and what it is drawn beside."""

    metric: str
    title: str
    scale: Scale
    levels: tuple[Level, ...] = ()


def autoencoder_presets(run: Run) -> Figure | None:
    """Loss as optimised, and validation MSE, log-log."""
    levels = (_mean_image(run),)
    panels = [
        Panel("train_loss", "training loss, as optimised", ERROR, levels),
        Panel("validation_mse", "validation MSE, noise and dropout off", ERROR, levels),
    ]
    return _preset_curves(run, [model.preset for model in MODELS], panels)


def autoencoder_trials(run: Run) -> Figure | None:
    """Validation MSE of every trial, a panel per code size, log-log."""
    panels, mean = {}, _mean_image(run)
    for size in run.groups:
        pca = run.floor("pca", str(size)).value("validation_mse")
        levels = (Level("PCA, as many components", pca, DASHED), mean)
        panels[size] = Panel("validation_mse", f"code {size}", ERROR, levels)
    return _trial_curves(run, panels)


def classifier_presets(run: Run) -> Figure | None:
    """Loss as optimised, log-log, and validation accuracy."""
    names = [model.preset for model in CLASSIFIERS]
    return _preset_curves(run, names, [_LOSS_PANEL, _accuracy_panel(run)])


def classifier_trials(run: Run) -> Figure | None:
    """Validation accuracy of every trial."""
    return _trial_curves(run, dict.fromkeys(run.groups, _accuracy_panel(run)))


def perceptrons_by_blocks(run: Run) -> Figure | None:
    """Training loss and validation accuracy of perceptrons of one to six blocks."""
    return _preset_curves(run, list(BLOCKS), [_LOSS_PANEL, _ACCURACY_PANEL])


def perceptrons_by_l2(run: Run) -> Figure | None:
    """The same of perceptrons of two blocks with more and more L2."""
    return _preset_curves(run, list(L2), [_LOSS_PANEL, _ACCURACY_PANEL])


_LOSS_PANEL = Panel("train_loss", "training loss, as optimised", LOSS)
_ACCURACY_PANEL = Panel("validation_accuracy", "validation accuracy", ACCURACY)


def _mean_image(run: Run) -> Level:
    return Level("mean image", run.floor("mean_image").value("validation_mse"), DOTTED)


def _accuracy_panel(run: Run) -> Panel:
    levels = tuple(
        Level(FLOORS[name], run.floor(name).value("validation_accuracy"), look)
        for name, look in (("1-nn", DASHED), ("nearest_mean", DOTTED))
    )
    return replace(_ACCURACY_PANEL, levels=levels)


@styled
def _preset_curves(run: Run, names: Sequence[str], panels: Sequence[Panel]) -> Figure | None:
    """Each named preset's metrics against the epoch, a panel each; panels of one scale share
    their range. Of a preset that ran twice, the first."""
    trials = {result.preset: result.trial for result in reversed(preset_results(run))}
    curves = {name: run.epochs[run.epochs["id"] == trials.get(name)] for name in names}
    curves = {
        name: curve
        for name, curve in curves.items()
        if any(panel.scale.drawn(column(curve, panel.metric)).any() for panel in panels)
    }
    if not curves:
        return None
    figure = Figure(figsize=(8, 4.1), layout="constrained")
    shared = len({panel.scale for panel in panels}) == 1
    grid = figure.subplots(1, len(panels), sharey=shared)
    for axes, panel in zip(grid, panels, strict=True):
        alike = [each for each in panels if each.scale == panel.scale]
        values = [column(curve, each.metric) for curve in curves.values() for each in alike]
        levels = [level.value for each in alike for level in each.levels]
        limits = panel.scale.limits(np.concatenate(values), levels, whole=True)
        for turn, (name, curve) in enumerate(curves.items()):
            values = column(curve, panel.metric)
            axes.plot(
                curve["epoch"],
                values.where(panel.scale.drawn(values)),
                **line_look(turn),
                label=name,
                markevery=marks(len(curve)),
                markerfacecolor="white",
            )
        _finish(axes, panel, max(curve["epoch"].max() for curve in curves.values()), limits)
        if axes is grid[0] or not shared:
            axes.set_ylabel(panel.scale.label)
    drawn = {
        line.get_label(): line for axes in grid for line in axes.get_legend_handles_labels()[0]
    }
    columns = 5 if len(drawn) == 5 else 4
    figure.legend(handles=list(drawn.values()), loc="outside lower center", ncols=columns)
    return figure


@styled
def _trial_curves(run: Run, panels: Mapping[Group, Panel]) -> Figure | None:
    """A metric of every trial against the epoch, a panel per group. All panels are of one metric
    and share a range."""
    if not panels:
        return None
    first = next(iter(panels.values()))
    curves = run.epochs[["id", "epoch"]].assign(value=column(run.epochs, first.metric))
    curves = curves[first.scale.drawn(curves["value"])]
    curves = curves.merge(run.trials[["id", "state", run.group]], on="id")
    panels = {group: p for group, p in panels.items() if (curves[run.group] == group).any()}
    if not panels:
        return None
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(8 if columns > 1 else 6, 1 + 3.1 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    sound = curves.loc[~curves["state"].isin(FAILED), "value"]
    levels = [level for panel in panels.values() for level in panel.levels]
    limits = first.scale.limits(
        curves["value"] if sound.empty else sound, [level.value for level in levels]
    )
    won = {group: winner.trial for group, winner in winners(run).items() if group in panels}
    for axes, (group, panel) in zip(grid.flat, panels.items(), strict=False):
        of_group = curves[curves[run.group] == group]
        clipped = of_group.assign(value=panel.scale.clipped(of_group["value"], limits))
        colour = COLOURS[run.groups.index(group) % len(COLOURS)]
        _draw_trials(axes, clipped, won.get(group, ""), colour)
        _finish(axes, panel, curves["epoch"].max(), limits)
        axes.set_title(f"{panel.title} ({plural(of_group['id'].nunique(), 'trial')})")
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(first.scale.label)
    seen = {level.label: level.look for level in levels if level.within(limits)}
    drawn = curves[curves[run.group].isin(set(panels))]
    looks = {**_trial_looks(drawn, set(won.values())), **seen}
    handles = [entry(label, **look) for label, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _finish(axes: Axes, panel: Panel, last: float, limits: tuple[float, float]) -> None:
    """Levels, title, and the epoch on a log scale, with plain numbers at the ticks."""
    for level in panel.levels:
        if level.within(limits):
            axes.axhline(level.value, label=level.label, zorder=1, **level.look)
    axes.set_title(panel.title)
    axes.set_xlabel("epoch")
    axes.set_xscale("log")
    axes.set_xlim(0.9, max(last, 2) * 1.12)
    plain_log_ticks(axes.xaxis, 1, last)
    if panel.scale.log:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis, *limits)
    axes.set_ylim(limits)


def _draw_trials(axes: Axes, curves: pd.DataFrame, winner: str, colour: str) -> None:
    """Pruned trials faint, complete ones thin, the winner bold; a dot where a trial stopped."""
    stopped, complete, bad = [], [], []
    for _, curve in curves.groupby("id", sort=True):
        points, state = curve[["epoch", "value"]].to_numpy(), curve["state"].iloc[0]
        (complete if state == COMPLETE else bad if state in FAILED else stopped).append(points)
    faint = float(np.clip(12 / max(len(stopped), 1), 0.25, 0.7))
    dense = float(np.clip(30 / max(len(complete), 1), 0.2, 0.6))
    axes.add_collection(LineCollection(stopped, colors=FAINT, linewidths=0.7, alpha=faint))
    axes.add_collection(LineCollection(complete, colors=colour, linewidths=0.8, alpha=dense))
    for ended, marker, of, alpha in ((stopped, ".", FAINT, faint), (bad, "x", "#000000", 0.8)):
        if ended:
            ends = np.array([curve[-1] for curve in ended])
            axes.plot(ends[:, 0], ends[:, 1], marker, color=of, alpha=alpha, markersize=4)
    best = curves[curves["id"] == winner]
    bold = {"color": colour, "linewidth": 2.4, "marker": MARKERS[0], "zorder": 4}
    axes.plot(best["epoch"], best["value"], markevery=marks(len(best)), **bold)


def _trial_looks(curves: pd.DataFrame, won: set[str]) -> dict[str, dict[str, Any]]:
    """What the panels really hold, by its label; colours differ by panel, so these are grey."""
    others = curves[~curves["id"].isin(won)]
    states = set(others["state"])
    looks = {
        "winner": {"color": "#000000", "linewidth": 2.4, "marker": MARKERS[0]},
        "complete": {"color": "#000000", "linewidth": 0.8},
        not_to_the_end(states): {"color": FAINT, "linewidth": 0.8, "marker": "."},
        "diverged or failed": {"color": "#000000", "linestyle": "", "marker": "x"},
    }
    shown = {
        "winner": len(others) < len(curves),
        "complete": COMPLETE in states,
        "": False,
        "diverged or failed": not states.isdisjoint(FAILED),
    }
    return {label: look for label, look in looks.items() if shown.get(label, True)}


def _log_limits(values: np.ndarray, levels: Sequence[float]) -> tuple[float, float]:
    """The lowest value is in the range; the highest only up to four times the highest level."""
    drawn = values[values > 0] if (values > 0).any() else np.array([*levels, 1.0][:1])
    low, high = min([drawn.min(), *levels]), drawn.max()
    if levels:
        high = max(min(high, 4 * max(levels)), max(levels))
    elif len(drawn) > 20:
        high = min(high, 4 * np.quantile(drawn, 0.98))
    return low / 1.25, max(high, low) * 1.25


def _linear_limits(values: np.ndarray, levels: Sequence[float], whole: bool) -> tuple[float, float]:
    """The highest value is in the range. A level is out of it where the values could not be told
    apart beside it; so is, but for the `whole`, a value far below their median."""
    values = values if len(values) else np.array([*levels, 1.0][:1])
    low, high = values.min(), values.max()
    if not whole:
        middle = np.median(values)
        low = max(low, middle - 3 * (high - middle))
    near = [level for level in levels if level >= 2 * low - high]
    low, high = min([low, *near]), max([high, *near])
    room = max(0.05 * (high - low), 0.005)
    return low - room, high + room
