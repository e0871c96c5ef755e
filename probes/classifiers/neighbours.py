"""Cosine similarity of codes to the nearest members and to the mean of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUERY_ROWS = 256  # at a time, to limit the memory of the matrix of similarities


@dataclass(frozen=True)
class ClassMembers:
    """Codes of length 1, sorted by class, for `nearest_members`."""

    codes: np.ndarray  # float32 (N, D), length 1
    starts: np.ndarray  # (C + 1,): members of class c are rows starts[c] to starts[c + 1]
    means: np.ndarray  # float32 (C, D), means of the members, scaled to length 1

    @classmethod
    def of(cls, codes: np.ndarray, labels: np.ndarray, classes: int) -> ClassMembers:
        """From codes (N, D) with labels (N,) in 0..classes-1. Each class needs a member."""
        order = np.argsort(labels, kind="stable")
        codes = unit_rows(codes[order])
        starts = np.searchsorted(labels[order], np.arange(classes + 1))
        sums = np.add.reduceat(codes, starts[:-1], axis=0)
        return cls(codes, starts, unit_rows(sums))


def unit_rows(codes: np.ndarray) -> np.ndarray:
    """Codes (N, D) scaled to length 1, float32; zeros stay zeros."""
    codes = np.asarray(codes, np.float32)
    return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-12)


def nearest_members(queries: np.ndarray, members: ClassMembers, count: int) -> np.ndarray:
    """Cosines (N, C, count) of each query (N, D) with the nearest members of each class, nearest
    first. If a class has fewer than `count` members, its farthest member is repeated."""
    queries = unit_rows(queries)
    classes = len(members.starts) - 1
    nearest = np.empty((len(queries), classes, count), np.float32)
    for first in range(0, len(queries), QUERY_ROWS):
        part = slice(first, first + QUERY_ROWS)
        cosines = queries[part] @ members.codes.T
        for c in range(classes):
            own = cosines[:, members.starts[c] : members.starts[c + 1]]
            have = min(count, own.shape[1])
            top = -np.partition(-own, have - 1, axis=1)[:, :have]
            top = -np.sort(-top, axis=1)
            nearest[part, c, :have] = top
            nearest[part, c, have:] = top[:, -1:]
    return nearest
