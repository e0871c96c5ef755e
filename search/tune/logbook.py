"""The logbook of a running search: every event goes through it, into the ledger first.

Order is the resume guarantee. An event is on disk in the ledger before the state in memory knows
it, and only then do the followers act on it. A follower's update may be repeated. A resumed search
therefore shows every trial to every follower again, and so completes whatever a crash cut short.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

import optuna

from search.record.decision import Decision, Failure
from search.record.state import SearchState, TrialRecord
from search.store.checkpoints import CheckpointStore
from search.store.folder import RunFolder
from search.task.protocol import Task
from search.tune.study import StudyMirror
from search.tune.suggestion import Suggester, next_trial
from search.tune.winners import Winners


class Follower(Protocol):
    """Keeps something in step with the state of the search."""

    def update(self, trial: TrialRecord) -> None:
        """Follow a trial that began, went on or ended. May be repeated."""


class Logbook:
    """Owns the state of a search and the ledger that it comes from."""

    def __init__(self, folder: RunFolder, task: Task):
        """Open the logbook of a folder that `begin` made; the caller holds the folder's lock.

        Raises LedgerError or FolderError, with nothing written, for a damaged ledger or a
        checkpoint that is missing, damaged or too old.
        """
        events, end = folder.read_events()
        self.folder, self.task, self.state = folder, task, SearchState.from_events(events)
        self.space, self.presets = task.space(), task.presets()
        self.store = CheckpointStore(folder.checkpoints)
        for trial in self.state.unfinished():
            if task.checkpoints and trial.saved_epoch:
                self.store.check(trial.id, trial.saved_epoch)
        self._ledger = folder.open_ledger(end)
        folder.fetch()
        self._study = StudyMirror(
            folder.study, self.space, task.metric, task.mode, self.state.trials
        )
        self._suggester = Suggester(
            self.space, task.metric, task.mode, self.state.header["sampler"]
        )
        self._followers: list[Follower] = []
        self.follow(self._study)  # study.log
        self.follow(self._suggester)  # what the next suggestion learns from
        self.follow(Winners(folder, task, self.state, self.store))  # best/, checkpoints/
        # A session adds the tables: trials.csv and epochs.csv.

    @classmethod
    def start(
        cls, path: Path, task: Task, seed: int = 0, sampler: str = "tpe", **settings
    ) -> Logbook:
        """Begin a search of `task` without a command, in a new run folder at `path`."""
        folder = RunFolder(path)
        folder.create()
        cls.begin(folder, {"seed": seed, "sampler": sampler, "data": {}, "settings": settings})
        return cls(folder, task)

    @staticmethod
    def begin(folder: RunFolder, header: dict) -> None:
        """Write the first event of a new search: its seed, its sampler, and everything else that
        defines it."""
        ledger = folder.open_ledger()
        ledger.append({"event": "search", **header, "time": time.time()})
        ledger.close()

    def follow(self, follower: Follower) -> None:
        """Bring a follower up to date, and update it after every event from now on."""
        for trial in self.state.trials:
            follower.update(trial)
        self._followers.append(follower)

    def new_trial(self, tick: int | None = None) -> TrialRecord:
        """Choose, record and return the next trial. `tick`: of the clock of a reproducible
        search."""
        chosen = next_trial(self.state, self.space, self.presets, self._suggester)
        return self._record({"event": "trial", **chosen, **_at(tick)})

    def call_back(self, trial: TrialRecord, tick: int | None = None) -> None:
        """Record that a paused trial goes on. Without a checkpoint it trains again from its
        beginning, to the same records."""
        saved = trial.saved_epoch if self.store.holds(trial.id) else 0
        event = {"event": "call_back", "number": trial.number, "saved_epoch": saved}
        self._record({**event, **_at(tick)})

    def drop_checkpoints(self, trial: TrialRecord) -> None:
        """Delete the checkpoints of a paused trial that is rarely called back."""
        self.store.delete(trial.id)

    def close_study(self) -> None:
        """Tell the study that the trials that are still paused were pruned."""
        for trial in self.state.trials:
            if trial.is_paused:
                self._study.close(trial)

    def record_epoch(
        self,
        trial: TrialRecord,
        record: dict,
        decision: Decision,
        saved_epoch: int | None = None,
        plain_because: str | None = None,
    ) -> None:
        """Record an epoch together with the scheduler's decision after it. `saved_epoch` is that of
        the trial's newest checkpoint (None: this one); `plain_because` says why a GPU did not
        replay the steps."""
        saved = record["epoch"] if saved_epoch is None else saved_epoch
        event = {"event": "epoch", "number": trial.number, "record": record, "saved_epoch": saved}
        more = {"detail": decision.detail, "plain_because": plain_because}
        more = {name: text for name, text in more.items() if text}
        self._record({**event, "decision": decision.kind, **more})

    def record_failure(self, trial: TrialRecord, failure: Failure, final: bool) -> None:
        """Record that a trial failed, with its traceback in `errors/`; `final`: it is not tried
        again."""
        path = self.folder.errors / f"{trial.id}.txt"
        path.parent.mkdir(exist_ok=True)
        title = failure.reason if failure.is_loss else f"failure {trial.failures + 1}"
        with open(path, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"{title} after epoch {trial.epochs}\n{failure.text}\n")
        event = {"event": "failure", "number": trial.number, "final": final}
        self._record({**event, "reason": failure.reason, "detail": failure.detail})

    def record_final(self, trial: TrialRecord, seed: int, metrics: dict) -> None:
        """Record the test-split metrics of a configuration retrained with a seed."""
        self._append({"event": "final", "number": trial.number, "seed": seed, "metrics": metrics})

    @property
    def storage(self) -> optuna.storages.BaseStorage:
        """The Optuna storage of the study."""
        return self._study.storage

    def best(self, group: object) -> TrialRecord | None:
        """The best trial of a group so far."""
        return self.state.best(group, self.task.metric, self.task.mode)

    def _record(self, event: dict) -> TrialRecord:
        """Record an event of a trial; then the followers act on it."""
        self._append(event)
        trial = self.state.trials[event["number"]]
        for follower in self._followers:
            follower.update(trial)
        return trial

    def _append(self, event: dict) -> None:
        """Ledger first: the event is on disk before the state knows it."""
        event = {**event, "time": time.time()}
        self._ledger.append(event)
        self.state.apply(event)


def _at(tick: int | None) -> dict:
    return {} if tick is None else {"tick": tick}
