"""The logbook of a running search: every event goes through it, ledger first.

Order is the resume guarantee. An event is on disk in the ledger before the in-memory state knows
it, and only then do the Optuna study and the weight files follow. Those followers are brought up
to date by calls that may be repeated, so on resume the same calls mend whatever a crash left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna

from search.record.state import (
    COMPLETE,
    DIVERGED,
    PRUNED,
    RUNNING,
    SAMPLED,
    SearchState,
    TrialRecord,
)
from search.store.checkpoints import CheckpointStore
from search.store.folder import RunFolder, write_atomically, write_json
from search.task.protocol import Task
from search.tune.study import StudyMirror
from search.tune.suggestion import Suggester


@dataclass(frozen=True)
class Decision:
    """What the scheduler makes of an epoch."""

    why_stop: str = ""  # empty: the trial goes on
    spared: bool = False  # a control trial, from here on without a rival's right to stop it


class Logbook:
    """Owns the state of one search and the files that follow from it."""

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
            if task.checkpoints and trial.epochs:
                self.store.check(trial.id, trial.epochs)
        self._ledger = folder.open_ledger(end)
        folder.fetch()
        self._mirror = StudyMirror(folder.study, self.space, task.metric, task.mode)
        sampler = self.state.header["sampler"]
        self._suggester = Suggester(self.space, task.metric, task.mode, sampler)
        self._crowned: dict[str, str] = {}  # folder under best/ -> trial whose weights it holds
        self._catch_up()

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
        """Write the first event of a new search: its seed, its sampler, and what makes it the
        search it is."""
        ledger = folder.open_ledger()
        ledger.append({"event": "search", **header, "time": time.time()})
        ledger.close()

    def _catch_up(self) -> None:
        """Bring the study and the weight files up to the ledger."""
        for trial in self.state.trials:
            self._mirror.update(trial)
            self._suggester.update(trial)
        running = {trial.id for trial in self.state.unfinished()}
        for trial in self.state.trials:
            if trial.id not in running:
                self._keep_if_best(trial)
        for trial_id in self.store.trial_ids() - running:
            self.store.delete(trial_id)

    def new_trial(self) -> TrialRecord:
        """Choose, record and return the next trial: the presets first, then TPE's."""
        number, seed = len(self.state.trials), self.state.header["seed"]
        if number < len(self.presets):
            preset = self.presets[number]
            origin, parameters = preset.name, preset.parameters
            group = parameters[self.space.group]
        else:
            turn = (number - len(self.presets)) % len(self.space.groups)
            origin, group = SAMPLED, self.space.groups[turn]
            sampled = self._suggester.suggest(group, seed, number)
            parameters = {
                self.space.group: group,
                **self.space.meaning.get(group, {}),
                **self.space.of(group).constants,
                **sampled,
            }
        self._record(
            {
                "event": "trial",
                "number": number,
                "origin": origin,
                "group": group,
                "parameters": parameters,
                **({"control": True} if self._is_control(number) else {}),
            }
        )
        self._follow(self.state.trials[number])
        return self.state.trials[number]

    def _is_control(self, number: int) -> bool:
        """Whether a trial is of the sample that is not pruned: one of every `control_every` rounds
        of the groups."""
        every = self.state.header.get("settings", {}).get("control_every", 0)
        round_ = (number - len(self.presets)) // len(self.space.groups)
        return round_ >= 0 and every > 0 and round_ % every == every - 1

    def knows(self, trial: TrialRecord, epoch: int) -> bool:
        """Whether that epoch was recorded before: a restarted trial repeats its last one."""
        return epoch <= trial.epochs

    def epoch(self, trial: TrialRecord, record: dict, decide: Callable[[], Decision]) -> str:
        """Record an epoch together with what becomes of the trial; return that state.

        `decide` asks the scheduler, for ranked epochs only."""
        decision = Decision()
        if not self.is_finite(record):
            state = DIVERGED
        elif not self.is_ranked(record):
            state = COMPLETE
        else:
            decision = decide()
            state = PRUNED if decision.why_stop else RUNNING
        event = {"event": "epoch", "number": trial.number, "record": record, "state": state}
        event |= {"reason": decision.why_stop} if decision.why_stop else {}
        self._record({**event, "spared": True} if decision.spared else event)
        self._follow(trial)
        return state

    def is_finite(self, record: dict) -> bool:
        """Whether training has not diverged."""
        return all(math.isfinite(record[key]) for key in ("train_loss", self.task.metric))

    def is_ranked(self, record: dict) -> bool:
        """Whether the scheduler has a say after this epoch: a value to rank, epochs to come."""
        return self.is_finite(record) and record["epoch"] < self.task.max_epochs

    def failure(self, trial: TrialRecord, text: str, final: bool, lost: bool = False) -> None:
        """Record that a trial failed, with its traceback in `errors/`; `final`: for good, `lost`:
        with its node."""
        path = self.folder.errors / f"{trial.id}.txt"
        path.parent.mkdir(exist_ok=True)
        what = "node lost" if lost else f"failure {trial.failures + 1}"
        with open(path, "a") as file:
            file.write(f"{what} after epoch {trial.epochs}\n{text}\n")
        reason = text.strip().rpartition("\n")[2]
        event = {"event": "failure", "number": trial.number, "final": final, "reason": reason}
        self._record({**event, "lost": True} if lost else event)
        self._follow(trial)

    def final(self, trial: TrialRecord, seed: int, metrics: dict) -> None:
        """Record the test-split metrics of a configuration retrained with a seed."""
        self._record({"event": "final", "number": trial.number, "seed": seed, "metrics": metrics})

    @property
    def storage(self) -> optuna.storages.BaseStorage:
        """Where the study is."""
        return self._mirror.storage

    def best(self, group: object) -> TrialRecord | None:
        return self.state.best(group, self.task.metric, self.task.mode)

    def _record(self, event: dict) -> None:
        event = {**event, "time": time.time()}
        self._ledger.append(event)
        self.state.apply(event)

    def _follow(self, trial: TrialRecord) -> None:
        self._mirror.update(trial)
        self._suggester.update(trial)
        if trial.state != RUNNING:
            self._keep_if_best(trial)
            self.store.delete(trial.id)

    def _keep_if_best(self, trial: TrialRecord) -> None:
        """Move a finished trial's weights under best/ if they belong there."""
        if trial.is_preset and trial.state == COMPLETE:
            self._crown(trial, self.folder.best / trial.origin)
        if self.best(trial.group) is trial:
            self._crown(trial, self.folder.best / str(trial.group))

    def _crown(self, trial: TrialRecord, place: Path) -> None:
        """Put weights and config in `place`. Repeated after a crash it ends in the same files:
        weights come first, and the config that names their trial is written last."""
        weights = self.store.weights(trial.id)
        if weights is not None:
            place.mkdir(parents=True, exist_ok=True)
            # A copy, for a preset may also be the best of its group.
            write_atomically(place / "weights.pt", lambda file: file.write(weights))
        elif not (place / "weights.pt").exists():
            return
        if self._crowned.get(place.name) != trial.id or weights is not None:
            best = trial.best_record(self.task.metric, self.task.mode)
            write_json(
                place / "config.json",
                {
                    "trial": trial.id,
                    "preset": trial.origin,
                    "state": trial.state,
                    "epoch": best["epoch"],
                    self.task.metric: best[self.task.metric],
                    "parameters": trial.parameters,
                    **self.task.describe(trial.parameters, self.state.header["seed"]),
                    "data": self.state.header["data"],
                },
            )
            self.folder.publish()  # before the trial's own weights are deleted
            self._crowned[place.name] = trial.id
