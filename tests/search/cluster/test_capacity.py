"""How many trials the cluster holds: the arithmetic. What real nodes do is in test_nodes.py."""

from __future__ import annotations

import pytest

from search.cluster.capacity import capacity


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "part", "held"),
    [
        ([{"CPU": 4}], 1, 0, 1, 4),
        ([{"CPU": 3}, {"CPU": 3}], 2, 0, 1, 2),  # six CPUs, and no third trial on them
        ([{"CPU": 8, "GPU": 1}], 1, 0.25, 1, 4),
        ([{"CPU": 2, "GPU": 1}], 1, 0.25, 1, 2),
        ([{"CPU": 8, "GPU": 2}], 1, 0.4, 1, 4),  # twice into each GPU, not five times into both
        ([{"CPU": 8, "GPU": 4}], 1, 2, 1, 2),
        ([{"GPU": 8}, {"CPU": 8}], 1, 1, 1, 0),  # GPUs here, CPUs there: no place for a trial
        ([{"CPU": 0.3}], 0.1, 0, 1, 3),
        ([{"CPU": 64}, {"CPU": 16, "GPU": 4}], 1, 0.5, 1, 8),
        ([{"CPU": 64}, {"CPU": 16, "GPU": 4}], 1, 0.5, 0.25, 32),  # 8 with a GPU, 24 without
        ([{"CPU": 4, "GPU": 8}], 1, 0.5, 0.25, 4),
        ([{"CPU": 4, "GPU": 8}], 1, 0.5, 0, 4),
        ([], 1, 0, 1, 0),
    ],
)
def test_trials_are_packed_by_node(nodes, cpus, gpus, part, held):
    assert capacity(nodes, cpus, gpus, part) == held
