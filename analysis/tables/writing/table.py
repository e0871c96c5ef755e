"""A table: a frame of plain numbers, and how a row and a number are printed.

The CSV holds the numbers in full; the Markdown rounds them. What is not known is nan in the frame,
empty in the CSV and "-" in the Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.tables.writing.formats import escape

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    title: str
    show: Callable[[Row], str]
    numeric: bool = True  # set right


@dataclass(frozen=True)
class Table:
    """`frame` holds the numbers, `columns` say how a row of it is printed."""

    name: str  # of its CSV file
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    printed: int | None = None  # rows of the Markdown; None for all

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.frame.to_dict("records")

    @property
    def printed_rows(self) -> list[dict[str, Any]]:
        return self.rows[: self.printed]

    def markdown(self) -> str:
        """The table in GitHub's Markdown, without a newline at its end."""
        head = [escape(column.title) for column in self.columns]
        rule = ["--:" if column.numeric else "---" for column in self.columns]
        body = [[cell(column.show(row)) for column in self.columns] for row in self.printed_rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *body])

    def csv(self) -> str:
        """The numbers as CSV with a header, eight digits."""
        return self.frame.to_csv(index=False, lineterminator="\n", float_format="%.8g")


@dataclass(frozen=True)
class WideTable(Table):
    """A row per pair of `down` and `across` in the CSV; in the Markdown a row per `down`, with the
    pairs under "cells" by their `across`, and for the rest what the first pair says."""

    down: str = ""
    across: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        found: dict[Any, dict[str, Any]] = {}
        for row in super().rows:
            first = found.setdefault(row[self.down], {**row, "cells": {}})
            first["cells"][row[self.across]] = row
        return list(found.values())


def cell(words: str) -> str:
    """Text that may hold markup of ours, safe inside a table's row."""
    return " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")
