"""What a search kept to show what its autoencoders learned: samples, interpolations, the spread and
a map of their codes. Every reader raises `RunError` if the file is missing, broken, pickled or of
an older version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from analysis.read.commands import resume_command
from analysis.read.pictures import archive, as_images
from analysis.read.runs import Group, Run
from analysis.read.values import RunError
from search.record.schema import BEST

_NEW = ("samples", "interpolations", "code_spread", "map")  # not kept by older searches

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class CodeMap:
    """Codes on a plane: points (N, 2), and the index in `names` of the kind of each."""

    points: np.ndarray
    kinds: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class Interpolation:
    """Images (pairs, steps, *image) between two drawings (pairs, 2, *image), in [0, 1]."""

    images: np.ndarray
    ends: np.ndarray


def read_samples(run: Run, size: Group) -> np.ndarray:
    """Images of decoded random codes, as `as_images` gives them."""
    return _read(run, size, ("samples",), lambda images: as_images(run, images, "samples"))


def read_interpolations(run: Run, size: Group) -> Interpolation:
    """Images on the way from one drawing to another, and the drawings."""
    keys = ("interpolations", "interpolation_ends")
    return _read(run, size, keys, partial(_interpolation, run))


def read_spread(run: Run, size: Group) -> np.ndarray:
    """The standard deviations (D,) of code units, falling."""
    return _read(run, size, ("code_spread",), _deviations)


def read_map(run: Run, size: Group) -> CodeMap:
    """Codes on a plane, with their kinds."""
    return _read(run, size, ("map", "map_kinds", "map_names"), _code_map)


def _read(run: Run, size: Group, keys: tuple[str, ...], make: Callable[..., Kept]) -> Kept:
    with archive(run, f"{BEST}/{size}/examples.npz") as found:
        if not set(keys) <= set(found.files):
            reason = (
                "the validation split has too few drawings for it, or their codes are all equal"
            )
            if not set(_NEW) & set(found.files):
                reason = f"made by an older version; {resume_command(run)} makes it"
            raise RunError(reason)
        return make(*[found[key] for key in keys])


def _interpolation(run: Run, images: np.ndarray, ends: np.ndarray) -> Interpolation:
    steps = images.shape[1] if images.ndim > 1 else 0
    if steps < 2 or len(images) != len(ends):
        raise ValueError(f"interpolations have shape {images.shape}, their ends {ends.shape}")
    return Interpolation(
        as_images(run, images, "interpolations", (steps,)),
        as_images(run, ends, "interpolation_ends", (2,)),
    )


def _deviations(units: np.ndarray) -> np.ndarray:
    units = units.astype(np.float64)
    if units.ndim != 1 or not len(units) or not np.isfinite(units).all() or units.min() < 0:
        raise ValueError(f"code_spread, of shape {units.shape}, holds no deviations")
    return -np.sort(-units)


def _code_map(points: np.ndarray, kinds: np.ndarray, names: np.ndarray) -> CodeMap:
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"map has shape {points.shape}, not (N, 2)")
    if names.ndim != 1 or names.dtype.kind != "U" or kinds.dtype.kind not in "iu":
        raise ValueError("map_names or map_kinds are of another type")
    points = points.astype(np.float64)
    if kinds.shape != points.shape[:1] or not np.isfinite(points).all():
        raise ValueError("map has points without coordinates or a kind")
    if kinds.min() < 0 or kinds.max() >= len(names):
        raise ValueError("map_kinds has a kind without a name")
    return CodeMap(points, kinds, tuple(map(str, names)))
