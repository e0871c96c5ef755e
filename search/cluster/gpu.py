"""How many trials share a GPU, measured on the largest preset before the first trial."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import ray
import torch
from ray.exceptions import RayError

from search.cluster.jobs import last_line
from search.task.protocol import Run, Task, data_from_arrays, uses_gpu
from search.task.settings import Settings
from search.tune.device import claim_device

WARM_UP_S = 5.0  # the training that is measured takes this long, and to the end of its epoch
SHARES = (8, 4, 2, 1)  # trials on a GPU; powers of two, which divide a GPU's 1 exactly
RESERVE = 1.25  # a sampled trial may be larger than the largest preset
UNKNOWN = 4  # the most trials on a GPU if it is not known how busy a trial keeps it


@dataclass(frozen=True)
class Need:
    """How much of a GPU a trial uses."""

    memory: int  # bytes used on the device, including those of CUDA itself
    total: int  # bytes of the whole device
    busy: float | None  # part of the time in which a kernel ran; None if that was not measured


def share(need: Need) -> float:
    """GPUs for a trial. As many trials share a GPU as fit into its memory and do not wait for each
    other."""
    by_memory = need.total / (need.memory * RESERVE)
    by_time = UNKNOWN if need.busy is None else 1 / max(need.busy, 1 / SHARES[0])
    fitting = [n for n in SHARES if n <= min(by_memory, by_time) + 1e-9]
    return 1 / (fitting[0] if fitting else 1)


def measured_share(task: Task, arrays: ray.ObjectRef, settings: Settings) -> float:
    """`share` of the preset with the most weights, measured while it trains for some seconds on a
    GPU of the cluster. A quarter if that fails: the search itself will then say why."""
    measure = ray.remote(num_cpus=settings.cpus_per_trial, num_gpus=1, max_retries=1)(_measure)
    try:
        need = ray.get(measure.remote(task, arrays, settings.seed))
    except RayError as error:
        print(f"what a trial needs of a GPU could not be measured ({last_line(error)})")
        return 1 / UNKNOWN
    if need is None:
        return 1 / UNKNOWN
    found = share(need)
    busy = "an unknown part" if need.busy is None else f"{need.busy:.0%}"
    print(
        f"the largest preset takes {need.memory / 2**30:.1f} of {need.total / 2**30:.1f} GiB of a "
        f"GPU and {busy} of its time: {round(1 / found)} at a time on each "
        f"(--gpus-per-trial {found:g})",
        flush=True,
    )
    return found


def _measure(task: Task, arrays: dict, seed: int) -> Need | None:
    """None if Ray counts a GPU that torch does not see."""
    if claim_device() == "cpu":
        return None
    data = task.prepare(data_from_arrays(arrays), "cuda")
    presets = [preset.parameters for preset in task.presets()]
    runs = [task.start(p, seed, data) for p in presets if uses_gpu(task, p)]
    if not runs:
        return None
    largest = max(runs, key=number_of_weights)
    del runs
    torch.cuda.empty_cache()  # frees the memory of the smaller networks
    busy: list[float] = []
    stop = threading.Event()
    sampler = threading.Thread(target=_sample, args=(busy, stop), daemon=True)
    sampler.start()
    begin = time.monotonic()
    for _ in largest.epochs():
        if time.monotonic() - begin > WARM_UP_S:
            break
    stop.set()
    sampler.join()
    free, total = torch.cuda.mem_get_info()
    return Need(total - free, total, sum(busy) / len(busy) if busy else None)


def number_of_weights(run: Run) -> int:
    """Number of weights of a run, each a scalar; 0 if a run has none before its first epoch."""
    try:
        return sum(value.numel() for value in run.weights().values() if hasattr(value, "numel"))
    except AttributeError:  # a perceptron that has not been fitted yet
        return 0


def _sample(busy: list[float], stop: threading.Event) -> None:
    """Append NVML's utilisation ten times a second; nothing if its package is missing."""
    while not stop.wait(0.1):
        try:
            busy.append(torch.cuda.utilization() / 100)
        except Exception:  # NVML's own classes are in the package that may be missing
            return
