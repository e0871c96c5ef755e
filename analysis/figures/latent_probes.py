"""The pictures of classifiers of codes: accuracy by probe, the report's perceptrons, and L2."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.drawing.style import COLOURS, DASHED, DOTTED, MARKERS, line_look, styled
from analysis.measure.latent_probes.probes import Perceptron, Probe
from analysis.read.runs import Run
from analysis.read.seed_report import PROBE_ACCURACY
from analysis.tables.classifiers import FLOORS
from analysis.tables.writing.formats import short

_APART = 0.22  # of a row's height, between the dots of two code sizes
_CURVES = {"train_accuracy": "training drawings", "test_accuracy": "test drawings"}
_FLOOR = "1-nn"


@styled
def accuracies(run: Run, found: Sequence[Probe]) -> Figure | None:
    """A dot with its interval per probe and code size, in the order given from above; the best of
    each probe with its number. The seed report's perceptron and 1-NN on pixels are vertical
    lines."""
    tested = [probe for probe in found if math.isfinite(probe.test)]
    if not tested:
        return None
    names = list(dict.fromkeys(probe.name for probe in tested))
    sizes = sorted({probe.size for probe in found}, reverse=True)
    height = 1.3 + len(names) * max(0.28, 0.14 * len(sizes))
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    lines = [
        axes.axvline(value, label=f"{label}, {short(value)}", zorder=1, **look)
        for label, value, look in _levels(run)
        if math.isfinite(value)
    ]
    apart = min(_APART, 0.7 / len(sizes))
    dots = []
    for turn, size in enumerate(sizes):
        of_size = [probe for probe in tested if probe.size == size]
        shift = apart * (turn - (len(sizes) - 1) / 2)
        places = [names.index(probe.name) + shift for probe in of_size]
        dots += [_draw_size(axes, of_size, places, turn)] if of_size else []
        for probe, place in zip(of_size, places, strict=True):
            if probe.test == max(each.test for each in tested if each.name == probe.name):
                _write_value(axes, probe, place)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.08)
    axes.set_xlabel("test accuracy")
    figure.legend(handles=dots, loc="outside lower center", ncols=6)
    if lines:
        figure.legend(handles=lines, loc="outside upper center", ncols=2)
    return figure


@styled
def against_l2(found: Sequence[Perceptron]) -> Figure | None:
    """Training and test accuracy at each L2, from none to the strongest, evenly apart: none has no
    place on a log scale."""
    if not found:
        return None
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for turn, (metric, words) in enumerate(_CURVES.items()):
        values = [getattr(each, metric) for each in found]
        axes.plot(
            range(len(found)), values, markerfacecolor="white", label=words, **line_look(turn)
        )
        for place, value in enumerate(values):
            if math.isfinite(value):
                _annotate(axes, value, (place, value), (0, 6), ha="center")
    axes.set_xticks(range(len(found)), [short(each.l2) for each in found])
    axes.margins(x=0.06, y=0.16)
    axes.set_xlabel("L2")
    axes.set_ylabel("accuracy")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _levels(run: Run) -> list[tuple[str, float, dict]]:
    """Label, accuracy and look of what the probes are set beside."""
    data = "" if run.data["name"] == "omniglot" else " (Omniglot)"
    floor = run.floor(_FLOOR).value("test_accuracy")
    return [
        (f"the seed report's best perceptron{data}", PROBE_ACCURACY["mlp"], DASHED),
        (f"{FLOORS[_FLOOR]} on pixels", floor, DOTTED),
    ]


def _draw_size(axes: Axes, found: Sequence[Probe], places: Sequence[float], turn: int) -> object:
    """An interval that is not known has no length."""
    ends = [[abs(each.test - getattr(each, end)) for each in found] for end in ("low", "high")]
    return axes.errorbar(
        [each.test for each in found],
        places,
        xerr=np.nan_to_num(ends),
        fmt=MARKERS[turn % len(MARKERS)],
        color=COLOURS[turn % len(COLOURS)],
        capsize=2,
        elinewidth=1.1,
        label=f"code {found[0].size}",
        zorder=3,
    )


def _write_value(axes: Axes, probe: Probe, place: float) -> None:
    """Right of the interval."""
    end = probe.high if math.isfinite(probe.high) else probe.test
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # a line may run through
    _annotate(axes, probe.test, (end, place), (5, 0), va="center", bbox=box)


def _annotate(
    axes: Axes, value: float, at: tuple[float, float], offset: tuple[int, int], **look: object
) -> None:
    """Three digits: a reader keeps no more in mind."""
    text = f"{value:.3f}"
    axes.annotate(text, at, offset, textcoords="offset points", fontsize=7, **look)
