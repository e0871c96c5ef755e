"""How many trials share a GPU: measured on the largest preset, before the first trial."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import ray
import torch
from ray.exceptions import RayError

from search.task.protocol import Run, Task, data_from_arrays, uses_gpu
from search.task.settings import Settings
from search.tune.device import claim_device

WARM_UP_S = 5.0  # of training, and to the end of that epoch
SHARES = (8, 4, 2, 1)  # trials on a GPU; powers of two, which a GPU's 1 is divided into exactly
SPARE = 1.25  # a sampled trial may be larger than the largest preset
UNKNOWN = 4  # trials on a GPU at most, where nobody says how busy it was


@dataclass(frozen=True)
class Need:
    """What a trial was seen to take of a GPU."""

    memory: int  # bytes on the device, CUDA's own among them
    of: int  # bytes that the device has
    busy: float | None  # part of the time in which a kernel ran; None where nobody measures it


def share(need: Need) -> float:
    """GPUs for a trial: so many on one as its memory holds and as do not wait for each other."""
    by_memory = need.of / (need.memory * SPARE)
    by_time = UNKNOWN if need.busy is None else 1 / max(need.busy, 1 / SHARES[0])
    fitting = [n for n in SHARES if n <= min(by_memory, by_time) + 1e-9]
    return 1 / (fitting[0] if fitting else 1)


def measured_share(task: Task, arrays: ray.ObjectRef, settings: Settings) -> float:
    """`share` of the preset with most weights, trained for some seconds on one GPU of the cluster;
    a quarter where that fails, for the search will say better why."""
    measure = ray.remote(num_cpus=settings.cpus_per_trial, num_gpus=1, max_retries=1)(_measure)
    try:
        need = ray.get(measure.remote(task, arrays, settings.seed))
    except RayError as error:
        print(f"what a trial needs of a GPU could not be measured ({_last_line(error)})")
        return 1 / UNKNOWN
    if need is None:
        return 1 / UNKNOWN
    found = share(need)
    busy = "an unknown part" if need.busy is None else f"{need.busy:.0%}"
    print(
        f"the largest preset takes {need.memory / 2**30:.1f} of {need.of / 2**30:.1f} GiB of a GPU "
        f"and {busy} of its time: {round(1 / found)} at a time on each "
        f"(--gpus-per-trial {found:g})",
        flush=True,
    )
    return found


def _measure(task: Task, arrays: dict, seed: int) -> Need | None:
    """None where Ray counts a GPU and torch sees none."""
    if claim_device() == "cpu":
        return None
    data = task.prepare(data_from_arrays(arrays), "cuda")
    presets = [preset.parameters for preset in task.presets()]
    runs = [task.start(p, seed, data) for p in presets if uses_gpu(task, p)]
    if not runs:
        return None
    largest = max(runs, key=size)
    del runs
    torch.cuda.empty_cache()  # of the smaller ones
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
    free, of = torch.cuda.mem_get_info()
    return Need(of - free, of, sum(busy) / len(busy) if busy else None)


def size(run: Run) -> int:
    """Numbers in its weights, as far as it has any before its first epoch."""
    try:
        return sum(value.numel() for value in run.weights().values() if hasattr(value, "numel"))
    except AttributeError:  # a perceptron that has not been fitted yet has no weights
        return 0


def _sample(busy: list[float], stop: threading.Event) -> None:
    """NVML's utilisation, ten times a second; nothing where its package is missing."""
    while not stop.wait(0.1):
        try:
            busy.append(torch.cuda.utilization() / 100)
        except Exception:  # NVML's are of a package that need not be there to name them
            return


def _last_line(error: RayError) -> str:
    return (str(error).strip() or repr(error)).splitlines()[-1]
