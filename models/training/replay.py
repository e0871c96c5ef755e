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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from weakref import WeakMethod

import torch

WARM_UP_STEPS = 3  # are launched one kernel at a time: libraries choose their kernels in them
AHEAD = 32  # replays that may wait on the GPU; more would only delay an interruption

# The default generators belong to the whole process. Who draws from one in a thread holds this.
default_generators = threading.RLock()


class Replay:
    """Runs `step` again and again on `device`, as a CUDA graph where that is possible.

    The first steps of a process are launched plainly; they are steps of the training as the others
    are, with the same result. On a CPU all steps are. `generator` is where `step` draws; on CUDA
    the default generator, from which dropout draws, shares its state meanwhile.
    """

    def __init__(self, step: Callable[[], None], generator: torch.Generator):
        """`step` is a method of the object that owns this one."""
        # A strong reference would be a cycle, and memory of a GPU would wait for the collector.
        self._method, self._generator = WeakMethod(step), generator
        self.device = generator.device
        self.refusal: str | None = None  # why the step cannot be recorded
        if self.device.type != "cuda":
            self.refusal = f"the device is {self.device.type}"
        self._warm = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        if self._stream is not None:  # the data may still be on their way to the device
            self._stream.wait_stream(torch.cuda.current_stream(self.device))

    def stream(self) -> AbstractContextManager:
        """A context whose work goes to this training's own stream, so that several trainings of a
        process overlap."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def forget(self) -> None:
        """Record anew, because the step works on other tensors or on another objective."""
        self._graph = None

    def run(self, count: int, seed: int) -> None:
        """Take `count` steps that draw by `seed` and what was drawn of it before. Returns when the
        device has taken them."""
        plain = count if self.refusal else min(count, max(0, WARM_UP_STEPS - self._warm))
        self._plainly(plain, seed)
        left = count - plain
        if left and self._graph is None:
            self._record()
        if self._graph is not None:
            self._replay(self._graph, left)
        else:
            self._plainly(left, seed)
        if self._stream is not None:
            _wait(self._stream)

    def _plainly(self, count: int, seed: int) -> None:
        if count:
            with self._drawing(seed):
                for _ in range(count):
                    self._step()
            self._warm += count

    def _record(self) -> None:
        """Record the step; where that fails, `refusal` says why. Recording takes no step."""
        graph = torch.cuda.CUDAGraph()
        with _shared_default(self._generator), _no_garbage_collection():
            try:
                torch.cuda.current_stream(self.device).synchronize()
                _recorded(graph, self._step)
                self._graph = graph
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self.refusal = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"

    def _replay(self, graph: torch.cuda.CUDAGraph, count: int) -> None:
        events = [torch.cuda.Event(blocking=True) for _ in range(2)]
        for number in range(count):
            graph.replay()
            if number % AHEAD == AHEAD - 1:
                events[0].record()
                events.reverse()
                events[0].synchronize()  # the one before; one that was never recorded is done

    def _step(self) -> None:
        step = self._method()
        assert step is not None
        step()

    def _drawing(self, seed: int) -> AbstractContextManager:
        if self._stream is not None:
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


def _recorded(graph: torch.cuda.CUDAGraph, step: Callable[[], None]) -> None:
    # "thread_local": threads that train beside this one may go on allocating memory.
    graph.capture_begin(capture_error_mode="thread_local")
    try:
        step()
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


def _wait(stream: torch.cuda.Stream) -> None:
    """Wait for a stream without using a core meanwhile."""
    event = torch.cuda.Event(blocking=True)
    event.record(stream)
    event.synchronize()
