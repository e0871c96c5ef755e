"""Tables of runs side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from analysis.measure.compare import Best, Comparison
from analysis.read.values import number, text
from analysis.tables.writing.formats import accuracy, duration, escape, mse, points, signed, spread
from analysis.tables.writing.groups import group_name
from analysis.tables.writing.table import Column, Row, Table, WideTable
from search.record.schema import COMPLETE

_ROOM = 24  # letters of a column's title
_WORDS = {"start": "started", "seed": "search seed", "git_commit": "commit", "seconds": "took"}
_IMAGES = {"train": "train images", "validation": "validation images", "test": "test images"}
_DATA = {**_IMAGES, "classes": "classes in the data", "sha256": "data and split, sha256"}


def settings_table(found: Comparison) -> Table:
    """A row for each fact about a run, and for each setting that differs; a column per run."""
    names = [run.name for run in found.runs]
    rows = [[what, *map(_shown, values)] for what, values in _facts(found)]
    columns = zip(names, short_names(names), strict=True)
    return Table(
        "settings",
        pd.DataFrame(rows, columns=["what", *names]),
        (
            Column("", lambda row: row["what"], numeric=False),
            *(
                Column(short, lambda row, name=name: escape(row[name]), numeric=False)
                for name, short in columns
            ),
        ),
    )


def best_table(found: Comparison) -> WideTable:
    """A row per code size or model: the best of each run, and how far that is from the first run.
    The CSV has a row per run."""
    names = [run.name for run in found.runs]
    columns = zip(names, short_names(names), strict=True)
    title = "code size" if found.runs[0].group == "latent_size" else "model"
    return WideTable(
        "best",
        pd.DataFrame([_best_row(each) for each in found.best]),
        (
            Column(title, lambda row: group_name(row["group"]).removeprefix("Code "), False),
            *(
                Column(short, lambda row, name=name: _cell(row["cells"].get(name)))
                for name, short in columns
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
        marks = ("…", *(f"…{number}…" for number in range(2, 2 + len(names))))
        tries = (_shortened(name, mark) for mark in marks)
        found.append(next(each for each in tries if each not in found))
    return found


def _facts(found: Comparison) -> Iterator[tuple[str, Sequence[Any]]]:
    for key, values in found.identity.items():
        if key == "git_commit":
            values = [text(value)[:12] for value in values]
        if key == "seconds":
            values = [duration(number(value)) for value in values]
        yield _WORDS.get(key, key), values
    yield from ((f"trials {escape(state)}", values) for state, values in found.counts.items())
    for key, values in found.settings.items():
        yield f"`--{key.replace('_', '-')}`", values
    for key, values in found.data.items():
        yield _DATA[key], [text(v)[:12] if key == "sha256" else v for v in values]
    if any(found.space):
        differ = [f"differs in {', '.join(n)}" if n else "the same" for n in found.space[1:]]
        yield "search space", ["of the first run", *differ]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _best_row(each: Best) -> dict[str, Any]:
    return {
        "group": each.group,
        "run": each.run,
        "metric": each.metric,
        "value": each.value,
        "std": each.winner.deviation(each.metric),
        "seeds": each.winner.seeds,
        "minus_first": each.difference,
        "deviations": each.deviations,
        "beyond": "" if each.beyond is None else str(each.beyond),
        "trial": each.winner.trial,
        "preset": each.winner.preset,
        "state": each.winner.state,
        "epochs": each.winner.epochs,
    }


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    error = row["metric"].endswith(("mse", "loss"))
    shown = spread(row["value"], row["std"], row["seeds"], mse if error else accuracy)
    if shown == "-":
        return shown
    if row["state"] != COMPLETE:
        shown += " †"
    if not math.isfinite(row["minus_first"]):
        return shown
    gain = _signed(row["minus_first"]) if error else f"{points(row['minus_first'])} points"
    verdict = {"True": ", beyond", "False": ", within"}.get(row["beyond"], "")
    return f"{shown} ({gain}{verdict})"


def _signed(value: float) -> str:
    """A difference of two errors, small ones too.

    >>> _signed(-0.00365), _signed(2.1e-6), _signed(0.0)
    ('-0.00365', '+2.1e-06', '+0.00000')
    """
    return f"{value:+.2g}" if 0 < abs(value) < 1e-4 else signed(value)


def _shortened(name: str, mark: str) -> str:
    if len(name) <= _ROOM and mark == "…":
        return name
    room = _ROOM - len(mark)
    tail = room // 2 + room % 2
    return name[: room - tail] + mark + name[len(name) - tail :]
