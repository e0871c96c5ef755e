"""Tables of a classifier's errors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.measure.mistakes import Confused, Mistakes
from analysis.tables.writing.formats import accuracy, count, escape, points
from analysis.tables.writing.table import Column, Table

SHOWN = 60  # rows of a table that can still be read, and of a picture


def accuracy_table(found: Mistakes) -> Table:
    """Test accuracy of each class or alphabet, the worst first."""
    rows = [
        {found.kind: name, "test_accuracy": value, "minus_overall": value - found.overall}
        for name, value in found.by_kind
    ]
    return Table(
        "accuracy",
        pd.DataFrame(rows),
        (
            Column(
                found.kind, lambda row: escape(row[found.kind].replace("_", " ")), numeric=False
            ),
            Column("test accuracy", lambda row: accuracy(row["test_accuracy"])),
            Column("minus overall, points", lambda row: points(row["minus_overall"])),
        ),
        SHOWN,
    )


def confused_table(pairs: Sequence[Confused]) -> Table:
    rows = [
        {
            "class": pair.wanted,
            "taken_for": pair.taken_for,
            "times": pair.times,
            "of": pair.of,
            "share": pair.share,
        }
        for pair in pairs
    ]
    return Table(
        "confused",
        pd.DataFrame(rows),
        (
            Column("class", lambda row: escape(row["class"]), numeric=False),
            Column("taken for", lambda row: escape(row["taken_for"]), numeric=False),
            Column("times", lambda row: f"{count(row['times'])} of {count(row['of'])}"),
        ),
    )
