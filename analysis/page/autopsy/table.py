"""Every measurement of an autopsy in one table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from analysis.measure.autopsy import PROBES, Autopsy, Row, size
from analysis.page.autopsy.words import joined, probe_name, probe_names, shown
from analysis.read.runs import number
from analysis.tables.frames import Column, Table, escape

_LINE = (
    "question factor level baseline probe seed accuracy train_accuracy seconds mean std l2 l2_kind "
    "batch_norm note"
).split()


@dataclass(frozen=True)
class _Measurements(Table):
    """Printed with a column per probe; as CSV a line per seed."""

    lines: pd.DataFrame = field(default_factory=pd.DataFrame)

    def csv(self) -> str:
        return self.lines.to_csv(index=False, lineterminator="\n", float_format="%.8g")


def measurements(autopsy: Autopsy) -> Table:
    """Every row: a line per level with a column per probe; as CSV, a line per seed."""
    known = {row.probe for row in autopsy.rows}
    probes = [*(name for name in PROBES if name in known), *sorted(known - PROBES.keys())]
    levels: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in _by_factor(autopsy.rows):
        key = (row.question, row.factor, row.level)
        line = levels.setdefault(key, {"factor": row.factor, "level": row.level, "notes": {}})
        line["baseline"] = line.get("baseline", False) or row.baseline
        line[row.probe] = row
        for note in filter(None, row.note.split("; ")):
            line["notes"].setdefault(note, []).append(row.probe)
    return _Measurements(
        "measurements",
        pd.DataFrame({"line": list(levels.values())}),
        (
            Column("factor", lambda row: escape(row["line"]["factor"]), numeric=False),
            Column("level", lambda row: _marked(row["line"]), numeric=False),
            *(Column(probe_name(name), partial(_cell, probe=name)) for name in probes),
            Column("note", lambda row: _notes(row["line"]) or "-", numeric=False),
        ),
        lines=pd.DataFrame(
            [line for row in _by_factor(autopsy.rows) for line in _lines(row)], columns=_LINE
        ),
    )


def _by_factor(rows: Sequence[Row]) -> list[Row]:
    """As they stand in the file, but all of a factor together, and levels that are numbers by
    size: an autopsy measures in whatever order its workers are free."""
    factors = list(dict.fromkeys((row.question, row.factor) for row in rows))

    def place(row: Row) -> tuple[int, float]:
        plain = re.fullmatch(r"[\d.,]+", row.level) is not None
        return factors.index((row.question, row.factor)), size(row.level) if plain else math.inf

    return sorted(rows, key=place)


def _lines(row: Row) -> Iterator[dict[str, Any]]:
    """A line of the CSV per seed; one without a seed where there is none."""
    l2 = {"l2": row.l2, "l2_kind": row.l2_kind}
    l2 |= {"batch_norm": row.batch_norm if row.question == "l2" else ""}
    for run in row.runs or ({},):
        yield {
            "question": row.question,
            "factor": row.factor,
            "level": row.level,
            "baseline": row.baseline,
            "probe": row.probe,
            **{name: number(run.get(name)) for name in _LINE[5:9]},
            "mean": row.accuracy,
            "std": row.std,
            **l2,
            "note": row.note,
        }


def _marked(line: Mapping[str, Any]) -> str:
    words = escape(line["level"])
    return f"**{words}**" if line["baseline"] and words else words


def _notes(line: Mapping[str, Any]) -> str:
    """Each note once; with the probes it is about, unless it is about all of the line."""
    probes = [probe for probe in line if isinstance(line[probe], Row)]
    return "; ".join(
        escape(note)
        if len(about) == len(probes) > 1
        else f"{joined(probe_names(about))}: {escape(note)}"
        for note, about in line["notes"].items()
    )


def _cell(row: Mapping[str, Any], probe: str) -> str:
    return shown(row["line"][probe]) if probe in row["line"] else "-"
