"""The Optuna study of a run folder: `study.log`, written from the ledger."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from search.record.schema import COMPLETE, DIVERGED, ERROR, PRUNED, RUNNING
from search.record.state import TrialRecord
from search.task.space import Space

STUDY_NAME = "search"
_STATES = {
    COMPLETE: TrialState.COMPLETE,
    PRUNED: TrialState.PRUNED,
    DIVERGED: TrialState.FAIL,
    ERROR: TrialState.FAIL,
}


def _open_storage(path: Path) -> JournalStorage:
    """The journal at `path`, made if missing.

    The caller holds the run folder's lock, so only a killed driver can have left a lock file or a
    half-written last line. Both are removed: Optuna would wait for the lock and fail on the line.
    The line is written again from the ledger, and so is a whole journal that cannot be read.
    """
    for leftover in path.parent.glob(path.name + ".lock*"):
        leftover.unlink()
    if path.exists():
        raw = path.read_bytes()
        os.truncate(path, raw.rfind(b"\n") + 1)
    try:
        return JournalStorage(_Journal(str(path)))
    except Exception:  # a damaged file makes Optuna raise any error
        path.unlink()
        return JournalStorage(_Journal(str(path)))


class _Journal(JournalFileBackend):
    """Optuna's journal without its waits for the disk and for other writers. The ledger has
    everything that a power loss may take from here, and a run folder has one writer."""

    def append_logs(self, logs: list[dict]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with open(self._file_path, "ab") as file:
            file.write(lines.encode())


class StudyMirror:
    """Keeps the trials of the study at `path` equal to the records it is shown."""

    def __init__(
        self,
        path: Path,
        space: Space,
        metric: str,
        mode: str,
        trials: Iterable[TrialRecord] = (),
    ):
        """`trials`: those of the search so far. Optuna cannot open a trial again, so the journal is
        made anew if it has closed a trial that may be called back, or was called back."""
        self.storage, self._space = _open_storage(path), space
        self._metric, self._mode = metric, mode
        self._begin()
        if any(t.number in self._closed and (t.is_paused or t.state == RUNNING) for t in trials):
            path.unlink()
            self.storage = _open_storage(path)
            self._begin()

    def _begin(self) -> None:
        direction = "minimize" if self._mode == "min" else "maximize"
        optuna.create_study(
            storage=self.storage, study_name=STUDY_NAME, load_if_exists=True, direction=direction
        )
        self._study_id = self.storage.get_study_id_from_name(STUDY_NAME)
        known = self.storage.get_all_trials(self._study_id, deepcopy=False)
        self._ids = {trial.number: trial._trial_id for trial in known}
        self._reported = {
            trial.number: max(trial.intermediate_values, default=0) for trial in known
        }
        self._closed = {trial.number for trial in known if trial.state.is_finished()}

    def update(self, trial: TrialRecord) -> None:
        """Bring the study's trial of that number up to date: create it, report the epochs that it
        lacks (but no value that is not finite: Optuna refuses it), and close it once it has ended.

        A pruned trial has its last value as the last intermediate value and not as a result, as
        after Optuna's own pruning.
        """
        if trial.number in self._closed:
            return
        trial_id = self._ids.get(trial.number)
        if trial_id is None:
            trial_id = self.storage.create_new_trial(self._study_id, self._template(trial))
            self._ids[trial.number] = trial_id
        self._report(trial, trial_id)
        if trial.state in _STATES and not trial.is_paused:
            self.close(trial)

    def close(self, trial: TrialRecord) -> None:
        """Close the study's trial of that number, unless it is closed. A paused trial is closed
        when the search ends."""
        if trial.number in self._closed:
            return
        best = trial.best_record(self._metric, self._mode)
        values = [best[self._metric]] if trial.state == COMPLETE else None
        trial_id = self._ids[trial.number]
        self.storage.set_trial_state_values(trial_id, _STATES[trial.state], values)
        self._closed.add(trial.number)

    def _report(self, trial: TrialRecord, trial_id: int) -> None:
        reported = self._reported.get(trial.number, 0)
        for record in trial.records:
            value = record[self._metric]
            if record["epoch"] > reported and math.isfinite(value):
                self.storage.set_trial_intermediate_value(trial_id, record["epoch"], value)
        self._reported[trial.number] = trial.epochs

    def _template(self, trial: TrialRecord) -> FrozenTrial:
        """The trial with all its parameters, so that a single write creates it whole.

        A preset's value outside the space becomes the nearest value inside; the exact values are
        in the user attribute `parameters`."""
        nearest = self._space.of(trial.group).nearest(trial.parameters)
        params = {self._space.group: trial.group, **nearest}
        return FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            values=None,
            datetime_start=datetime.fromtimestamp(trial.started, UTC),
            datetime_complete=None,
            params=params,
            distributions=self._space.distributions_of(trial.group),
            user_attrs={"id": trial.id, "preset": trial.origin, "parameters": trial.parameters},
            system_attrs={},
            intermediate_values={},
        )
