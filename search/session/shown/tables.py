"""`trials.csv` and `epochs.csv`, written from the state of a search."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable
from pathlib import Path

from models.files import write_atomically
from search.record.schema import epoch_columns, trial_columns
from search.record.state import TrialRecord
from search.task.protocol import Task
from search.tune.logbook import Logbook


class TableWriter:
    """A follower of the logbook that writes both tables anew from time to time. Writing takes at
    most about a twentieth of the time, for any number of trials."""

    def __init__(self, logbook: Logbook):
        self._logbook = logbook
        self._changed, self._due = True, 0.0

    def update(self, trial: TrialRecord) -> None:
        """Note that the tables are behind; `write_if_due` writes them."""
        self._changed = True

    def write_if_due(self) -> None:
        start = time.monotonic()
        if self._changed and start >= self._due:
            self.write()
            self._due = time.monotonic() + max(2.0, 20 * (time.monotonic() - start))

    def write(self) -> None:
        folder, trials = self._logbook.folder, self._logbook.state.trials
        task = self._logbook.task
        names = tuple(dict.fromkeys(name for trial in trials for name in trial.parameters))
        rows = (trial_row(trial, task, names) for trial in trials)
        _write(folder.trials_csv, trial_columns(names, task.metrics), rows)
        _write(
            folder.epochs_csv,
            epoch_columns(task.metrics),
            (
                {"id": trial.id, "number": trial.number, **record, "decision": decision}
                for trial in trials
                for record, decision in zip(trial.records, trial.decisions, strict=True)
            ),
        )
        self._changed = False
        folder.publish()


def trial_row(trial: TrialRecord, task: Task, names: Iterable[str]) -> dict:
    """A row of trials.csv, with a column for each of the parameters `names`. All columns `best_...`
    are of the epoch at which the searched metric was best."""
    best = trial.best_record(task.metric, task.mode) or {}
    last = trial.records[-1] if trial.records else {}
    return {
        "id": trial.id,
        "number": trial.number,
        "state": trial.state,
        "reason": trial.reason,
        "preset": trial.origin,
        **{name: trial.parameters.get(name, "") for name in names},
        "epochs": trial.epochs,
        "best_epoch": best.get("epoch", ""),
        **{f"best_{name}": best.get(name, math.nan) for name in task.metrics},
        **{f"last_{name}": last.get(name, math.nan) for name in task.metrics},
        "spared_at": "" if trial.spared_at is None else trial.spared_at,
        "failures": trial.failures,
        "detail": trial.detail,
        "seconds": sum(record["seconds"] for record in trial.records),
    }


def _write(path: Path, columns: list[str], rows: Iterable[dict]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))
