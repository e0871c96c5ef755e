"""How tables, sentences and pictures name the groups of a search."""

from __future__ import annotations

from collections.abc import Callable

from analysis.measure.latent_probes.groups import probe_and_size
from analysis.read.results import SIZES
from analysis.read.runs import Group, Run
from analysis.tables.writing.formats import accuracy, escape, mse
from analysis.tables.writing.table import Column

_ROOM = 24  # letters of a panel's title


def group_column(run: Run) -> Column:
    if run.group in SIZES:
        return Column("code size", lambda row: str(row[run.group]))
    return Column(run.group, lambda row: escape(str(row[run.group])), numeric=False)


def group_name(group: Group) -> str:
    """At the start of a sentence; names of models stay as they are.

    >>> group_name(128), group_name("knn-32")
    ('Code 128', 'knn-32')
    """
    return f"Code {group}" if isinstance(group, int) else escape(group)


def panel_title(group: Group) -> str:
    """In a picture, short enough for a panel.

    >>> panel_title(128), panel_title("nearest-mean-32"), panel_title("classifier")
    ('code 128', 'nearest-mean, code 32', 'classifier')
    """
    probe, size = probe_and_size(group)
    words = (
        f"code {group}" if isinstance(group, int) else f"{probe}, code {size}" if size else probe
    )
    return words if len(words) <= _ROOM else words[: _ROOM - 1] + "…"


def metric_format(run: Run) -> Callable[[float], str]:
    """How values of the searched metric are written."""
    return accuracy if run.maximised else mse
