"""Whether PyTorch can use the GPUs that Ray counts.

`ray start --num-gpus 1` counts a GPU on any machine, and a CPU build of PyTorch sees none."""

from __future__ import annotations

from functools import cache

import ray
import torch
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ANSWER_S = 60.0  # a node that has not answered by then counts as one with a GPU


def cluster_has_gpu() -> bool:
    """Whether PyTorch sees a GPU on a node of the cluster. One line says so if Ray counts some and
    PyTorch sees none."""
    counted = {
        node["NodeID"]: node["Resources"]["GPU"]
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("GPU", 0) > 0
    }
    return bool(counted) and _sees_gpu(tuple(sorted(counted)), sum(counted.values()))


@cache
def _sees_gpu(nodes: tuple[str, ...], gpus: float) -> bool:
    # The worker ends after its answer: a later trial without a GPU must hide them before torch
    # has looked.
    look = ray.remote(num_cpus=0, max_calls=1, max_retries=1)(_look)
    asked = [
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
        for node in nodes
    ]
    done, late = ray.wait(asked, num_returns=len(asked), timeout=ANSWER_S)
    try:
        if late or any(ray.get(done)):
            return True
    except RayError:  # a node that cannot answer fails again in its trials, which say why
        return True
    print(
        f"note: Ray counts {gpus:g} GPUs, and PyTorch sees none: the search runs on CPUs",
        flush=True,
    )
    return False


def _look() -> bool:
    return torch.cuda.is_available()
