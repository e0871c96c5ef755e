"""How many trials share a GPU, measured on the largest presets before the first trial."""

from __future__ import annotations

import time

import ray
from ray.exceptions import RayError

from search.cluster.jobs import last_line
from search.task.protocol import Task, uses_gpu
from search.task.settings import Settings
from search.tune.worker.card import NUMBERS, Need, Place

RESERVE = 1.25  # a sampled trial may be larger than the largest preset
UNKNOWN = 4  # trials on a GPU if what they need cannot be measured
NEAR = 0.95  # of the best speed is enough: with more trials, each would only be slower
SAY_AFTER_S, GIVE_UP_AFTER_S = 5.0, 60.0  # of waiting for a GPU that another job holds


def share(need: Need) -> float:
    """GPUs for a trial: as many trials share a GPU as fit into its memory and train faster
    together."""
    fitting = [n for n in NUMBERS if n * need.memory * RESERVE <= need.total] or [1]
    measured = {n: gain for n, gain in need.gains.items() if n in fitting}
    enough = NEAR * max(measured.values(), default=0.0)
    return 1 / min((n for n, gain in measured.items() if gain >= enough), default=1)


def measured_share(task: Task, cards: ray.actor.ActorHandle, settings: Settings) -> float:
    """`share` of the largest preset, measured on a GPU of the cluster. If that fails, prints why
    and returns 1 / UNKNOWN."""
    presets = [p.parameters for p in task.presets() if uses_gpu(task, p.parameters)]
    measure = ray.remote(num_cpus=0, num_gpus=1, max_retries=1)(_measure)
    try:
        need = _result(measure.remote(cards, presets, settings.seed), cards)
    except RayError as error:
        need = last_line(error)
    if isinstance(need, str):
        print(
            f"what a trial needs of a GPU could not be measured ({need}): {UNKNOWN} share each GPU "
            f"(--gpus-per-trial {1 / UNKNOWN:g})",
            flush=True,
        )
        return 1 / UNKNOWN
    found = share(need)
    number = round(1 / found)
    print(
        f"{number} trials share each GPU (--gpus-per-trial {found:g}), for "
        f"{', '.join(f'{n} train {gain:.1f}' for n, gain in need.gains.items())} times as fast as "
        f"in turn; a large preset takes {need.memory / 2**30:.2f} of "
        f"{need.total / 2**30:.1f} GiB",
        flush=True,
    )
    return found


def _result(measurement: ray.ObjectRef, cards: ray.actor.ActorHandle) -> Need | str:
    """What was measured, or why nothing was. Waits at most GIVE_UP_AFTER_S for a GPU that others
    hold."""
    begin = time.monotonic()
    said = False
    while not ray.wait([measurement], timeout=SAY_AFTER_S)[0]:
        if ray.get(cards.number.remote()):
            continue  # it has its GPU
        if time.monotonic() - begin > GIVE_UP_AFTER_S:
            ray.cancel(measurement)
            return f"no GPU became free in {GIVE_UP_AFTER_S:.0f} s"
        if not said:
            print("waiting for a GPU, to measure what a trial needs of it", flush=True)
            said = True
    return ray.get(measurement)


def _measure(cards: ray.actor.ActorHandle, presets: list[dict], seed: int) -> Need | str:
    """Holds a whole GPU, so that no trial of another search disturbs the measurement."""
    card = ray.get(cards.at.remote(Place.of_this_worker()))
    return ray.get(card.measure.remote(presets, seed))
