"""One process for each GPU, in which the trials that share the GPU train side by side.

Kernels of several processes take turns on a GPU, kernels of one process overlap. On an H200 eight
trials in one process train three times as many images a second as one trial, and twelve processes
as many as one (docs/benchmarks/gpu.md). Ray Tune still has an actor for each trial. The actor holds
the trial's part of the GPU and asks the process of that GPU, a `Card`, for each epoch.

A trial trains in a thread, on a CUDA stream of its own. An exception ends the attempt of its own
trial alone.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import ray
import torch
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from models.training.replay import default_generators
from search.store.checkpoints import CheckpointStore
from search.task.protocol import Run, Task, data_from_arrays
from search.tune.worker.attempt import Attempt, CheckpointPolicy

# Numbers of trials on a GPU. With more trials, an H200 trained no more images a second.
NUMBERS = (1, 2, 4, 8, 16)
# An epoch ends with its measures, which trials take in turn. With an epoch of 6,400 images an H200
# spent more time on these than on training, and seemed to gain nothing from a second trial.
MEASURED_IMAGES = 25_600
MEASURED_EPOCHS = len(NUMBERS) + 2  # one to record the step, one alone, one side by side each
MEASURE_S = 10.0  # after that no larger number of trials is measured
READY_S = 60.0


class CardLost(Exception):
    """The process of a GPU ended. The trials in it are tried again; at most one is to blame."""


class GpuMemory(Exception):
    """A trial needed more of the GPU's memory than the others had left."""


@dataclass(frozen=True)
class Place:
    """A GPU of a node, or the node alone."""

    node: str
    gpu: str

    @classmethod
    def of_this_worker(cls) -> Place:
        return cls(ray.get_runtime_context().get_node_id(), str(ray.get_gpu_ids()[0]))


@dataclass(frozen=True)
class Need:
    """What a trial needs of a GPU."""

    memory: int  # bytes of a trial beside others
    total: int  # bytes of the whole GPU that are free for trials
    gains: dict[int, float]  # how much faster than in turn trials train side by side, by number


class Cards:
    """Knows the `Card` of each GPU, and begins it when it is first asked for. An actor, owned by
    the driver: it and its cards end with the driver."""

    def __init__(
        self,
        task: Task,
        arrays: list[ray.ObjectRef],
        store: CheckpointStore,
        checkpoints: CheckpointPolicy,
    ):
        self._arguments = (task, arrays, store, checkpoints)
        self._cards: dict[Place, ray.actor.ActorHandle] = {}

    def at(self, place: Place) -> ray.actor.ActorHandle:
        """The card of a GPU. If its process has ended, a new one begins."""
        if place not in self._cards or not _lives(self._cards[place]):
            on_node = NodeAffinitySchedulingStrategy(place.node, soft=False)
            options = {"num_cpus": 0, "max_concurrency": 4 * NUMBERS[-1]}
            begin = ray.remote(Card).options(scheduling_strategy=on_node, **options).remote
            self._cards[place] = begin(place.gpu, *self._arguments)
        return self._cards[place]

    def number(self) -> int:
        """How many GPUs have been asked for."""
        return len(self._cards)


def _lives(card: ray.actor.ActorHandle) -> bool:
    try:
        ray.get(card.__ray_ready__.remote(), timeout=READY_S)
    except RayActorError:
        return False
    except GetTimeoutError:
        pass  # busy
    return True


