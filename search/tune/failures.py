"""Failed trials: why they failed, and which are tried again."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import ray
from ray import tune
from ray.exceptions import OutOfDiskError, OutOfMemoryError, RayActorError, RayTaskError

from models.ending import check
from models.machine import memory_kills
from probes.classifiers.limits import ProbeTooLarge
from search.record import schema
from search.record.decision import Failure
from search.record.state import TrialRecord
from search.store.checkpoints import StorageFailed
from search.tune.limits import Limits, SearchStopped
from search.tune.logbook import Logbook
from search.tune.lost_workers import WorkerUnreachable, is_node_loss, is_unreachable
from search.tune.searcher import LedgerGenerator, LedgerSearch
from search.tune.worker.card import CardLost, GpuMemory

LOSSES = 5  # a trial fails if it loses its node this often without a new epoch
FOLLOW_S = 2.0  # how often the number of trials at a time follows the cluster
PAUSES, PAUSE_S, LONGEST_PAUSE_S = 8, 5.0, 120.0  # nearly nine minutes in all
WAITED_FOR = {
    schema.REASON_NODE_MEMORY: "the memory of a node is used up",
    schema.REASON_NODE_GPU: "the GPU of a node fails",
}
LOW_MEMORY = "due to the node running low on memory"  # words of Ray's memory monitor
# CUDA's words for a GPU that no trial can use. Its other errors may be the trial's.
GPU_FAILURES = (
    "no CUDA-capable device",
    "all CUDA-capable devices are busy or unavailable",
    "uncorrectable ECC error",
    "GPU is lost",
    "fallen off the bus",
    "CUDA driver initialization failed",
    "system not yet initialized",
)


class TrialKeeper(tune.Callback):
    """Tries failed trials again, and replaces a worker whose trial makes no progress.

    Ray's own retries are off. They lose a trial whose worker dies while it is handed from one
    trial to the next: Ray 2.60 handles that death twice, and the second time for good.

    A failure of a node (the node is lost, its memory is used up, its GPU fails) does not count
    against the trial, which is tried again. A trial that loses LOSSES nodes without a new epoch
    fails, because the trial itself may kill them. While a node's memory or GPU fails, no trial
    begins: the search waits, longer each time. After PAUSES waits without a new epoch it stops.

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
        self._pauses = 0  # since the last new epoch
        self._memory_kills = memory_kills()
        self._too_many = 0  # trials at a time that the memory of the GPUs did not hold

    def setup(self, stop=None, num_samples=None, total_num_samples=None, **info) -> None:
        check()  # Ray has just set handlers of signals

    def on_step_begin(self, iteration, trials, **info) -> None:
        check()
        for call in self._on_progress:
            call()
        self._searcher.unreachable.settle()
        now = time.monotonic()
        if self._limits.slots and now >= self._follow_due:
            # At least 1: a waiting trial tells a cluster that grows that it needs a node.
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
        self._pauses = 0
        self._last_sign[trial] = time.monotonic()

    def on_trial_complete(self, iteration, trials, trial, **info) -> None:
        self._last_sign.pop(trial, None)
        self._actors.pop(trial, None)
        self._stuck.discard(trial.config["id"])

    def on_trial_error(self, iteration, trials, trial, **info) -> None:
        check()  # the signal that ends this process may have ended its workers
        self._last_sign.pop(trial, None)
        actor = self._actors.pop(trial, None)
        record = self._logbook.state.trials[trial.config["number"]]
        error = _last_error(trial)
        if problem := storage_problem(error):
            raise SearchStopped(problem)
        if record.id in self._stuck:
            self._stuck.discard(record.id)
            text = f"no progress for {self._limits.trial_timeout_s:g} s; its worker was killed"
            self._failed(record, Failure(schema.REASON_STUCK, text))
        elif not is_unreachable(error):
            self._failed(record, self._seen_here(failure_of(error, _last_traceback(trial))))
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
        record = partial(self._logbook.record_failure, trial, failure, final)
        if final:
            self._searcher.give_up(trial, record)
        else:
            record()
            self._searcher.try_again(trial)
        if failure.reason in WAITED_FOR:
            self._wait(failure)

    def _wait(self, failure: Failure) -> None:
        """Begin a pause, unless the failure belongs to the last one. Raises SearchStopped after
        PAUSES of them."""
        if self._searcher.is_paused:
            return
        self._pauses += 1
        problem = f"{WAITED_FOR[failure.reason]} ({failure.detail})"
        if self._pauses > PAUSES:
            raise SearchStopped(f"{problem}, {self._pauses} times without an epoch between")
        pause = min(PAUSE_S * 2 ** (self._pauses - 1), LONGEST_PAUSE_S)
        print(f"{problem}: no trial begins for {pause:.0f} s", flush=True)
        self._searcher.pause(pause)

    def _seen_here(self, failure: Failure) -> Failure:
        """The failure; `node memory` if the kernel of this machine killed a process for its memory.
        Ray only knows that the worker died."""
        before, self._memory_kills = self._memory_kills, memory_kills()
        if failure.reason != schema.REASON_WORKER or self._memory_kills == before:
            return failure
        detail = (
            "the kernel killed a process, because the machine or its container has no memory left"
        )
        return Failure(schema.REASON_NODE_MEMORY, f"{failure.text}\n{detail}")

    def _is_final(self, trial: TrialRecord, failure: Failure) -> bool:
        if failure.reason in WAITED_FOR:
            # One more than stop the search: a resumed search then goes on without this trial.
            return trial.losses > PAUSES
        if failure.is_loss:
            return trial.losses + 1 >= LOSSES
        return failure.reason == schema.REASON_MEMORY or trial.failures >= self._limits.max_failures


