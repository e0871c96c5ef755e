"""The pictures of the autopsy: what each cause costs, boosting by formulation, accuracy by L2."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from analysis.figures.style import COLOURS, DASHED, FLOOR, MARKERS, styled

# Hollow beside a colour: what is only there to compare with, and no second grey in print.
_CONTROL = {"facecolor": "white", "edgecolor": "#737373", "linewidth": 0.8}
_PALE = "#f3c19b"
_WORDS = 44  # letters of a line beside a bar


@dataclass(frozen=True)
class Bars:
    """A row of a bar chart: a bar per value, nan for none."""

    label: str
    values: Sequence[float]
    std: float = math.nan
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Curve:
    """Accuracy against L2, of one kind of L2 with or without batch norm."""

    kind: str  # "coupled" or "decoupled"
    batch_norm: bool
    l2: Sequence[float]
    accuracy: Sequence[float]
    std: Sequence[float]
    train: Sequence[float]


@styled
def causes(found: Sequence[Bars], names: tuple[str, str]) -> Figure | None:
    """Points of accuracy that each cause costs a forest, in colour, and a control, hollow, in the
    order given from above. The strong ones are those that tell forests from controls."""
    if not found:
        return None
    figure, axes = _bar_chart(found, 0.36)
    forest, control = names
    looks = {
        True: (COLOURS[1], f"{forest}, where controls lose less"),
        False: (_PALE, f"{forest}, elsewhere"),
    }
    for strong, (colour, label) in looks.items():
        chosen = {place: bars for place, bars in enumerate(found) if bars.strong is strong}
        _paired(
            axes,
            {place - 0.2: bars.values[0] for place, bars in chosen.items()},
            {"color": colour},
            label,
        )
    _paired(axes, {n + 0.2: bars.values[1] for n, bars in enumerate(found)}, _CONTROL, control)
    axes.axvline(0, color=FLOOR, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 0.06 * (high - low) * (low < 0), high + 0.06 * (high - low))
    axes.set_xlabel("points of accuracy lost, one thing changed at a time")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@styled
def formulations(found: Sequence[Bars], level: tuple[str, float] | None) -> Figure | None:
    """Accuracy of each formulation with its deviation and its time, beside a level to compare
    with."""
    if not found:
        return None
    figure, axes = _bar_chart(found, 0.3)
    values = [bars.values[0] for bars in found]
    errors = [bars.std if math.isfinite(bars.std) else 0.0 for bars in found]
    axes.barh(range(len(found)), values, 0.66, color=COLOURS[0], xerr=errors)
    for place, (bars, value, error) in enumerate(zip(found, values, errors, strict=True)):
        note = f" ({bars.note})" if bars.note else ""
        _beside(axes, value + error, place, f"{value:.3f}{note}")
    axes.set_xlim(0, max([*values, level[1] if level else 0.0, 0.01]) * 1.28)
    axes.set_xlabel("validation accuracy")
    if level:
        axes.axvline(level[1], label=level[0], zorder=1, **DASHED)
        figure.legend(loc="outside lower center")
    return figure


@styled
def l2_curves(curves: Sequence[Curve]) -> Figure | None:
    """Validation accuracy and, dashed, training accuracy against L2; a panel without and a panel
    with batch norm."""
    norms = sorted({curve.batch_norm for curve in curves})
    if not norms:
        return None
    values = sorted({value for curve in curves for value in curve.l2})
    figure = Figure(figsize=(8 if len(norms) > 1 else 5, 3.5), layout="constrained")
    grid = figure.subplots(1, len(norms), sharey=True, squeeze=False)[0]
    kinds = sorted({curve.kind for curve in curves})
    for axes, norm in zip(grid, norms, strict=True):
        for curve in curves:
            if curve.batch_norm == norm:
                _draw_curve(axes, curve, kinds.index(curve.kind), _zero(values))
        axes.set_title("with batch norm" if norm else "without batch norm")
        _set_l2_axis(axes, values)
        axes.set_ylim(-0.03, 1.04)  # a marker at either end is whole
    grid[0].set_ylabel("accuracy")
    figure.legend(handles=_l2_legend(kinds), loc="outside lower center", ncols=2 + len(kinds))
    return figure


def strength(value: float) -> str:
    """A value of L2 as it is spoken of.

    >>> strength(0.0), strength(1e-4), strength(0.02), strength(0.1)
    ('0', '1e-4', '2e-2', '1e-1')
    """
    if value == 0 or abs(value) >= 1:
        return f"{value:g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{float(digits):g}e{int(power)}"


def _bar_chart(found: Sequence[Bars], height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 1.1 + height * len(found)), layout="constrained")
    axes = figure.subplots()
    labels = [textwrap.shorten(bars.label, _WORDS, placeholder="…") for bars in found]
    axes.set_yticks(range(len(found)), labels)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _paired(axes: Axes, values: Mapping[float, float], look: Mapping[str, Any], label: str) -> None:
    """Bars of one look with their numbers, by their place; nothing where none is known."""
    known = {place: value for place, value in values.items() if math.isfinite(value)}
    if known:
        axes.barh(list(known), list(known.values()), 0.38, label=label, **look)
    for place, value in known.items():
        _beside(axes, value, place, f"{value:.1f}".replace("-0.0", "0.0"))


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


def _draw_curve(axes: Axes, curve: Curve, place: int, zero: float) -> None:
    at = [value or zero for value in curve.l2]
    look = {"color": COLOURS[place], "marker": MARKERS[place]}
    errors = [std if math.isfinite(std) else 0.0 for std in curve.std]
    axes.errorbar(at, curve.accuracy, errors, **look)
    axes.plot(at, curve.train, linestyle="--", markerfacecolor="white", **look)


def _zero(values: Sequence[float]) -> float:
    """Where no L2 is drawn on the log axis: a decade below the weakest."""
    return min([value for value in values if value > 0], default=1.0) / 10


def _set_l2_axis(axes: Axes, values: Sequence[float]) -> None:
    """Ticks at the decades that were measured; "0" a decade below them."""
    axes.set_xscale("log")
    whole = [value for value in values if value > 0 and math.log10(value) % 1 in (0.0, 1.0)]
    ticks = {value: strength(value) for value in whole or [v for v in values if v > 0]}
    if 0 in values:
        ticks = {_zero(values): "0"} | ticks
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FixedFormatter(list(ticks.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("L2")


def _l2_legend(kinds: Sequence[str]) -> list[Line2D]:
    looks = [
        (f"{kind} L2", {"color": COLOURS[place], "marker": MARKERS[place]})
        for place, kind in enumerate(kinds)
    ]
    looks += [
        ("validation", {"color": "#000000"}),
        ("training", {"color": "#000000", "linestyle": "--"}),
    ]
    return [Line2D([], [], label=label, **look) for label, look in looks]
