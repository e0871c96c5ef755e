"""The old name of what is in `table`, `formats` and `configurations`."""

from __future__ import annotations

import pandas as pd

from analysis.read.runs import Run
from analysis.tables.configurations import (  # noqa: F401
    CONFIGURATION,
    configuration,
    in_words,
    parameter_words,
)
from analysis.tables.formats import (  # noqa: F401
    accuracy,
    count,
    escape,
    mse,
    plural,
    points,
    short,
    signed,
    spread,
)
from analysis.tables.table import Column, Row, Table, WideTable, cell  # noqa: F401

_STATE_MEANINGS = {
    "complete": "reached the last epoch of the budget",
    "pruned": "stopped early, because others did better at the same epoch",
    "diverged": "loss became infinite or not a number; left out of every choice",
    "error": "raised an error; its traceback is in the run folder",
    "running": "not done when this was written",
}


def states(run: Run) -> Table:
    """How many trials ended in each state."""
    rows = [
        {"state": state, "trials": trials, "meaning": _STATE_MEANINGS.get(state, "")}
        for state, trials in run.counts.items()
    ]
    return Table(
        "states",
        pd.DataFrame(rows),
        (
            Column("state", lambda row: row["state"], numeric=False),
            Column("trials", lambda row: str(row["trials"])),
            Column("meaning", lambda row: row["meaning"] or "-", numeric=False),
        ),
    )
