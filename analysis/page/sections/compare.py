"""Runs of one command on the same data set, split and metric, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as numbers
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figures.style import COLOURS, DASHES, MARKERS, plain_log_ticks, styled
from analysis.page import blocks
from analysis.page.blocks import Block, Heading, picture
from analysis.read.runs import (
    FAILED,
    STATES,
    Group,
    Result,
    Run,
    column,
    mapping,
    number,
    text,
    winners,
)
from analysis.tables.frames import (
    Column,
    Row,
    Table,
    WideTable,
    accuracy,
    escape,
    mse,
    points,
    signed,
    spread,
)
from analysis.tables.latent_probes import probe_words

MOST_RUNS = 5  # columns of a table that can be read, and lines of a panel
MOST_PANELS = 6
_NAME = 24  # letters of a column's title

_UNTOLD = ("name", "resume", "storage_path", "seed", "budget")
"""Settings that say where a run is, or that have a row of their own."""


@dataclass(frozen=True)
class Progress:
    """The best so far of one run's searched metric for one group; arrays of one length."""

    run: str  # as its column is called
    epochs: np.ndarray  # trained on all trials of the group up to and with this one
    best: np.ndarray


def compare_blocks(groups: Sequence[Sequence[Run]]) -> Iterator[Block]:
    """What differs, the best of each beside the first, and how each came there."""
    several = [runs for runs in groups if len(runs) > 1]
    if not several:
        yield (
            "No command was run twice on the same data set, split and metric: there is nothing to "
            "compare."
        )
        return
    yield _HOW_TO_READ
    for runs in several:
        yield from _compared(runs)


def settings_table(runs: Sequence[Run]) -> Table:
    """A row per thing that a run is, and per setting that differs; a column per run."""
    names = short_names([run.name for run in runs])
    rows = [*_identity(runs), *_settings(runs)]
    frame = pd.DataFrame(
        [[what, *told] for what, told in rows], columns=["what", *[run.name for run in runs]]
    )
    return Table(
        "settings",
        frame,
        (
            Column("", lambda row: row["what"], numeric=False),
            *(
                Column(short, lambda row, name=run.name: escape(row[name]), numeric=False)
                for run, short in zip(runs, names, strict=True)
            ),
        ),
    )


def best_table(runs: Sequence[Run]) -> WideTable:
    """A row per code size or model: what the best of each run reached, and how far that is from
    the first run. The CSV has a row per run."""
    names = short_names([run.name for run in runs])
    found = [(run, winners(run)) for run in runs]
    first = found[0][1]
    rows = [
        _best_row(run, group, chosen.get(group), first.get(group) if run is not runs[0] else None)
        for group in _groups(runs)
        for run, chosen in found
    ]
    title = "code size" if runs[0].group == "latent_size" else "model"
    return WideTable(
        "best",
        pd.DataFrame(rows),
        (
            Column(title, lambda row: _probe_words(row["group"]), numeric=False),
            *(
                Column(short, lambda row, name=run.name: _cell(row["cells"].get(name)))
                for run, short in zip(runs, names, strict=True)
            ),
        ),
        down="group",
        across="run",
    )


def short_names(names: Sequence[str]) -> list[str]:
    """Names of at most 24 letters, the middle of a longer one left out; distinct ones stay so.

    >>> short_names(["a", "autoencoders-mnist-20261123-120000"])
    ['a', 'autoencoder…61123-120000']
    """
    found: list[str] = []
    for name in names:
        tries = (_shortened(name, mark) for mark in _marks())
        found.append(next(one for one in tries if one not in found))
    return found


