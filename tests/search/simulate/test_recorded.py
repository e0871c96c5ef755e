"""Recorded curves: the file, and the nearest of them."""

from __future__ import annotations

import numpy as np
import pytest

from search.simulate.curves import (
    GROUP,
    PROJECT_CURVES,
    coordinates,
    load_curves,
)
from tests.search.simulate.made import made


def test_the_recorded_file_is_small_and_whole():
    curves = load_curves(PROJECT_CURVES)
    assert PROJECT_CURVES.stat().st_size < 300_000
    for group in curves.space.groups:
        assert np.isfinite(curves.finals()[curves.groups == group]).sum() >= 10


def test_a_recorded_configuration_is_its_own_nearest():
    curves = made()
    assert [curves.nearest(p) for p in curves.parameters] == list(range(60))


def test_nearest_keeps_to_the_code_size_and_to_what_is_unused():
    curves = made()
    for parameters in curves.parameters[:10]:
        used = set()
        for _ in range(30):
            row = curves.nearest(parameters, used)
            assert curves.groups[row] == parameters[GROUP] and row not in used
            used.add(row)
        assert curves.nearest(parameters, used) == curves.nearest(parameters)


def test_distance_is_logarithmic_where_the_space_is_and_one_for_another_category():
    curves = made()
    here = curves.parameters[0] | {"learning_rate": 5e-4, "activation": "relu"}

    def distance(**changed) -> float:
        there = coordinates(curves.space, here | changed)
        return np.linalg.norm(coordinates(curves.space, here) - there)

    assert distance(learning_rate=1e-2) == pytest.approx(1)
    assert distance(learning_rate=np.sqrt(5e-4 * 1e-2)) == pytest.approx(0.5)
    assert distance(activation="gelu") == distance(activation="silu") == pytest.approx(1)
