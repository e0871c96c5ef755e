"""What the report's pictures share: one style, pictures of images, and learning curves.

Okabe and Ito's colours, which colour-blind readers can tell apart, always with a marker or a line
style of their own, so that a print in grey says the same. A function that draws returns its
figure, or None if there is no data.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from PIL import Image

from analysis.read.runs import FAILED, Group, Run, preset_results, winners
from analysis.read.values import column

DPI = 150
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
FAINT = "#8c8c8c"
FLOOR = "#404040"
DASHED = {"color": FLOOR, "linestyle": "--", "linewidth": 1.1}
DOTTED = {"color": FLOOR, "linestyle": ":", "linewidth": 1.4}
GAP = 2  # pixels of an image between two images of a mosaic
ZOOM = 3  # screen pixels per pixel of an image: whole, so that no row is blurred

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
_FEW_DECADES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


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
        """Range of the axis: all that is good, but not how far a bad trial strays; on a linear
        axis that too where the `whole` is wanted."""
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


def styled(draw: Callable[..., Figure | None]) -> Callable[..., Figure | None]:
    """Draw under this module's style, whatever the reader's matplotlibrc says."""

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure | None:
        with matplotlib.style.context(_STYLE, after_reset=True):
            return draw(*args, **kwargs)

    return drawn


def png(figure: Figure) -> bytes:
    """The figure as a PNG of 256 colours, a third of the bytes; equal figures give equal bytes."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    with matplotlib.style.context(_STYLE, after_reset=True):
        _lay_out(figure)
        figure.savefig(drawn, format="png", dpi=DPI)
    # Undithered: a flat colour stays flat.
    palette = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    palette.save(packed, format="PNG", optimize=True)
    return packed.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as an SVG, text as text; equal figures give equal bytes."""
    buffer = io.BytesIO()
    style = {**_STYLE, "svg.hashsalt": "autoencoder-search", "svg.fonttype": "none"}
    with matplotlib.style.context(style, after_reset=True):
        _lay_out(figure)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _lay_out(figure: Figure) -> None:
    """Let the layout engine do its work once: it takes as long as drawing, and would do it for
    each file."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)


@styled
def preset_curves(run: Run, names: Sequence[str], panels: Sequence[Panel]) -> Figure | None:
    """Each named preset's metrics against the epoch, a panel each; panels of one scale share
    their range."""
    curves = _preset_curves(run, names, panels)
    if not curves:
        return None
    figure = Figure(figsize=(8, 4.1), layout="constrained")
    shared = len({panel.scale for panel in panels}) == 1
    grid = figure.subplots(1, len(panels), sharey=shared)
    last = max(curve["epoch"].max() for _, curve in curves)
    said: set[str] = set()
    for axes, panel in zip(grid, panels, strict=True):
        limits = _shared_limits(curves, [one for one in panels if one.scale == panel.scale])
        for place, (name, curve) in enumerate(curves):
            values = column(curve, panel.metric)
            axes.plot(
                curve["epoch"],
                values.where(panel.scale.drawn(values)),
                **_look(place),
                label=_once(name, said),
                markevery=marks(len(curve)),
                markerfacecolor="white",
            )
        for level in panel.levels:
            if level.within(limits):
                draw_level(axes, level.value, level.look, _once(level.label, said))
        axes.set_title(panel.title)
        axes.set_xlabel("epoch")
        _set_axes(axes, panel.scale, last, limits)
        if axes is grid[0] or not shared:
            axes.set_ylabel(panel.scale.label)
    figure.legend(loc="outside lower center", ncols=5 if len(said) == 5 else 4)
    return figure


