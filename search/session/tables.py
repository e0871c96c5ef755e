"""`trials.csv` and `epochs.csv`, written from the state of a search."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable
from pathlib import Path

from search.record.state import TrialRecord
from search.store.folder import write_atomically
from search.task.protocol import Task
from search.tune.logbook import Logbook


class TableWriter:
    """Writes both tables anew now and then: often while that is cheap, and never for more than
    about a twentieth of the time, however many trials there are."""

    def __init__(self, logbook: Logbook):
        self._logbook = logbook
        self._due = 0.0

    def write_if_due(self) -> None:
        start = time.monotonic()
        if start >= self._due:
            self.write()
            self._due = time.monotonic() + max(2.0, 20 * (time.monotonic() - start))

    def write(self) -> None:
        folder, trials = self._logbook.folder, self._logbook.state.trials
        task = self._logbook.task
        names = dict.fromkeys(name for trial in trials for name in trial.parameters)
        _write(folder.trials_csv, [trial_row(trial, task, names) for trial in trials])
        _write(
            folder.epochs_csv,
            [
                {"id": trial.id, "number": trial.number, **record}
                for trial in trials
                for record in trial.records
            ],
        )
        folder.publish()


def trial_row(trial: TrialRecord, task: Task, names: Iterable[str]) -> dict:
    """A row of trials.csv, with a column for each of the parameters `names`: best values are those
    of the epoch where the searched metric was best for the metric itself, and each other metric's
    at that same epoch."""
    best = trial.best_record(task.metric, task.mode) or {}
    last = trial.records[-1] if trial.records else {}
    return {
        "id": trial.id,
        "number": trial.number,
        "state": trial.state,
        "preset": trial.origin,
        **{name: trial.parameters.get(name, "") for name in names},
        "epochs": trial.epochs,
        "best_epoch": best.get("epoch", ""),
        **{f"best_{name}": best.get(name, math.nan) for name in task.metrics},
        **{f"last_{name}": last.get(name, math.nan) for name in task.metrics},
        "spared_at": "" if trial.spared_at is None else trial.spared_at,
        "failures": trial.failures,
        "reason": trial.reason,
        "seconds": sum(record["seconds"] for record in trial.records),
    }


def _write(path: Path, rows: list[dict]) -> None:
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))
