"""The tables of an autopsy: what each cause costs, and every measurement."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.measure.autopsy.costs import size
from analysis.measure.autopsy.forests import CONTROLS, FORESTS, Forests
from analysis.read.autopsy import Autopsy, Measurement
from analysis.read.values import number
from analysis.tables.writing.formats import enumerated, escape, spread
from analysis.tables.writing.table import Column, Row, Table

PROBES = {
    "extra-trees": "extra-trees",
    "random-forest": "random forest",
    "catboost": "CatBoost",
    "lda": "LDA",
    "logistic": "logistic",
    "1-nn": "1-NN",
    "mlp": "perceptron",
}
_OF_SEED = ("seed", "accuracy", "train_accuracy", "seconds")
_LINE = ("question", "factor", "level", "baseline", "probe", *_OF_SEED)
_LINE += ("mean", "std", "l2", "l2_kind", "batch_norm", "note")


def probe_name(probe: str) -> str:
    return PROBES.get(probe, escape(probe))


def three(value: float) -> str:
    """An accuracy in three decimals: a validation split of 2,000 drawings has no fourth."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def one(points: float) -> str:
    """Points of accuracy in one decimal.

    >>> one(24.06), one(-0.04), one(math.nan)
    ('24.1', '0.0', '-')
    """
    return f"{points:.1f}".replace("-0.0", "0.0") if math.isfinite(points) else "-"


def cause_table(found: Forests) -> Table:
    """A row per cause, the costliest first: the points that it costs each probe, and whom it hurts.
    The CSV has all probes."""
    known = {probe for cause in found.causes for probe in cause.costs}
    rows = [
        {
            "cause": cause.name,
            "instead_of": cause.instead,
            **{f"{probe}_points": cause.points(probe) for probe in PROBES if probe in known},
            "noise": cause.cost.noise,
            "hurts": cause.hurts,
        }
        for cause in found.causes
    ]
    return Table(
        "causes",
        pd.DataFrame(rows),
        (
            Column("cause", lambda row: escape(row["cause"]), numeric=False),
            Column("instead of", lambda row: escape(row["instead_of"]), numeric=False),
            *(
                Column(probe_name(probe), lambda row, key=f"{probe}_points": one(row[key]))
                for probe in (*FORESTS, *CONTROLS)
                if probe in known
            ),
            Column("hurts", lambda row: row["hurts"], numeric=False),
        ),
    )


def measurements(autopsy: Autopsy) -> Table:
    """A row per level with a column per probe; in the CSV a line per seed."""
    known = {row.probe for row in autopsy.rows}
    probes = [*(name for name in PROBES if name in known), *sorted(known - PROBES.keys())]
    lines = [line for row in _by_factor(autopsy.rows) for line in _lines(row)]
    return _Measurements(
        "measurements",
        pd.DataFrame(lines, columns=list(_LINE)),
        (
            Column("factor", lambda row: escape(row["factor"]), numeric=False),
            Column("level", _level, numeric=False),
            *(Column(probe_name(name), lambda row, name=name: _cell(row, name)) for name in probes),
            Column("note", lambda row: _notes(row["cells"]) or "-", numeric=False),
        ),
    )


@dataclass(frozen=True)
class _Measurements(Table):
    """A line per seed in the CSV; printed with a row per level, its probes under "cells"."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for line in super().rows:
            key = line["question"], line["factor"], line["level"]
            row = found.setdefault(key, {**line, "cells": {}})
            row["baseline"] |= line["baseline"]
            row["cells"][line["probe"]] = line
        return list(found.values())


def _by_factor(rows: Sequence[Measurement]) -> list[Measurement]:
    """As they stand in the file, but all of a factor together, and levels that are numbers by
    size: an autopsy measures in whatever order its workers are free."""
    factors = list(dict.fromkeys((row.question, row.factor) for row in rows))

    def place(row: Measurement) -> tuple[int, float]:
        return factors.index((row.question, row.factor)), size(row.level)

    return sorted(rows, key=place)


def _lines(row: Measurement) -> Iterator[dict[str, Any]]:
    """One per seed; one without a seed where there is none."""
    for run in row.runs or ({},):
        yield {
            **{name: getattr(row, name) for name in _LINE[:5]},
            **{name: number(run.get(name)) for name in _OF_SEED},
            "mean": row.accuracy,
            "std": row.std,
            "l2": row.l2,
            "l2_kind": row.l2_kind,
            "batch_norm": row.batch_norm if row.question == "l2" else "",
            "note": row.note,
        }


def _level(row: Row) -> str:
    words = escape(row["level"])
    return f"**{words}**" if row["baseline"] and words else words


def _cell(row: Row, probe: str) -> str:
    line = row["cells"].get(probe)
    return spread(line["mean"], line["std"], 2, three) if line else "-"


def _notes(cells: Mapping[str, Row]) -> str:
    """Each note once; with the probes that it is about, unless it is about all of the row."""
    about: dict[str, list[str]] = {}
    for probe, line in cells.items():
        for note in filter(None, line["note"].split("; ")):
            about.setdefault(note, []).append(probe_name(probe))
    return "; ".join(
        escape(note) if len(names) == len(cells) > 1 else f"{enumerated(names)}: {escape(note)}"
        for note, names in about.items()
    )
