"""The one module that builds a Tuner, for a new search and for one that goes on alike.

A search is not restored with `Tuner.restore`: that brings ASHA's rungs back empty, cannot grow
the number of samples, and may start over without a word. A session builds a new Tuner instead,
whose searcher hands out the trials that the ledger says are unfinished before it asks for new
ones, and whose scheduler fills its rungs from the ledger. Ray's own files are not read back.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter, SearchGenerator
from ray.tune.search.optuna import OptunaSearch

from probes.classifiers.limits import ProbeTooLarge
from search.record.state import TrialRecord
from search.store.checkpoints import StorageFailed
from search.task.protocol import Task, uses_gpu
from search.tune.client import LocalTuner
from search.tune.logbook import Logbook
from search.tune.lost_workers import OutOfReach, Unclear, is_unclear, was_lost
from search.tune.scheduler import GroupedASHA
from search.tune.study import STUDY_NAME
from search.tune.trainable import EpochTrainable

REDUCTION_FACTOR = 3
LOSSES = 5  # of a trial's node in a row, without a new epoch, before the trial is held to blame
FOLLOW_S = 2.0  # how often the number of trials at a time follows the cluster


@dataclass(frozen=True)
class Limits:
    """What bounds a session; may differ from one session of a search to the next."""

    num_samples: int
    grace_epochs: int
    max_concurrent: int
    cpus_per_trial: float
    gpus_per_trial: float
    max_failures: int
    trial_timeout_s: float
    time_budget_s: float | None
    slots: Callable[[], int] | None = None
    """How many trials the cluster holds now, where `max_concurrent` is to follow it."""


class SearchStopped(Exception):
    """The search cannot go on, and lost nothing; the text is one line that says why."""


class LedgerSearch(OptunaSearch):
    """OptunaSearch whose study is a mirror of the ledger.

    Stock OptunaSearch tells Optuna that a trial which ASHA stopped is complete, with its value
    at that low budget, and never reports the last value of any trial. Here the logbook tells
    the study the truth, and suggestions come from the same record (search/tune/suggestion.py).
    """

    def __init__(self, logbook: Logbook, num_samples: int):
        super().__init__(
            space=logbook.space.all_distributions(),
            metric=logbook.task.metric,
            mode=logbook.task.mode,
            storage=logbook.storage,
            study_name=STUDY_NAME,
        )
        self._logbook, self._num_samples = logbook, num_samples
        self._unfinished = deque(logbook.state.unfinished())
        self.unclear = Unclear()

    @property
    def is_exhausted(self) -> bool:
        """Whether there is nothing to hand out now; a failure may change that."""
        return self._is_full and not self._unfinished and not self.unclear

    @property
    def _is_full(self) -> bool:
        return len(self._logbook.state.trials) >= self._num_samples

    def try_again(self, trial: TrialRecord) -> None:
        """Hand out a trial that failed once more; it goes on from its checkpoint."""
        self._unfinished.append(trial)

    def suggest(self, trial_id: str) -> dict | None:
        """A trial that is unfinished and not running, or a new one; None where there is neither
        until it is clear what became of a trial's worker."""
        self.unclear.settle()  # Ray waits in a loop around this where no trial is left running
        if self._is_full and not self._unfinished:
            return None
        trial = self._unfinished.popleft() if self._unfinished else self._logbook.new_trial()
        return {
            "id": trial.id,
            "number": trial.number,
            "parameters": trial.parameters,
            "seed": self._logbook.state.header["seed"],
        }

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """Nothing to do: the scheduler records every epoch, the last one too."""

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """Nothing to do, for the same reason."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger has it."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search goes on from its ledger, not from Ray's snapshot")


class LedgerGenerator(SearchGenerator):
    """SearchGenerator that ends when the ledger is full. The stock one counts the trials that
    it made for Ray, and to Ray a trial that is tried again is a new one."""

    def __init__(self, searcher: LedgerSearch, max_concurrent: int):
        self._limiter = ConcurrencyLimiter(searcher, max_concurrent)
        super().__init__(self._limiter)
        self._ledger_search = searcher

    def set_max_concurrent(self, trials: int) -> None:
        """From now on; trials that run already are let be."""
        self._limiter.max_concurrent = trials

    def is_finished(self) -> bool:
        return self._finished or self._ledger_search.is_exhausted


class TrialKeeper(tune.Callback):
    """Tries failed trials again, and replaces a worker whose trial makes no progress.

    Ray's own retries are off. They lose a trial whose worker dies while it is handed from one
    trial to the next: Ray 2.60 handles that death twice, and the second time for good.

    A trial that was lost with its node is tried again and not held to blame, until it was lost
    LOSSES times without a new epoch: it may be what kills them.

    `on_progress` is called several times a second.
    """

    def __init__(
        self,
        logbook: Logbook,
        searcher: LedgerSearch,
        generator: LedgerGenerator,
        limits: Limits,
        on_progress: list[Callable[[], None]],
    ):
        self._logbook, self._searcher, self._generator = logbook, searcher, generator
        self._limits, self._on_progress = limits, on_progress
        self._last_sign: dict = {}  # running Ray trial -> when it last showed life
        self._actors: dict = {}  # running Ray trial -> its worker
        self._killed: set[str] = set()
        self._follow_due = 0.0

    def on_step_begin(self, iteration, trials, **info) -> None:
        for call in self._on_progress:
            call()
        self._searcher.unclear.settle()
        now = time.monotonic()
        if self._limits.slots and now >= self._follow_due:
            # Never none: a trial that waits is how a cluster learns that nodes are wanted.
            self._generator.set_max_concurrent(max(1, self._limits.slots()))
            self._follow_due = now + FOLLOW_S
        for trial, seen in list(self._last_sign.items()):
            actor = trial.temporary_state.ray_actor
            if now - seen > self._limits.trial_timeout_s and actor is not None:
                self._killed.add(trial.config["id"])
                self._last_sign[trial] = now
                ray.kill(actor)

    def on_trial_start(self, iteration, trials, trial, **info) -> None:
        self._last_sign[trial] = time.monotonic()
        self._actors[trial] = trial.temporary_state.ray_actor

    def on_trial_result(self, iteration, trials, trial, result, **info) -> None:
        self._last_sign[trial] = time.monotonic()

    def on_trial_complete(self, iteration, trials, trial, **info) -> None:
        self._last_sign.pop(trial, None)
        self._actors.pop(trial, None)
        self._killed.discard(trial.config["id"])

    def on_trial_error(self, iteration, trials, trial, **info) -> None:
        self._last_sign.pop(trial, None)
        actor = self._actors.pop(trial, None)
        record = self._logbook.state.trials[trial.config["number"]]
        text, error = _last_error(trial)
        if StorageFailed.__name__ in text:
            raise SearchStopped(_said_by(StorageFailed, text))
        if record.id in self._killed:
            self._killed.discard(record.id)
            text = f"no progress for {self._limits.trial_timeout_s:g} s; its worker was killed"
            error = None
        if is_unclear(error):
            if actor is not None:
                unclear = self._searcher.unclear
                unclear.add(actor, lambda known: self._failed(record, str(known), known))
                return
            # Its worker had not been told to begin, so that none can write for it.
            error = OutOfReach("its worker was out of reach before the trial began there")
        self._failed(record, text, error)

    def _failed(self, record: TrialRecord, text: str, error: Exception | None) -> None:
        lost = was_lost(error)
        if lost:
            final = record.losses + 1 >= LOSSES
        else:
            hopeless = ProbeTooLarge.__name__ in text
            final = hopeless or record.failures >= self._limits.max_failures
        self._logbook.failure(record, text, final, lost)
        if not final:
            self._searcher.try_again(record)


def build_tuner(
    logbook: Logbook, limits: Limits, arrays: ray.ObjectRef, on_progress: list[Callable[[], None]]
) -> tune.Tuner:
    """A Tuner for what is left of the search.

    `arrays`: what `search.task.arrays_from_data` gives, in the object store; the workers read
    it there. `on_progress`: called several times a second."""
    _quiet_ray()
    shutil.rmtree(logbook.folder.ray, ignore_errors=True)  # an earlier session's; never read
    state = logbook.state
    left = max(0, limits.num_samples - len(state.trials)) + len(state.unfinished())
    trainable = tune.with_parameters(
        EpochTrainable,
        task=logbook.task,
        arrays=arrays,
        run=logbook.folder.files,
        store=logbook.store,
        secret=logbook.folder.begin_session(),
        threads=max(1, int(limits.cpus_per_trial)),
    )
    searcher = LedgerSearch(logbook, limits.num_samples)
    generator = LedgerGenerator(searcher, limits.max_concurrent)

    # A Tuner in a Ray Client moves to the head node, away from the ledger.
    build = LocalTuner if ray.util.client.ray.is_connected() else tune.Tuner
    return build(
        tune.with_resources(
            trainable,
            partial(_resources, logbook.task, limits.cpus_per_trial, limits.gpus_per_trial),
        ),
        tune_config=tune.TuneConfig(
            metric=logbook.task.metric,
            mode=logbook.task.mode,
            search_alg=generator,
            scheduler=GroupedASHA(logbook, limits.grace_epochs, REDUCTION_FACTOR),
            num_samples=left,
            reuse_actors=True,
            time_budget_s=limits.time_budget_s,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=logbook.folder.ray.name,
            storage_path=str(logbook.folder.path.resolve()),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[TrialKeeper(logbook, searcher, generator, limits, on_progress)],
        ),
    )


def _resources(task: Task, cpus: float, gpus: float, config: dict) -> dict:
    """What a trial holds. Ray keeps workers for reuse by what they hold, so one of a trial without
    a GPU is never handed a trial with one. Travels to the workers."""
    return {"cpu": cpus, "gpu": gpus if uses_gpu(task, config["parameters"]) else 0}


def _name(trial) -> str:
    return trial.config["id"]


def _last_error(trial) -> tuple[str, Exception | None]:
    """The traceback of a trial's last failure, as Ray wrote it, and the error itself."""
    path, pickled = trial.error_file, trial.pickled_error_file
    text = open(path).read() if path and os.path.exists(path) else "no traceback was left"
    error = None
    if pickled and os.path.exists(pickled):
        with suppress(Exception), open(pickled, "rb") as file:  # of a class that is not here
            error = ray.cloudpickle.load(file)
    return text.split("Failure # ")[-1].partition("\n")[2] or text, error


def _said_by(kind: type[Exception], text: str) -> str:
    """The line that an exception of that kind left in a traceback."""
    return text.rpartition(f"{kind.__name__}: ")[2].partition("\n")[0]


def _quiet_ray() -> None:
    """Ray's loggers, snapshots and reports cost more than a short trial, and the run folder has
    its own. Set by environment because Ray offers no argument for these."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = str(10**9)
    os.environ["TUNE_WARN_THRESHOLD_S"] = "60"