@styled
def trial_curves(run: Run, panels: Mapping[Group, Panel]) -> Figure | None:
    """A metric of every trial against the epoch, a panel per group. All panels are of one metric
    and share a range."""
    if not panels:
        return None
    metric, scale = next((panel.metric, panel.scale) for panel in panels.values())
    curves = run.epochs[["id", "epoch"]].assign(value=column(run.epochs, metric))
    curves = curves[scale.drawn(curves["value"])]
    curves = curves.merge(run.trials[["id", "state", run.group]], on="id")
    panels = {g: panel for g, panel in panels.items() if (curves[run.group] == g).any()}
    if not panels:
        return None
    chosen = winners(run)
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(8 if columns > 1 else 6, 1 + 3.1 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    sound = curves.loc[~curves["state"].isin(FAILED), "value"]
    levels = [level for panel in panels.values() for level in panel.levels]
    limits = scale.limits(
        curves["value"] if sound.empty else sound, [level.value for level in levels]
    )
    for axes, (group, panel) in zip(grid.flat, panels.items(), strict=False):
        mine = curves[curves[run.group] == group]
        _draw_trials(
            axes,
            mine.assign(value=scale.clipped(mine["value"], limits)),
            chosen[group].trial if group in chosen else "",
            _colour(run.groups.index(group)),
        )
        for level in panel.levels:
            if level.within(limits):
                draw_level(axes, level.value, level.look)
        trials = mine["id"].nunique()
        axes.set_title(f"{panel.title} ({trials} trial{'s' * (trials > 1)})")
        axes.set_xlabel("epoch")
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(scale.label)
    for axes in grid.flat:
        _set_axes(axes, scale, curves["epoch"].max(), limits)
    seen = [level for level in levels if level.within(limits)]
    drawn = curves[curves[run.group].isin(set(panels))]
    won = {winner.trial for group, winner in chosen.items() if group in panels}
    legend = _trial_legend(drawn, won, seen)
    figure.legend(handles=legend, loc="outside lower center", ncols=3)
    return figure


def mosaic(
    rows: list[np.ndarray], columns: int, gaps: tuple[int, int] = (GAP, GAP)
) -> np.ma.MaskedArray:
    """Rows of images (N, 28, 28) as one picture, white where there is none; `gaps` are the
    pixels between two rows and between two columns."""
    down, across = (28 + gap for gap in gaps)
    picture = np.full((len(rows) * down - gaps[0], columns * across - gaps[1]), -1.0)
    for r, images in enumerate(rows):
        for c, image in enumerate(images[:columns]):
            picture[r * down : r * down + 28, c * across : c * across + 28] = image
    return np.ma.masked_less(picture, 0)


def show_mosaic(axes: Axes, picture: np.ndarray, labels: list[str], gap: int = GAP) -> None:
    """Ink dark on a grey so light that each image's edge can be seen."""
    axes.imshow(
        1 - 0.03 - 0.97 * picture,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_yticks([14 + place * (28 + gap) for place in range(len(labels))], labels)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_level(axes: Axes, value: float, look: Mapping[str, Any], label: str = "_") -> None:
    axes.axhline(value, label=label, zorder=1, **look)


def plain_log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks at 1, 2 and 5 of each decade; at the decades alone where many are spanned, and at more
    numbers where less than one is."""
    decades = math.log10(max(high, 1e-30) / max(low, 1e-30))
    subs = (1.0,) if decades > 2.6 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=_FEW_DECADES if decades < 0.75 else subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _preset_curves(
    run: Run, names: Sequence[str], panels: Sequence[Panel]
) -> list[tuple[str, pd.DataFrame]]:
    """A curve per preset that has one, in the order of names; of one run twice, the first."""
    trials = {result.preset: result.trial for result in reversed(preset_results(run))}
    curves = [(name, run.epochs[run.epochs["id"] == trials.get(name)]) for name in names]
    return [
        (name, curve)
        for name, curve in curves
        if any(panel.scale.drawn(column(curve, panel.metric)).any() for panel in panels)
    ]


def _shared_limits(
    curves: Sequence[tuple[str, pd.DataFrame]], panels: Sequence[Panel]
) -> tuple[float, float]:
    """The range of panels of one scale."""
    values = np.concatenate([column(curve, p.metric) for _, curve in curves for p in panels])
    levels = [level.value for panel in panels for level in panel.levels]
    return panels[0].scale.limits(values, levels, whole=True)


def _draw_trials(axes: Axes, curves: pd.DataFrame, winner: str, colour: str) -> None:
    """Pruned trials faint, complete ones thin, the winner bold; a dot where a trial stopped."""
    stopped, complete, bad = [], [], []
    for _, curve in curves.groupby("id", sort=True):
        points = curve[["epoch", "value"]].to_numpy()
        state = curve["state"].iloc[0]
        (complete if state == "complete" else bad if state in FAILED else stopped).append(points)
    faint = float(np.clip(12 / max(len(stopped), 1), 0.25, 0.7))
    axes.add_collection(LineCollection(stopped, colors=FAINT, linewidths=0.7, alpha=faint))
    _ends(axes, stopped, ".", FAINT, faint)
    _ends(axes, bad, "x", "#000000", 0.8)
    dense = float(np.clip(30 / max(len(complete), 1), 0.2, 0.6))
    axes.add_collection(LineCollection(complete, colors=colour, linewidths=0.8, alpha=dense))
    best = curves[curves["id"] == winner]
    axes.plot(
        best["epoch"],
        best["value"],
        color=colour,
        linewidth=2.4,
        marker=MARKERS[0],
        markevery=marks(len(best)),
        zorder=4,
    )


def _ends(axes: Axes, curves: list[np.ndarray], marker: str, colour: str, alpha: float) -> None:
    if curves:
        ends = np.array([curve[-1] for curve in curves])
        axes.plot(ends[:, 0], ends[:, 1], marker, color=colour, alpha=alpha, markersize=4)


def not_to_the_end(states: Iterable[str]) -> str:
    """What a legend calls trials without the last epoch, by the states that there are; empty if
    there are none.

    >>> not_to_the_end(["complete", "pruned"]), not_to_the_end(["running"]), not_to_the_end([])
    ('stopped early', 'not finished', '')
    """
    words = {"pruned": "stopped early", "running": "not finished"}
    found = set(states)
    return " or ".join(said for state, said in words.items() if state in found)


def _trial_legend(
    curves: pd.DataFrame, won: Collection[str], levels: Iterable[Level]
) -> list[Line2D]:
    """Entries for what the panels really hold; colours differ by panel, so these are grey."""
    others = curves[~curves["id"].isin(won)]
    states = set(others["state"])
    looks = [
        (
            "winner",
            {"color": "#000000", "linewidth": 2.4, "marker": MARKERS[0]},
            len(others) < len(curves),
        ),
        ("complete", {"color": "#000000", "linewidth": 0.8}, "complete" in states),
        (
            not_to_the_end(states),
            {"color": FAINT, "linewidth": 0.8, "marker": "."},
            bool(not_to_the_end(states)),
        ),
        (
            "diverged or failed",
            {"color": "#000000", "linestyle": "", "marker": "x"},
            bool(states & set(FAILED)),
        ),
    ]
    distinct = {level.label: level for level in levels}.values()
    looks += [(level.label, level.look, True) for level in distinct]
    return [Line2D([], [], label=label, **look) for label, look, present in looks if present]


def _once(label: str, said: set[str]) -> str:
    """`label` the first time, so that a figure's legend lists it once."""
    fresh = label not in said
    said.add(label)
    return label if fresh else "_"


def _look(place: int) -> dict[str, Any]:
    turn = place % len(COLOURS)
    return {"color": COLOURS[turn], "marker": MARKERS[turn], "linestyle": DASHES[turn]}


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def marks(points: int) -> list[int]:
    """Where to set the markers of a line: at most eight, evenly apart on a log scale, and the last.

    >>> marks(20), marks(0)
    ([0, 1, 3, 5, 7, 12, 19], [])
    """
    if not points:
        return []
    return sorted({int(round(place)) for place in np.geomspace(1, points, 8) - 1})


def _log_limits(values: np.ndarray, levels: Sequence[float]) -> tuple[float, float]:
    """All that is low; of what is high, no more than four times the highest level."""
    drawn = values[values > 0] if (values > 0).any() else np.array([*levels, 1.0][:1])
    low, high = min([drawn.min(), *levels]), drawn.max()
    if levels:
        high = max(min(high, 4 * max(levels)), max(levels))
    elif len(drawn) > 20:
        high = min(high, 4 * np.quantile(drawn, 0.98))
    return low / 1.25, max(high, low) * 1.25


def _linear_limits(values: np.ndarray, levels: Sequence[float], whole: bool) -> tuple[float, float]:
    """All that is high; no level so far below the values that they could not be told apart and,
    but for the `whole`, no value so far below their median."""
    values = values if len(values) else np.array([*levels, 1.0][:1])
    low, high = values.min(), values.max()
    if not whole:
        middle = np.median(values)
        low = max(low, middle - 3 * (high - middle))
    near = [level for level in levels if level >= 2 * low - high]
    low, high = min([low, *near]), max([high, *near])
    room = max(0.05 * (high - low), 0.005)
    return low - room, high + room


def _set_axes(axes: Axes, scale: Scale, last: float, limits: tuple[float, float]) -> None:
    """The epoch on a log scale, with plain numbers at the ticks."""
    axes.set_xscale("log")
    axes.set_xlim(0.9, max(last, 2) * 1.12)
    plain_log_ticks(axes.xaxis, 1, last)
    if scale.log:
        axes.set_yscale("log")
        plain_log_ticks(axes.yaxis, *limits)
    axes.set_ylim(*limits)