@styled
def progress_figure(panels: Mapping[str, Sequence[Progress]], metric: str) -> Figure | None:
    """The best so far against the epochs trained, a panel each, a line per run."""
    panels = {title: lines for title, lines in panels.items() if lines}
    if not panels:
        return None
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = math.ceil(len(panels) / across)
    figure = Figure(figsize=(8 if across > 1 else 6, 0.9 + 2.4 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    names = list(dict.fromkeys(line.run for lines in panels.values() for line in lines))
    seen: dict[str, Any] = {}
    for axes, (title, lines) in zip(grid.flat, panels.items(), strict=False):
        for line in lines:
            seen[line.run] = _draw_line(axes, line, names.index(line.run))
        axes.set_title(title)
        axes.set_xlabel("epochs trained in all")
        _set_progress_axes(axes, lines, _is_error(metric))
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(f"best {metric.replace('_', ' ').replace('mse', 'MSE')}")
    handles = [seen[name] for name in names]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def progress(run: Run, group: Group, name: str) -> Progress | None:
    """What a run's trials of a group reached, in the order in which they were begun."""
    trials = run.trials.assign(
        value=column(run.trials, f"best_{run.metric}"),
        trained=column(run.trials, "epochs").fillna(0),
    )
    mine = trials[trials[run.group] == group].sort_values("number", kind="stable")
    usable = np.isfinite(mine["value"]) & ~mine["state"].isin(FAILED)
    if not usable.any():
        return None
    worst = -math.inf if _goes_up(run) else math.inf
    values = mine["value"].where(usable, worst).to_numpy()
    best = (np.maximum if _goes_up(run) else np.minimum).accumulate(values)
    epochs = mine["trained"].to_numpy().cumsum()
    return Progress(name, epochs[np.isfinite(best)], best[np.isfinite(best)])


def _compared(runs: Sequence[Run]) -> Iterator[Block]:
    shown = runs[-MOST_RUNS:]
    yield Heading(f"### {_title(shown[0])}")
    if len(shown) < len(runs):
        yield f"The {MOST_RUNS} newest of {len(runs)} runs."
    yield settings_table(shown)
    yield from blocks.bullets(_warnings(shown))
    table = best_table(shown)
    yield (
        f"The best of each, and in brackets the difference to {escape(shown[0].name)}."
        f"{_marks_explained(table)}"
    )
    yield table
    yield _picture(shown)


def _title(run: Run) -> str:
    command = blocks.COMMANDS.get(run.command) or escape(run.command)
    return f"{command} on {blocks.where(run)}, by {blocks.metric_words(run.metric) or 'no metric'}"


# What differs


def _identity(runs: Sequence[Run]) -> Iterator[tuple[str, list[str]]]:
    """What tells one run from another, whether it differs or not."""
    yield "started", [text(run.info.get("start")) for run in runs]
    yield "state", [_shown(run.info.get("state")) for run in runs]
    yield "search seed", [_shown(run.info.get("seed")) for run in runs]
    yield "budget", [_shown(run.info.get("budget")) for run in runs]
    yield "commit", [text(run.info.get("git_commit"))[:12] or "-" for run in runs]
    yield "device", [_shown(run.info.get("device")) for run in runs]
    yield "took", [blocks.duration(number(run.info.get("seconds"))) for run in runs]
    counts = [run.counts for run in runs]
    others = sorted({state for one in counts for state in one} - set(STATES))
    for state in (*STATES, *others):
        if any(one.get(state) for one in counts):
            yield f"trials {escape(state)}", [str(one.get(state, 0)) for one in counts]


def _settings(runs: Sequence[Run]) -> Iterator[tuple[str, list[str]]]:
    """Every setting, and of data and search space, what is not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.settings if key not in _UNTOLD)
    for key in keys:
        told = [_shown(run.settings.get(key)) for run in runs]
        if len(set(told)) > 1:
            yield f"`--{key.replace('_', '-')}`", told
    for key in ("train", "validation", "test", "classes"):
        told = [_shown(run.data.get(key)) for run in runs]
        if len(set(told)) > 1:
            yield f"{key} {'images' if key != 'classes' else 'in the data'}", told
    told = [text(run.data.get("sha256"))[:12] or "-" for run in runs]
    if len(set(told)) > 1:
        yield "data and split, sha256", told
    spaces = [_space_beside(run, runs[0]) for run in runs]
    if len(set(spaces)) > 1:
        yield "search space", ["of the first run", *spaces[1:]]


def _space_beside(run: Run, first: Run) -> str:
    """The names of the parameters that are not searched as in the first run."""
    mine, theirs = (mapping(mapping(one.info.get("space")).get("distributions"))
                    for one in (run, first))  # fmt: skip
    differ = [
        name for name in dict.fromkeys([*mine, *theirs]) if mine.get(name) != theirs.get(name)
    ]
    return f"differs in {', '.join(differ)}" if differ else "the same"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _warnings(runs: Sequence[Run]) -> Iterator[str]:
    if len({text(run.data.get("sha256")) for run in runs}) > 1:
        yield (
            "**The runs do not have the same images in the same splits (sha256): part of a "
            "difference may be that of the data.**"
        )
    for run in runs:
        if not run.finished:
            yield (
                f"**{escape(run.name)} is not finished** (it is "
                f"{blocks.known(run.info.get('state'))}); `{blocks.resume_command(run)}` goes on "
                "with it."
            )


# The best of each


def _groups(runs: Sequence[Run]) -> list[Group]:
    found = dict.fromkeys(group for run in runs for group in run.groups)
    sizes = sorted((group for group in found if isinstance(group, int)), reverse=True)
    return [*sizes, *(group for group in found if not isinstance(group, int))]


def _best_row(
    run: Run, group: Group, winner: Result | None, first: Result | None
) -> dict[str, Any]:
    metric, reached = _reached(run, winner)
    _, of_first = _reached(run, first)
    alike = bool(winner and first) and (winner.seeds > 0) == (first.seeds > 0)
    gain = reached[0] - of_first[0] if alike else math.nan
    around = math.hypot(reached[1], of_first[1])
    return {
        "group": group,
        "run": run.name,
        "metric": metric,
        "value": reached[0],
        "std": reached[1],
        "seeds": winner.seeds if winner else 0,
        "minus_first": gain,
        "deviations": around,
        "beyond": str(abs(gain) > around) if math.isfinite(gain + around) else "",
        "trial": winner.trial if winner else "",
        "preset": winner.preset if winner else "",
        "state": winner.state if winner else "",
        "epochs": winner.epochs if winner else math.nan,
    }


def _reached(run: Run, winner: Result | None) -> tuple[str, tuple[float, float]]:
    """Name of the metric, mean and deviation: of the test split, or of the search where nothing
    was retrained."""
    if winner is None:
        return run.metric, (math.nan, math.nan)
    metric = f"test_{run.metric.removeprefix('validation_')}" if winner.seeds else run.metric
    return metric, (winner.value(metric), winner.deviation(metric))


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    error = _is_error(row["metric"])
    shown = spread(row["value"], row["std"], row["seeds"], mse if error else accuracy)
    if shown == "-":
        return shown
    if row["state"] != "complete":
        shown += " †"
    if not math.isfinite(row["minus_first"]):
        return shown
    gain = _signed(row["minus_first"]) if error else f"{points(row['minus_first'])} points"
    verdict = {"True": ", beyond", "False": ", within"}.get(row["beyond"], "")
    return f"{shown} ({gain}{verdict})"


_HOW_TO_READ = (
    "Runs of one command on the same data set, split and metric, oldest first. Of settings only "
    "those that differ are listed. The best are chosen on validation: mean ± standard deviation of "
    "the retrained networks on the test split. A difference to the first run is called *beyond* "
    "the deviations where it is more than the root of the sum of both squared deviations, else "
    "*within*. That is no test, and unpaired, for the seeds of two runs have nothing in common; it "
    "does not say how far apart two searches that differ in their seed alone may end."
)


def _signed(value: float) -> str:
    """A difference of two errors, small ones too.

    >>> _signed(-0.00365), _signed(2.1e-6), _signed(0.0)
    ('-0.00365', '+2.1e-06', '+0.00000')
    """
    return f"{value:+.2g}" if 0 < abs(value) < 1e-4 else signed(value)


def _marks_explained(table: Table) -> str:
    found = table.frame[table.frame["trial"] != ""]
    words = ""
    if (found["seeds"] == 0).any():
        words += (
            " (search) marks a validation figure of the search, where nothing was retrained; it is "
            "set beside other figures of a search only."
        )
    if (found["state"] != "complete").any():
        words += " † marks a winner that never reached the full budget of its search."
    return words


def _probe_words(group: Group) -> str:
    return str(group) if isinstance(group, int) else probe_words(group)


def _is_error(metric: str) -> bool:
    return metric.endswith(("mse", "loss"))


# How each came there


def _picture(runs: Sequence[Run]) -> Block:
    groups = _groups(runs)
    drawn = groups if len(groups) <= MOST_PANELS else _leading(runs[-1], groups)
    names = short_names([run.name for run in runs])
    panels = {}
    for group in drawn:
        found = [progress(run, group, name) for run, name in zip(runs, names, strict=True)]
        panels[_panel_title(group)] = [one for one in found if one is not None]
    left_out = (
        f" The {MOST_PANELS} that lead in the newest run, of {len(groups)}."
        if len(drawn) < len(groups)
        else ""
    )
    return picture(
        "progress",
        progress_figure(panels, runs[0].metric),
        f"Best {blocks.metric_words(runs[0].metric)} so far against the epochs trained on all "
        f"trials, these in the order in which they were begun; a mark where a run ends.{left_out}",
    )


def _leading(newest: Run, groups: Sequence[Group]) -> list[Group]:
    """The groups of the best winners, in their own order."""
    chosen, sign = winners(newest), -1 if _goes_up(newest) else 1

    def rank(group: Group) -> float:
        value = chosen[group].own(newest.metric) if group in chosen else math.nan
        return sign * value if math.isfinite(value) else math.inf

    best = sorted(groups, key=rank)[:MOST_PANELS]
    return [group for group in groups if group in best]


def _panel_title(group: Group) -> str:
    if isinstance(group, int):
        return f"code {group}"
    probe, _, size = str(group).rpartition("-")
    return f"{probe}, code {size}" if probe and size.isdecimal() else str(group)


def _draw_line(axes: Axes, line: Progress, turn: int) -> Any:
    """As stairs, for a trial counts when it is done; drawn to its own last epoch."""
    (drawn,) = axes.plot(
        line.epochs,
        line.best,
        drawstyle="steps-post",
        color=COLOURS[turn % len(COLOURS)],
        linestyle=DASHES[turn % len(DASHES)],
        marker=MARKERS[turn % len(MARKERS)],
        markevery=[len(line.epochs) - 1],
        markerfacecolor="white",
        markersize=6,
        label=line.run,
    )
    return drawn


def _set_progress_axes(axes: Axes, lines: Sequence[Progress], error: bool) -> None:
    """The epochs on a log scale, for most is gained early; errors too where they span decades."""
    first = max(min(line.epochs.min() for line in lines), 1)
    last = max(*(line.epochs.max() for line in lines), 2)
    axes.set_xscale("log")
    around = 1.25 if last > 3 * first else 3  # a single trial still has ticks at whole epochs
    axes.set_xlim(first / around, last * around)
    plain_log_ticks(axes.xaxis, first, last * 8)  # decades alone sooner: panels are narrow
    values = np.concatenate([line.best for line in lines])
    low, high = values.min(), values.max()
    if error and high > 8 * low > 0:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.2)
        plain_log_ticks(axes.yaxis, low / 1.2, high * 1.2)
        return
    room = max(0.06 * (high - low), 0.02 * abs(high), 1e-6)
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.5g}"))


def _goes_up(run: Run) -> bool:
    return run.info.get("mode") == "max"


def _marks() -> Iterator[str]:
    """What stands for the letters left out: a number too, where names would be alike."""
    yield "…"
    yield from (f"…{number}…" for number in numbers(2))


def _shortened(name: str, mark: str) -> str:
    if len(name) <= _NAME and mark == "…":
        return name
    room = _NAME - len(mark)
    tail = room // 2 + room % 2
    return name[: room - tail] + mark + name[len(name) - tail :]
