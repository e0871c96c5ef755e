"""What several test files share: one Ray for the session, and a search without training."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two cores: tests and their trials share them


@pytest.fixture(scope="session")
def cluster():
    """A Ray of this machine with two CPUs, for the whole session of tests."""
    import ray

    from search.cluster import start_ray

    start_ray(None, num_cpus=2)
    yield
    ray.shutdown()