class Card:
    """The process of a GPU. Its methods run in threads, one for each trial that asks."""

    def __init__(
        self,
        gpu: str,
        task: Task,
        arrays: list[ray.ObjectRef],
        store: CheckpointStore,
        checkpoints: CheckpointPolicy,
    ):
        if gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before torch looks
        torch.set_num_threads(1)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._task, self._store, self._checkpoints = task, store, checkpoints
        self._arrays = ray.get(arrays[0])
        self._data = task.prepare(data_from_arrays(self._arrays), self.device)
        if self.device == "cuda":
            # torch loads its linear algebra when it is first used, and not safely in threads.
            torch.linalg.eigvalsh(torch.eye(2, device="cuda", dtype=torch.float64))
        self._attempts: dict[str, tuple[str, Attempt]] = {}  # id of a trial -> key and attempt
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def step(self, config: dict, key: str) -> dict:
        """The record of the next epoch of a trial. A new `key` begins a new attempt, and drops
        an attempt that the trial has already: the actor of that one is gone."""
        name = config["id"]
        with self._locks[name], self._guarded(name):
            if self._attempts.get(name, ("", None))[0] != key:
                self._attempts.pop(name, None)
                attempt = Attempt(self._task, self._store, self._checkpoints, config, self._data)
                self._attempts[name] = key, attempt
            return self._attempts[name][1].next_record()

    def leave(self, name: str, key: str) -> None:
        """Free what an attempt that has ended holds. The trial may have begun another since."""
        with self._locks[name]:
            if self._attempts.get(name, ("", None))[0] == key:
                del self._attempts[name]
        if self.device == "cuda":
            _free_graphs()

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work(task, arrays, *arguments)` on this GPU, beside the trials."""
        with self._guarded():
            return work(self._task, self._arrays, *arguments, device=self.device)

    def measure(self, presets: list[dict], seed: int) -> Need | str:
        """What trials need: the largest presets train an epoch, one alone, then two, four, ... side
        by side. Networks of several shapes are measured, because a deep one alone gains little from
        company. If nothing can be measured, a sentence says why."""
        if self.device == "cpu":
            return "torch sees no GPU there"
        if not presets:
            return "no preset uses a GPU"
        largest = sorted(presets, key=lambda each: -number_of_weights(self._start(each, seed)))
        gc.collect()
        torch.cuda.empty_cache()  # of these networks
        data = self._task.prepare(_part(data_from_arrays(self._arrays)), self.device)
        task = replace(self._task, max_epochs=max(self._task.max_epochs, MEASURED_EPOCHS))
        free, memory = torch.cuda.mem_get_info()[0], 0
        running: list[Iterator[dict]] = []
        alone: list[float] = []  # seconds of an epoch
        gains: dict[int, float] = {}
        begin = time.monotonic()
        for number in NUMBERS:
            chosen = [largest[n % len(largest)] for n in range(len(running), number)]
            new = [task.start(each, seed, data).epochs() for each in chosen]
            running += new
            _seconds(new)  # the first epoch records the step
            alone += [_seconds([epochs]) for epochs in new]
            gains[number] = sum(alone) / _seconds(running)
            used = free - torch.cuda.mem_get_info()[0]
            memory = max(memory, used // number)
            if used * 2 > free or time.monotonic() - begin > MEASURE_S:
                break
        running.clear()
        new.clear()  # it holds the last of the runs, and their memory
        torch.cuda.empty_cache()
        return Need(memory, free, gains)

    def _start(self, parameters: dict, seed: int) -> Run:
        return self._task.start(parameters, seed, self._data)

    @contextmanager
    def _guarded(self, name: str | None = None) -> Iterator[None]:
        """An exception inside ends the attempt of one trial alone, and the whole process only where
        the GPU can no longer be used."""
        try:
            yield
        except BaseException as error:
            _end_if_broken(self.device)
            if name is not None:
                self._attempts.pop(name, None)
            if isinstance(error, torch.OutOfMemoryError):
                torch.cuda.empty_cache()
                raise GpuMemory(str(error).splitlines()[0]) from None
            raise


def _seconds(running: list[Iterator[dict]]) -> float:
    """The time in which all train an epoch side by side."""
    start = time.monotonic()
    with ThreadPoolExecutor(len(running)) as pool:
        list(pool.map(next, running))
    return time.monotonic() - start


def _part(data: Any) -> Any:
    """A part of a data set, on which an epoch is short."""
    splits = {"train": MEASURED_IMAGES, "validation": MEASURED_IMAGES // 4}
    return replace(data, **{name: getattr(data, name)[:size] for name, size in splits.items()})


def number_of_weights(run: Run) -> int:
    """How many weights a run has; 0 if it has none before its first epoch."""
    try:
        return sum(value.numel() for value in run.weights().values() if hasattr(value, "numel"))
    except AttributeError:  # a perceptron that has not been fitted yet
        return 0


def _end_if_broken(device: str) -> None:
    """End the process if CUDA is lost: after some errors it answers every call with that error."""
    if device != "cuda":
        return
    try:
        with default_generators:  # to ask while a graph is recorded would be an error
            torch.cuda.synchronize()
    except RuntimeError:
        os._exit(1)


def _free_graphs() -> None:
    """Give unused memory back if torch holds more than half of the GPU: a new graph cannot take the
    memory of a graph that is gone."""
    if torch.cuda.memory_reserved() > torch.cuda.mem_get_info()[1] / 2:
        with default_generators:
            torch.cuda.empty_cache()
