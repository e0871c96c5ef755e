"""The pictures of the autopsy: what each cause costs, boosting by formulation, accuracy by L2."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.drawing.style import COLOURS, DASHED, FLOOR, MARKERS, styled
from analysis.measure.autopsy.boosting import Boosting
from analysis.measure.autopsy.forests import Forests
from analysis.measure.autopsy.l2 import Line
from analysis.read.autopsy import Measurement
from analysis.tables.autopsy import one, probe_name, three
from analysis.tables.writing.formats import duration, short

CONTROL = "lda"  # the control that is drawn
# Hollow: what is only there to compare with. In print no second grey stands beside a colour.
_HOLLOW = {"facecolor": "white", "edgecolor": "#737373", "linewidth": 0.8}
_LETTERS = 44  # of a label beside a bar


@styled
def causes(found: Forests | None) -> Figure | None:
    """Points of accuracy that each cause costs a forest, in colour, and a control, hollow; the
    costliest on top."""
    if found is None:
        return None
    figure, axes = _bar_chart([cause.name for cause in found.causes], 0.36)
    forest = {place - 0.2: cause.cost.points for place, cause in enumerate(found.causes)}
    _paired(axes, forest, {"color": COLOURS[1]}, probe_name(found.forest))
    control = {place + 0.2: cause.points(CONTROL) for place, cause in enumerate(found.causes)}
    _paired(axes, control, _HOLLOW, f"{probe_name(CONTROL)} (control)")
    axes.axvline(0, color=FLOOR, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.06 * (high - low) * (low < 0), high + 0.06 * (high - low))
    axes.set_xlabel("points of accuracy lost, one thing changed at a time")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@styled
def formulations(found: Boosting) -> Figure | None:
    """Accuracy of each formulation with its deviation and its time, beside that of a forest."""
    rows, forest = found.formulations, found.forest
    if not rows:
        return None
    figure, axes = _bar_chart([row.level for row in rows], 0.3)
    values = [row.accuracy for row in rows]
    errors = [row.std if math.isfinite(row.std) else 0.0 for row in rows]
    axes.barh(range(len(rows)), values, 0.66, color=COLOURS[0], xerr=errors)
    for place, (row, error) in enumerate(zip(rows, errors, strict=True)):
        took = f" ({duration(row.seconds)})" if math.isfinite(row.seconds) else ""
        _beside(axes, row.accuracy + error, place, f"{three(row.accuracy)}{took}")
    axes.set_xlim(0, max([*values, forest.accuracy if forest else 0.0, 0.01]) * 1.28)
    axes.set_xlabel("validation accuracy")
    if forest:
        label = f"{probe_name(forest.probe)}, {three(forest.accuracy)}"
        axes.axvline(forest.accuracy, label=label, zorder=1, **DASHED)
        figure.legend(loc="outside lower center")
    return figure


@styled
def l2_curves(lines: Mapping[Line, Sequence[Measurement]]) -> Figure | None:
    """Validation accuracy and, dashed, training accuracy at each L2, evenly apart, for none has no
    place on a log scale; a panel without and a panel with batch norm."""
    norms = sorted({norm for _, norm in lines})
    if not norms:
        return None
    values = sorted({row.l2 for rows in lines.values() for row in rows})
    figure = Figure(figsize=(8 if len(norms) > 1 else 5, 3.5), layout="constrained")
    grid = figure.subplots(1, len(norms), sharey=True, squeeze=False)[0]
    for axes, norm in zip(grid, norms, strict=True):
        for turn, kind in enumerate(sorted({kind for kind, _ in lines})):
            _draw_line(axes, values, lines.get((kind, norm), ()), turn, f"{kind} L2")
        axes.set_title("with batch norm" if norm else "without batch norm")
        axes.set_xticks(range(len(values)), [short(value) for value in values])
        axes.set_xlabel("L2")
        axes.set_ylim(-0.03, 1.04)  # a marker at either end is whole
    grid[0].set_ylabel("accuracy")
    figure.legend(*grid[-1].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _bar_chart(labels: Sequence[str], height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 1.1 + height * len(labels)), layout="constrained")
    axes = figure.subplots()
    short_labels = [textwrap.shorten(label, _LETTERS, placeholder="…") for label in labels]
    axes.set_yticks(range(len(labels)), short_labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _paired(axes: Axes, values: Mapping[float, float], look: Mapping[str, Any], label: str) -> None:
    """Bars of one look with their numbers, by their place; nothing where none is known."""
    known = {place: value for place, value in values.items() if math.isfinite(value)}
    if known:
        axes.barh(list(known), list(known.values()), 0.38, label=label, **look)
    for place, value in known.items():
        _beside(axes, value, place, one(value))


def _beside(axes: Axes, value: float, place: float, words: str) -> None:
    """Words at the end of a bar."""
    left = value < 0
    axes.annotate(
        words,
        (value, place),
        (-3 if left else 3, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center_baseline",
        fontsize=7,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},  # a level may run through
    )


def _draw_line(
    axes: Axes, values: Sequence[float], rows: Sequence[Measurement], turn: int, label: str
) -> None:
    at = [values.index(row.l2) for row in rows]
    look = {"color": COLOURS[turn], "marker": MARKERS[turn]}
    errors = [row.std if math.isfinite(row.std) else 0.0 for row in rows]
    axes.errorbar(at, [row.accuracy for row in rows], errors, label=f"{label}, validation", **look)
    look |= {"linestyle": "--", "markerfacecolor": "white"}
    axes.plot(at, [row.train for row in rows], label=f"{label}, training", **look)
