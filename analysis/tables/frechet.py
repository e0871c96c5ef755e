"""The table of Frechet classifier distances."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.measure.frechet import SETS, Distances, Frechet
from analysis.tables.formats import count, short
from analysis.tables.table import Column, Row, Table

WORDS = {
    "reconstructions": "reconstructions",
    "gaussian": "Gaussian samples",
    "gaussian_mixture": "mixture samples",
    "floor": "floor: training images",
}
_NUMBERS = ("frechet", "low", "high", "kernel", "kernel_std")


def distance_table(found: Frechet) -> Table:
    """A row per code size; the CSV also has the kernel distances."""
    return Table(
        "frechet",
        pd.DataFrame([_row(each) for each in found.found]),
        (
            Column("code size", lambda row: str(row["latent_size"])),
            *(Column(WORDS[name], lambda row, name=name: _interval(row, name)) for name in SETS),
            Column("N", lambda row: count(row["images"])),
            Column("rank of dimensions", _rank),
        ),
    )


def _row(each: Distances) -> dict[str, Any]:
    return {
        "latent_size": each.size,
        **{
            f"{name}_{key}": getattr(distance, key)
            for name, distance in each.sets.items()
            for key in _NUMBERS
        },
        **{key: each.smallest(key) for key in ("images", "rank", "dimensions")},
        "classifier": each.classifier.source,
        "classifier_sha256": each.classifier.sha256,
    }


def _interval(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}_{key}"] for key in ("frechet", "low", "high"))
    return f"{short(value)} [{short(low)}, {short(high)}]" if math.isfinite(value) else "-"


def _rank(row: Row) -> str:
    known = math.isfinite(row["rank"])
    return f"{count(row['rank'])} of {count(row['dimensions'])}" if known else "-"
