"""Failed trials: why they failed, and which are tried again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

import ray
from ray import tune
from ray.exceptions import RayActorError, RayTaskError

from probes.classifiers.limits import ProbeTooLarge
from search.record import schema
from search.record.decision import Failure
from search.record.state import TrialRecord
from search.store.checkpoints import StorageFailed
from search.tune.card import CardLost, GpuMemory
from search.tune.limits import Limits, SearchStopped
from search.tune.logbook import Logbook
from search.tune.lost_workers import WorkerUnreachable, is_node_loss, is_unreachable
from search.tune.searcher import LedgerGenerator, LedgerSearch

LOSSES = 5  # a trial fails if it loses its node this often without a new epoch
FOLLOW_S = 2.0  # how often the number of trials at a time follows the cluster


class TrialKeeper(tune.Callback):
    """Tries failed trials again, and replaces a worker whose trial makes no progress.

    Ray's own retries are off. They lose a trial whose worker dies while it is handed from one
    trial to the next: Ray 2.60 handles that death twice, and the second time for good.

    The loss of a node is not a failure of its trial, which is tried again. A trial that loses
    LOSSES nodes without a new epoch fails, because the trial itself may kill them.

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
        self._stuck: set[str] = set()  # ids of trials whose worker was killed
        self._follow_due = 0.0
        self._too_many = 0  # trials at a time that the memory of the GPUs did not hold

    def on_step_begin(self, iteration, trials, **info) -> None:
        for call in self._on_progress:
            call()
        self._searcher.unreachable.settle()
        now = time.monotonic()
        if self._limits.slots and now >= self._follow_due:
            # At least one: a trial that waits is how a cluster learns that nodes are wanted.
            self._generator.set_max_concurrent(max(1, self._limits.slots() - self._too_many))
            self._follow_due = now + FOLLOW_S
        for trial, seen in list(self._last_sign.items()):
            actor = trial.temporary_state.ray_actor
            if now - seen > self._limits.trial_timeout_s and actor is not None:
                self._stuck.add(trial.config["id"])
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
        self._stuck.discard(trial.config["id"])

    def on_trial_error(self, iteration, trials, trial, **info) -> None:
        self._last_sign.pop(trial, None)
        actor = self._actors.pop(trial, None)
        record = self._logbook.state.trials[trial.config["number"]]
        error = _last_error(trial)
        if isinstance(_cause(error), StorageFailed):
            raise SearchStopped(str(_cause(error)))
        if record.id in self._stuck:
            self._stuck.discard(record.id)
            text = f"no progress for {self._limits.trial_timeout_s:g} s; its worker was killed"
            self._failed(record, Failure(schema.REASON_STUCK, text))
        elif not is_unreachable(error):
            self._failed(record, failure_of(error, _last_traceback(trial)))
        elif actor is not None:
            self._searcher.unreachable.add(
                actor, lambda known: self._failed(record, failure_of(known, str(known)))
            )
        else:
            # The worker never began the trial, so it cannot write its checkpoints.
            text = "its worker could not be reached before the trial began there"
            self._failed(record, failure_of(WorkerUnreachable(text), text))

    def _failed(self, trial: TrialRecord, failure: Failure) -> None:
        final = self._is_final(trial, failure)
        if failure.reason == schema.REASON_GPU_MEMORY:
            self._too_many += 1
        self._logbook.record_failure(trial, failure, final)
        if not final:
            self._searcher.try_again(trial)

    def _is_final(self, trial: TrialRecord, failure: Failure) -> bool:
        if failure.is_loss:
            return trial.losses + 1 >= LOSSES
        return failure.reason == schema.REASON_MEMORY or trial.failures >= self._limits.max_failures


def failure_of(error: Exception | None, text: str) -> Failure:
    """The failure behind an error of a trial; `text` is the traceback."""
    if is_node_loss(error) or isinstance(_cause(error), CardLost):
        return Failure(schema.REASON_NODE, text)
    if isinstance(_cause(error), ProbeTooLarge):
        return Failure(schema.REASON_MEMORY, text)
    if isinstance(_cause(error), GpuMemory):
        return Failure(schema.REASON_GPU_MEMORY, text)
    died = isinstance(error, RayActorError) and not error.actor_init_failed
    return Failure(schema.REASON_WORKER if died else schema.REASON_EXCEPTION, text)


def _cause(error: Exception | None) -> Exception | None:
    """The exception that the code of a trial raised, if that is what Ray reports."""
    return error.cause if isinstance(error, RayTaskError) else error


def _last_traceback(trial) -> str:
    """The traceback of a trial's last failure, as Ray wrote it."""
    path = trial.error_file
    text = open(path).read() if path and os.path.exists(path) else "no traceback was left"
    return text.split("Failure # ")[-1].partition("\n")[2] or text


def _last_error(trial) -> Exception | None:
    """The error of a trial's last failure; None if its class cannot be loaded here."""
    path = trial.pickled_error_file
    if path and os.path.exists(path):
        with suppress(Exception), open(path, "rb") as file:
            return ray.cloudpickle.load(file)
    return None
