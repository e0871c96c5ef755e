"""Tables of what autoencoders learned: their codes, and error beside accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import pandas as pd

from analysis.measure.learned import (
    BETTER,
    NEITHER,
    WIDEST,
    WORSE,
    Codes,
    ErrorAndAccuracy,
    Question,
)
from analysis.tables.writing.formats import accuracy, count, mse, percent, short
from analysis.tables.writing.table import Column, Row, Table

_VERDICTS = {BETTER: "yes", WORSE: "no, worse", NEITHER: "not shown"}


def codes_table(found: Iterable[Codes]) -> Table:
    """How many units and directions each winner's code uses, and how the units differ."""
    return Table(
        "codes",
        pd.DataFrame([_codes_row(each) for each in found]),
        (
            Column("code size", lambda row: str(row["latent_size"])),
            Column("active units", lambda row: _share(row, "active_units", "{:.0f}")),
            Column("effective rank", lambda row: _share(row, "effective_rank", "{:.1f}")),
            Column("largest deviation", lambda row: short(row["largest_deviation"])),
            Column("median deviation", lambda row: short(row["median_deviation"])),
            Column(
                f"variance in the widest {WIDEST:.0%} of units",
                lambda row: percent(row["widest_share"]),
            ),
        ),
    )


def question_table(found: Question) -> Table:
    """The rank correlation of validation MSE and probe accuracy at each code size, and what the
    trials of lowest error and of highest accuracy reach."""
    return Table(
        "error-and-accuracy",
        pd.DataFrame([_row(each) for each in found.rows]),
        (
            Column("code size", lambda row: row["latent_size"]),
            Column("rank correlation, complete trials", lambda row: _interval(row, "complete")),
            Column("rank correlation, all trials", lambda row: _interval(row, "all")),
            Column(
                "better codes at a lower error", lambda row: row["verdict"] or "-", numeric=False
            ),
            Column("accuracy (MSE) of the lowest error", lambda row: _pair(row, "lowest")),
            Column("accuracy (MSE) of the highest accuracy", lambda row: _pair(row, "highest")),
        ),
    )


def _codes_row(each: Codes) -> dict[str, Any]:
    row = asdict(each)
    return {"latent_size": row.pop("size"), "active_units": each.active_units, **row}


def _share(row: Row, name: str, form: str) -> str:
    """A number, and its share of the code size."""
    known = math.isfinite(row[name])
    return f"{form.format(row[name])} ({percent(row[name] / row['latent_size'])})" if known else "-"


def _row(each: ErrorAndAccuracy) -> dict[str, Any]:
    row: dict[str, Any] = {"latent_size": "all" if each.size is None else str(each.size)}
    for name, found in (("complete", each.complete), ("all", each.all)):
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
        row[f"{name}_n"] = found.trials
    verdict = "" if each.size is None else _VERDICTS.get(each.verdict, each.verdict)
    names = ("lowest_mse", "lowest_accuracy", "highest_mse", "highest_accuracy")
    return {**row, "verdict": verdict, **{name: getattr(each, name) for name in names}}


def _interval(row: Row, name: str) -> str:
    trials = f"({count(row[f'{name}_n'])})"
    if not math.isfinite(row[name]):
        return f"- {trials}"
    return f"{row[name]:+.2f} [{row[f'{name}_low']:+.2f}, {row[f'{name}_high']:+.2f}] {trials}"


def _pair(row: Row, name: str) -> str:
    return f"{accuracy(row[f'{name}_accuracy'])} ({mse(row[f'{name}_mse'])})"
