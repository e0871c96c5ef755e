"""The picture of the report's first part: errors by code size, and accuracies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures.drawing.style import FLOOR, entry, styled
from analysis.figures.errors import REPORT, draw_errors, drawable, look_of, split_of
from analysis.measure.best import Best
from analysis.tables.writing.formats import data_words

_NEAREST = {
    "color": FLOOR,
    "marker": "|",
    "markersize": 9,
    "markeredgewidth": 2.2,
    "linestyle": "",
}


@styled
def answer_figure(found: Sequence[Best]) -> Figure | None:
    """Errors at the left, accuracies at the right; a side without data leaves its room to the
    other. A data set has one colour and one marker on both."""
    errors = drawable(found)
    accuracies = [each for each in found if not each.draws and each.measured]
    data = list(dict.fromkeys(each.run.data["name"] for each in [*errors, *accuracies]))
    panels: list[tuple[float, Callable[[Axes], list[Line2D]]]] = []
    if errors:
        panels.append((1.5, lambda axes: draw_errors(axes, errors, data)))
    if accuracies:
        panels.append((1.0, lambda axes: _draw_accuracies(axes, accuracies, data)))
    if not panels:
        return None
    rows = len(accuracies) + len({each.size is None for each in accuracies})
    height = max(3.8 if errors else 2.2, 1.3 + 0.25 * rows)
    figure = Figure(figsize=(8, height), layout="constrained")
    widths = [width for width, _ in panels]
    grid = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)
    handles = [each for axes, (_, draw) in zip(grid[0], panels, strict=True) for each in draw(axes)]
    distinct = {each.get_label(): each for each in handles}
    figure.legend(handles=list(distinct.values()), loc="outside lower center", ncols=4)
    return figure


def _draw_accuracies(axes: Axes, found: Sequence[Best], data: Sequence[str]) -> list[Line2D]:
    """A row per classifier, first those of images; its number at the right edge."""
    places, labels = _rows(found)
    for each, place in zip(found, places, strict=True):
        if math.isfinite(each.theirs[0]):
            axes.plot(each.theirs, [place] * 2, zorder=3, **{**REPORT, "linestyle": "-"})
        if math.isfinite(each.nearest):
            axes.plot(each.nearest, place, zorder=2, **_NEAREST)
        axes.errorbar(
            each.value,
            place,
            xerr=each.deviation if each.deviation > 0 else None,
            capsize=3,
            zorder=4,
            **look_of(each, data),
        )
        axes.annotate(
            f"{each.value:.3f}",
            (1, place),
            (4, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    axes.set_yticks([place for place, _ in labels], [label for _, label in labels])
    axes.set_ylim(max(places) + 0.6, -0.6)
    for tick, (place, _) in zip(axes.get_yticklabels(), labels, strict=True):
        if place not in places:
            tick.set_fontweight("bold")
    axes.set_xlim(*_limits(found))
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("accuracy")
    axes.set_title(f"best classifiers{split_of(found)}")
    return _legend(found, data)


def _legend(found: Sequence[Best], data: Sequence[str]) -> list[Line2D]:
    """An entry per data set, filled if any of its rows is tested."""
    shown = {each.run.data["name"]: each for each in sorted(found, key=lambda each: each.tested)}
    handles = [
        entry(name + ("" if shown[name].tested else ", validation"), **look_of(shown[name], data))
        for name in data
        if name in shown
    ]
    if any(math.isfinite(each.theirs[0]) for each in found):
        handles.append(entry("seed report", **REPORT))
    if any(math.isfinite(each.nearest) for each in found):
        handles.append(entry("1-NN on pixels", **_NEAREST))
    return handles


def _rows(found: Sequence[Best]) -> tuple[list[float], list[tuple[float, str]]]:
    """The height of each row from above, and all labels with theirs: a heading before the first
    of images and before the first of codes."""
    places: list[float] = []
    labels: list[tuple[float, str]] = []
    for index, each in enumerate(found):
        of_images = each.run.command == "classifiers"
        if not index or of_images != (found[index - 1].run.command == "classifiers"):
            labels.append((float(len(labels)), "of images" if of_images else "of codes"))
        places.append(float(len(labels)))
        labels.append((places[-1], _name(each)))
    return places, labels


def _name(each: Best) -> str:
    _, data, split = each.run.task
    return data_words(data, split) if each.size is None else f"{data}, code {each.size}"


def _limits(found: Sequence[Best]) -> tuple[float, float]:
    values = [value for each in found for value in (each.value, *each.theirs, each.nearest)]
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known), max(known)
    room = max(0.06 * (high - low), 0.01)
    low = max(low - room, -0.02)
    return low, min(high + room, 1 + 0.04 * (1 - low))  # whose axis ends in 1, not in a tick above
