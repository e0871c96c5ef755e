"""The nearest members of each class."""

import numpy as np
import pytest

from probes.classifiers.neighbours import ClassMembers, nearest_members


def test_nearest_members_are_found_class_by_class(blobs):
    codes, labels = blobs
    members = ClassMembers.of(codes, labels, 12)
    near = nearest_members(codes[:3], members, 2)
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    cosines = unit[:3] @ unit.T
    for query in range(3):
        for c in range(12):
            wanted = np.sort(cosines[query, labels == c])[::-1][:2]
            assert near[query, c] == pytest.approx(wanted, abs=1e-5)


def test_a_class_with_one_member_repeats_it(blobs):
    codes, _ = blobs
    members = ClassMembers.of(codes[:3], np.array([0, 1, 1]), 2)
    near = nearest_members(codes[:1], members, 3)
    assert near[0, 0] == pytest.approx(1.0, abs=1e-5)
    assert near[0, 1, 1] == near[0, 1, 2] <= near[0, 1, 0]
