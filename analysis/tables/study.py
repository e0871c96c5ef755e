"""The table of how much each setting of a search mattered."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from analysis.measure.study import GroupStudy, by_mean_importance
from analysis.read.runs import Run
from analysis.tables.writing.formats import escape
from analysis.tables.writing.groups import panel_title
from analysis.tables.writing.table import Column, Row, WideTable


def importance_table(run: Run, groups: Sequence[GroupStudy]) -> WideTable:
    """Share of importance by parameter and group, the parameter that matters most first."""
    rows = [
        {
            "parameter": name,
            run.group: each.group,
            "importance": each.importances.get(name, math.nan),
            "trials": len(each.numbers),
            "complete": each.complete.sum(),
            "best": each.best if each.importances else math.nan,
        }
        for name in by_mean_importance(groups)
        for each in groups
    ]
    shares = [
        Column(panel_title(each.group), lambda row, each=each: _share(row["cells"][each.group]))
        for each in groups
    ]
    return WideTable(
        "importances",
        pd.DataFrame(rows),
        (Column("parameter", lambda row: escape(row["parameter"]), numeric=False), *shares),
        down="parameter",
        across=run.group,
    )


def _share(row: Row) -> str:
    return f"{row['importance']:.2f}" if math.isfinite(row["importance"]) else "-"
