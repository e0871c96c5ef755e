"""Pictures that a search kept of its winners. Nothing that is read here is unpickled."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.read.results import Group
from analysis.read.runs import Run
from analysis.read.values import RunError, one_line
from search.record.schema import BEST

_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    AttributeError,
    MemoryError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)  # raised by numpy and zipfile for broken files


@dataclass(frozen=True)
class Examples:
    """Pictures of one winner: float arrays (N, 28, 28) in [0, 1], ink bright."""

    inputs: np.ndarray
    noised: np.ndarray
    reconstructions: np.ndarray


def read_examples(run: Run, group: Group) -> Examples:
    """Pictures of a group's winner. Raises `RunError` if missing, broken or pickled."""
    name = f"{BEST}/{group}/examples.npz"
    return Examples(*read_images(run, name, ("inputs", "noised", "reconstructions")))


def read_images(run: Run, name: str, keys: Iterable[str]) -> list[np.ndarray]:
    """Arrays (N, 28, 28) in [0, 1] of one N from a file of the run folder.

    Raises `RunError` if it is missing, broken or pickled, or holds arrays of other shapes.
    """
    with archive(run, name) as found:
        arrays = [as_images(found[key], key) for key in keys]
    if len({len(array) for array in arrays}) != 1:
        raise RunError(f"{name} holds arrays of different lengths")
    return arrays


@contextmanager
def archive(run: Run, name: str) -> Iterator[Any]:
    """The arrays of a file of the run folder, by name. Whatever goes wrong with them inside the
    block is a `RunError` that names the file."""
    try:
        with np.load(run.folder / name, allow_pickle=False) as found:
            yield found
    except RunError:
        raise
    except FileNotFoundError:
        raise RunError(f"{name} is missing") from None
    except _FAULTS as error:
        raise RunError(f"{name} cannot be read ({one_line(error)})") from None


def as_images(array: np.ndarray, key: str, shape: tuple[int, ...] = (28, 28)) -> np.ndarray:
    """Images (N, *shape) in [0, 1]. Raises `ValueError` for another shape."""
    if array.ndim != 1 + len(shape) or array.shape[1:] != shape or not len(array):
        raise ValueError(f"{key} has shape {array.shape}, not (N, {', '.join(map(str, shape))})")
    scale = 255 if array.dtype == np.uint8 else 1
    return np.clip(np.nan_to_num(array.astype(np.float64) / scale, nan=0.0), 0, 1)