def failure_of(error: Exception | None, text: str) -> Failure:
    """The failure behind an error of a trial; `text` is the traceback."""
    cause = _cause(error)
    if is_node_loss(error) or isinstance(cause, CardLost):
        return Failure(schema.REASON_NODE, text)
    if isinstance(cause, OutOfMemoryError):
        return Failure(schema.REASON_NODE_MEMORY, f"{text}\n{_first_line(str(cause))}")
    if isinstance(cause, RuntimeError) and any(each in str(cause) for each in GPU_FAILURES):
        return Failure(schema.REASON_NODE_GPU, f"{text}\n{_first_line(str(cause))}")
    if isinstance(cause, ProbeTooLarge):
        return Failure(schema.REASON_MEMORY, text)
    if isinstance(cause, GpuMemory):
        return Failure(schema.REASON_GPU_MEMORY, text)
    died = isinstance(error, RayActorError) and not error.actor_init_failed
    return Failure(schema.REASON_WORKER if died else schema.REASON_EXCEPTION, text)


def storage_problem(error: Exception | None) -> str:
    """What is wrong with the disks, in one line, if that is why a trial failed; else empty. Every
    other trial would fail for the same reason."""
    cause = _cause(error)
    if isinstance(cause, StorageFailed):
        return str(cause)
    full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or isinstance(cause, OutOfDiskError):
        return f"a disk of a trial's node is full: {_first_line(str(cause))}"
    return ""


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _cause(error: Exception | None) -> Exception | None:
    """The exception that the code of a trial raised, if that is what Ray reports."""
    return error.cause if isinstance(error, RayTaskError) else error


def _last_traceback(trial) -> str:
    """The traceback of a trial's last failure, as Ray wrote it."""
    path = trial.error_file
    if not path or not os.path.exists(path):
        return "no traceback was left"
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    return text.split("Failure # ")[-1].partition("\n")[2] or text


def _last_error(trial) -> Exception | None:
    """The error of a trial's last failure; None if its class cannot be loaded here."""
    path = trial.pickled_error_file
    if path and os.path.exists(path):
        with suppress(Exception), open(path, "rb") as file:
            return ray.cloudpickle.load(file)
        return None
    # Tune keeps the object of an error of a trial's code and of a dead actor. Of all other errors,
    # which are Ray's own, it keeps the text alone.
    text = _last_traceback(trial)
    return OutOfMemoryError(text.strip()) if LOW_MEMORY in text else None
