"""`best/`: the weights of the best trial of each group, and of each preset."""

from __future__ import annotations

from pathlib import Path

from models.files import write_atomically
from search.record.schema import COMPLETE, PAUSE, RUNNING
from search.record.state import SearchState, TrialRecord
from search.store.checkpoints import CheckpointStore
from search.store.files import write_json
from search.store.folder import RunFolder
from search.task.protocol import Task


class Winners:
    """Keeps the weights of the best trial of each group and of each preset under `best/`, and
    deletes the checkpoints of trials that have ended. A paused trial keeps its checkpoint."""

    def __init__(self, folder: RunFolder, task: Task, state: SearchState, store: CheckpointStore):
        self._folder, self._task, self._state, self._store = folder, task, state, store
        # Trials that may have checkpoints: those of earlier sessions, and each that runs.
        self._stored = store.trial_ids()

    def update(self, trial: TrialRecord) -> None:
        """Once a trial has ended: keep its weights if they are wanted, delete its checkpoints.

        Repeated after a crash, it leaves the same files: the weights come first, the config that
        names their trial second, and the trial's own checkpoints are deleted last."""
        if trial.state == RUNNING:
            self._stored.add(trial.id)
            if trial.decisions and trial.decisions[-1] == PAUSE:
                self._keep_next_best(trial)
        elif trial.id in self._stored:
            for path in self._wanted_in(trial):
                self._keep(trial, path)
            if not trial.is_paused:
                self._store.delete(trial.id)
                self._stored.discard(trial.id)

    def _keep_next_best(self, trial: TrialRecord) -> None:
        """A trial that is called back has no rank while it runs: another may be the best now."""
        best = self._state.best(trial.group, self._task.metric, self._task.mode)
        if best is not None and best.id in self._stored:
            self._keep(best, self._folder.best / str(trial.group))

    def _wanted_in(self, trial: TrialRecord) -> list[Path]:
        """The folders that the trial's weights belong in; a preset may be a winner too."""
        best = self._state.best(trial.group, self._task.metric, self._task.mode)
        names = [str(trial.group)] if best is trial else []
        if trial.is_preset and trial.state == COMPLETE:
            names.append(trial.origin)
        return [self._folder.best / name for name in names]

    def _keep(self, trial: TrialRecord, path: Path) -> None:
        weights = self._store.weights(trial.id)
        if weights is None:  # this kind of search has no checkpoints
            return
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / "weights.pt", lambda file: file.write(weights))
        write_json(path / "config.json", self._config(trial))
        self._folder.publish()  # before the trial's own weights are deleted

    def _config(self, trial: TrialRecord) -> dict:
        task, header = self._task, self._state.header
        best = trial.best_record(task.metric, task.mode)
        return {
            "trial": trial.id,
            "preset": trial.origin,
            "state": trial.state,
            "epoch": best["epoch"],
            task.metric: best[task.metric],
            "parameters": trial.parameters,
            **task.describe(trial.parameters, header["seed"]),
            "data": header["data"],
        }
