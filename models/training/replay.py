"""A training step that a GPU repeats without waiting for Python.

A step of these networks is some hundred kernels of a few microseconds each. Launched from Python
they keep a large GPU idle nine tenths of the time. `Replay` records the kernels of a step once, as
a CUDA graph, and then launches all of them by one call.

The step must read and write tensors that stay where they are: no `.item()`, no branch on a value
that the device computed, no tensor whose shape changes.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

import torch

WARM_UP_STEPS = 3  # launched one kernel at a time: libraries choose their kernels in them
# Steps of the larger graph. Trainings in threads wait for each other at every launch: with a launch
# for each step, sixteen of them trained no faster than eight.
STEPS = 8
AHEAD = 4  # larger graphs that may wait on the GPU; more would only delay an interruption

# The default generators belong to the whole process. A thread that draws from them holds this lock,
# and so does a thread that keeps Python busy for a GPU: two at a time would only slow each other.
default_generators = threading.RLock()

MOST_STREAMS = 32  # torch makes no more, and hands out the same ones again
_free_streams: dict[torch.device, list[torch.cuda.Stream]] = {}


class Replay:
    """Runs `step` again and again on `device`, as a CUDA graph where that is possible.

    The first steps, and all steps on a CPU, are launched one kernel at a time, with the same
    result. `step` draws from `generator`. On CUDA, dropout draws from the default generator, which
    has the state of `generator` during the steps.
    """

    def __init__(self, step: Callable[[], None], generator: torch.Generator):
        """`step` is a method of the object that owns this one."""
        # A strong reference would be a cycle, and memory of a GPU would wait for the collector.
        self._method, self._generator = weakref.WeakMethod(step), generator
        self.device = generator.device
        self.refusal: str | None = None  # why a GPU cannot record the step
        self._warm = 0
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}  # by their number of steps
        self._stream = _own_stream(self) if self.device.type == "cuda" else None
        if self._stream is not None:  # the data may still be on their way to the device
            self._stream.wait_stream(torch.cuda.current_stream(self.device))
        elif self.device.type == "cuda":
            self.refusal = f"more than {MOST_STREAMS} trainings in one process"

    def stream(self) -> AbstractContextManager:
        """A context whose work goes to this training's own stream, so that several trainings of a
        process overlap."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def alone(self) -> AbstractContextManager:
        """A context in which this thread launches kernels from Python; replays of other trainings
        go on."""
        return nullcontext() if self.device.type == "cpu" else default_generators

    def forget(self) -> None:
        """Record anew, because the step works on other tensors or on another objective."""
        self._graphs.clear()

    def run(self, count: int, seed: int) -> None:
        """Take `count` steps, and wait until the device has taken them. On a CPU, dropout draws
        from a default generator that begins at `seed`."""
        replays = self._stream is not None and not self.refusal
        plain = min(count, max(0, WARM_UP_STEPS - self._warm)) if replays else count
        self._plainly(plain, seed)
        left = count - plain
        for steps in (STEPS, 1):
            if left >= steps and self._recorded(steps):
                self._replay(steps, left // steps)
                left %= steps
        self._plainly(left, seed)
        if self.device.type == "cuda":
            _wait(torch.cuda.current_stream(self.device))

    def _plainly(self, count: int, seed: int) -> None:
        if count:
            with self._drawing(seed):
                self._take(count)
            self._warm += count

    def _recorded(self, steps: int) -> bool:
        """Whether there is a graph of so many steps, which is recorded where it is missing. Where
        that fails, `refusal` says why. Recording takes no step."""
        if steps in self._graphs or self.refusal:
            return steps in self._graphs
        graph = torch.cuda.CUDAGraph()
        with _shared_default(self._generator), _no_garbage_collection():
            try:
                torch.cuda.current_stream(self.device).synchronize()
                _record(graph, partial(self._take, steps), self._pool())
                self._graphs[steps] = graph
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self.refusal = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        return steps in self._graphs

    def _replay(self, steps: int, count: int) -> None:
        graph = self._graphs[steps]
        events = [torch.cuda.Event(blocking=True) for _ in range(2)]
        for number in range(count):
            graph.replay()
            if number % AHEAD == AHEAD - 1:
                events[0].record()
                events.reverse()
                events[0].synchronize()  # the one before; one that was never recorded is done

    def _take(self, count: int) -> None:
        step = self._method()
        assert step is not None
        for _ in range(count):
            step()

    def _pool(self) -> Any:
        """The memory of an earlier graph. Graphs can share it: they take turns, and none reads a
        tensor of another."""
        return next((graph.pool() for graph in self._graphs.values()), None)

    def _drawing(self, seed: int) -> AbstractContextManager:
        if self.device.type == "cuda":
            return _shared_default(self._generator)
        return seeded_default(seed)


@contextmanager
def seeded_default(seed: int) -> Iterator[None]:
    """The CPU's default generator begins at `seed` inside; afterwards it is as it was before."""
    with default_generators:
        before = torch.default_generator.get_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.default_generator.set_state(before)


@contextmanager
def _shared_default(generator: torch.Generator) -> Iterator[None]:
    """The default generator of a GPU has the state of `generator` inside, and draws from it."""
    with default_generators:
        index = generator.device.index
        default = torch.cuda.default_generators[
            torch.cuda.current_device() if index is None else index
        ]
        before = default.graphsafe_get_state()
        default.graphsafe_set_state(generator)
        try:
            yield
        finally:
            default.graphsafe_set_state(before)


def _record(graph: torch.cuda.CUDAGraph, steps: Callable[[], None], pool: Any) -> None:
    # "thread_local": threads that train beside this one may go on allocating memory.
    graph.capture_begin(pool, capture_error_mode="thread_local")
    try:
        steps()
    except BaseException:
        with suppress(RuntimeError):  # the first error is the one that counts
            graph.capture_end()
        raise
    graph.capture_end()


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A graph of another training that is freed during a recording would break it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _own_stream(owner: object) -> torch.cuda.Stream | None:
    """A stream that no other training has as long as `owner` lives; None if there is none left.

    Recording a graph on a stream on which another thread launches work breaks the process."""
    with default_generators:
        device = torch.device("cuda", torch.cuda.current_device())
        if device not in _free_streams:
            made = [torch.cuda.Stream(device) for _ in range(MOST_STREAMS)]
            _free_streams[device] = list({stream.cuda_stream: stream for stream in made}.values())
        free = _free_streams[device]
        if not free:
            return None
        stream = free.pop()
    weakref.finalize(owner, free.append, stream)
    return stream


def _wait(stream: torch.cuda.Stream) -> None:
    """Wait for a stream without using a core meanwhile."""
    event = torch.cuda.Event(blocking=True)
    event.record(stream)
    event.synchronize()
