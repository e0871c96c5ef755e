"""Recorded curves: their file, and the nearest curve."""

from __future__ import annotations

import numpy as np
import pytest

from search.latent_probes.space import probe_space
from search.simulate.recorded import (
    Curves,
    coordinates,
    load_curves,
    neighbour_agreement,
    recorded_tasks,
    space_from_json,
)
from tests.search.simulate.made import GROUP, made


@pytest.mark.parametrize("task", recorded_tasks())
def test_a_recorded_file_is_small_and_whole(task):
    path = recorded_tasks()[task]
    curves = load_curves(path)
    assert path.stat().st_size < 300_000
    assert -1 <= neighbour_agreement(curves) <= 1
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


def test_a_space_of_families_comes_back_from_its_json():
    space = probe_space(("knn", "mlp"), (128, 32), 4)
    read = space_from_json(space.as_json())
    assert read.as_json() == space.as_json()
    assert read.of("knn-32").distributions == space.of("knn-32").distributions
    point = coordinates(read, {"model": "knn-32", "neighbours": 40, "views": 1})
    assert point.max() == 1 and len(point) == len(coordinates(read, {"width": 256}))


def test_the_loss_of_an_accuracy_is_what_it_lacks_and_never_zero():
    curves = made()
    values = np.array([[0.5, 0.9], [0.75, 1.0], [np.nan, np.nan]])
    curves = Curves(curves.space, (), values, curves.points, curves.groups, "accuracy", "max")
    assert curves.losses[:2] == pytest.approx(np.array([[0.5, 0.1], [0.25, 0.05]]))
    assert curves.finals() == pytest.approx([0.1, 0.05, np.inf])
