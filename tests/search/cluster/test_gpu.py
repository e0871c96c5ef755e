"""Which part of a GPU a trial gets."""

from __future__ import annotations

import pytest

from search.cluster.gpu import share
from search.tune.worker.card import Need

GIB = 2**30
FASTER = {1: 1.0, 2: 1.9, 4: 3.5, 8: 5.0, 16: 5.1}  # than in turn


@pytest.mark.parametrize(
    ("need", "trials"),
    [
        (Need(GIB, 80 * GIB, FASTER), 8),  # sixteen are hardly faster than eight
        (Need(GIB, 80 * GIB, {1: 1.0, 2: 1.02, 4: 0.9}), 1),  # they only take turns
        (Need(7 * GIB, 40 * GIB, FASTER), 4),  # with what a larger trial may take, four fit
        (Need(30 * GIB, 40 * GIB, FASTER), 1),
        (Need(60 * GIB, 40 * GIB, FASTER), 1),
        (Need(GIB, 80 * GIB, {1: 1.0}), 1),  # nothing is known of more
    ],
)
def test_a_trial_gets_the_part_of_a_gpu_that_it_needs(need, trials):
    assert share(need) == 1 / trials
