"""How many trials the cluster holds at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ray

from search.cluster.gpu import UNKNOWN, measured_share
from search.cluster.gpu_check import cluster_has_gpu
from search.store.checkpoints import CheckpointStore
from search.task.protocol import Task, uses_gpu
from search.task.settings import Settings, UsageError
from search.tune.limits import Limits
from search.tune.worker.attempt import EVERY_EPOCH, CheckpointPolicy
from search.tune.worker.card import Cards

CPUS_BESIDE_GPU = 0.5  # for a trial in the process of a GPU: its thread only launches kernels
Resources = Mapping[str, float]  # of a node, by Ray's names: "CPU", "GPU"


def node_resources() -> list[Resources]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def capacity(nodes: Iterable[Resources], cpus: float, gpus: float, gpu_part: float = 1.0) -> int:
    """How many trials the nodes hold at a time. A trial stays on one node, and a part of a GPU on
    one GPU: two nodes of 3 CPUs hold two trials of 2, and 0.4 GPUs fit twice into each GPU.

    gpu_part: the part of the trials that hold a GPU; the others need CPUs alone."""
    nodes = list(nodes)
    by_cpu = sum(_fit(node.get("CPU", 0), cpus) for node in nodes)
    if not gpus or not gpu_part:
        return by_cpu
    by_gpu = sum(
        min(_fit(node.get("CPU", 0), cpus), _fit_gpus(node.get("GPU", 0), gpus)) for node in nodes
    )
    return min(by_cpu, int(by_gpu / gpu_part + 1e-9))


def _fit(have: float, want: float) -> int:
    return int(have / want + 1e-9)


def _fit_gpus(have: float, want: float) -> int:
    return _fit(have, want) if want >= 1 else int(have) * _fit(1, want)


def check_room(settings: Settings) -> None:
    """Raise UsageError if no node holds a trial. With --address and --max-concurrent, only say so:
    nodes may still come, on a cluster that grows when trials wait."""
    nodes, gpus = node_resources(), settings.gpus_per_trial or 0
    if capacity(nodes, settings.cpus_per_trial, gpus):
        return
    most = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), default={})
    problem = (
        f"a trial wants {settings.cpus_per_trial:g} CPUs and {gpus:g} GPUs, and no node has both: "
        f"the largest has {most.get('CPU', 0):g} and {most.get('GPU', 0):g}"
    )
    if not settings.address:
        raise UsageError(problem)
    if not settings.max_concurrent:
        raise UsageError(f"{problem} (--max-concurrent N waits for nodes)")
    print(f"{problem}; waiting for a larger node", flush=True)


def session_limits(
    settings: Settings,
    task: Task | None = None,
    cards: ray.actor.ActorHandle | None = None,
    checkpoints: CheckpointPolicy = EVERY_EPOCH,
) -> Limits:
    """The limits that fill the cluster: as many trials at a time as its nodes hold, also when nodes
    come and go.

    If the settings do not say how many GPUs a trial gets, this is measured with `task` on a GPU of
    `cards`; without a task it is a quarter of a GPU."""
    part = 1.0 if task is None else _gpu_part(task)
    gpus = settings.gpus_per_trial
    if gpus is None:
        has_gpu = part > 0 and cluster_has_gpu()
        measures = has_gpu and task is not None and cards is not None
        found = measured_share(task, cards, settings) if measures else 1 / UNKNOWN
        gpus = found if has_gpu else 0.0
    shares = 0 < gpus < 1 and cards is not None and not settings.mps
    cpus = min(settings.cpus_per_trial, CPUS_BESIDE_GPU) if shares else settings.cpus_per_trial

    def slots() -> int:
        return capacity(node_resources(), cpus, gpus, part)

    return Limits(
        num_samples=settings.num_samples,
        grace_epochs=settings.grace_epochs,
        max_concurrent=settings.max_concurrent or max(1, slots()),
        cpus_per_trial=cpus,
        gpus_per_trial=gpus,
        max_failures=settings.max_failures,
        trial_timeout_s=settings.trial_timeout_s,
        time_budget_s=settings.time_budget_s,
        slots=None if settings.max_concurrent else slots,
        checkpoints=checkpoints,
        cards=cards if shares else None,
    )


def begin_cards(
    settings: Settings,
    task: Task,
    arrays: ray.ObjectRef,
    store: CheckpointStore,
    checkpoints: CheckpointPolicy,
) -> ray.actor.ActorHandle | None:
    """The `Cards` of a search whose trials may share GPUs; None without GPUs."""
    if settings.gpus_per_trial is None and not cluster_has_gpu():
        return None
    if settings.gpus_per_trial == 0 or (settings.gpus_per_trial or 0) >= 1:
        return None
    return ray.remote(Cards).options(num_cpus=0).remote(task, [arrays], store, checkpoints)


def _gpu_part(task: Task) -> float:
    """The part of the search's groups that use a GPU. Groups take turns, so it is also the part of
    the trials."""
    space = task.space()
    using = [uses_gpu(task, space.meaning.get(group, {})) for group in space.groups]
    return sum(using) / len(using)
