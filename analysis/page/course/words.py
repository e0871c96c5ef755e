"""Words and cells that all parts of a search's course share."""

from __future__ import annotations

from collections.abc import Callable

from analysis.read.runs import Group, Run
from analysis.tables import frames as tables
from analysis.tables.formats import enumerated  # noqa: F401
from analysis.tables.frames import Column, escape

PRINTED = 12  # rows of a long table; its CSV has all


def group_column(run: Run) -> Column:
    if run.group == "latent_size":
        return Column("code size", lambda row: str(row["latent_size"]))
    return Column(run.group, lambda row: escape(str(row[run.group])), numeric=False)


def group_name(run: Run, group: Group) -> str:
    return f"Code {group}" if run.group == "latent_size" else escape(str(group))


def formatter(run: Run) -> Callable[[float], str]:
    return tables.accuracy if run.info.get("mode") == "max" else tables.mse


def was(number: int) -> str:
    return "was" if number == 1 else "were"
