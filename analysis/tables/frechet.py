"""The table of Frechet classifier distances."""

from __future__ import annotations

import math

from analysis.measure.frechet import Frechet
from analysis.tables.writing.formats import count, short
from analysis.tables.writing.table import Column, Row, Table

WORDS = {
    "reconstructions": "reconstructions",
    "gaussian": "Gaussian samples",
    "gaussian_mixture": "mixture samples",
    "floor": "floor: training images",
}


def distance_table(found: Frechet) -> Table:
    """A row per code size; the CSV also has the kernel distances."""
    return Table(
        "frechet",
        found.frame,
        (
            Column("code size", lambda row: str(row["latent_size"])),
            *(
                Column(words, lambda row, n=name: _interval(row, n))
                for name, words in WORDS.items()
            ),
            Column("N", lambda row: count(row["images"])),
            Column("rank of dimensions", lambda row: _of(row["rank"], row["dimensions"])),
        ),
    )


def _interval(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}_{key}"] for key in ("frechet", "low", "high"))
    return f"{short(value)} [{short(low)}, {short(high)}]" if math.isfinite(value) else "-"


def _of(rank: float, dimensions: float) -> str:
    return f"{count(rank)} of {count(dimensions)}" if math.isfinite(rank) else "-"
