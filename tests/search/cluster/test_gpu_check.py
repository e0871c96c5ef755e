"""GPUs that Ray counts and PyTorch does not see."""

from __future__ import annotations

import pytest
import ray
import torch

from search.cluster import gpu_check
from search.cluster.capacity import session_limits
from search.task.settings import Settings

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_ray_counts_and_torch_does_not_see_is_one_line_and_the_cpu(monkeypatch, capsys):
    """As after `ray start --num-gpus 1`."""
    nodes = ray.nodes()
    for node in nodes:
        node["Resources"]["GPU"] = 1.0
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    gpu_check._sees_gpu.cache_clear()
    assert session_limits(Settings()).gpus_per_trial == 0
    assert gpu_check.cluster_has_gpu() is False  # it is asked once
    (line,) = capsys.readouterr().out.splitlines()
    assert "PyTorch sees none" in line


def test_a_cluster_without_gpus_is_not_asked(monkeypatch):
    monkeypatch.setattr(gpu_check, "_sees_gpu", None)
    assert not gpu_check.cluster_has_gpu()
