"""Pictures that a search kept of its winners. Nothing that is read here is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.read.results import Group
from analysis.read.values import RunError, one_line
from search.record.schema import BEST

if TYPE_CHECKING:
    from analysis.read.runs import Run

_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
)


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
    try:
        with np.load(run.folder / name, allow_pickle=False) as archive:
            arrays = [_images(archive[key], key) for key in keys]
    except FileNotFoundError:
        raise RunError(f"{name} is missing") from None
    except _FAULTS as error:
        raise RunError(f"{name} cannot be read ({one_line(error)})") from None
    if len({len(array) for array in arrays}) != 1:
        raise RunError(f"{name} holds arrays of different lengths")
    return arrays


def _images(array: np.ndarray, key: str) -> np.ndarray:
    if array.ndim != 3 or array.shape[1:] != (28, 28) or not len(array):
        raise ValueError(f"{key} has shape {array.shape}, not (N, 28, 28)")
    scale = 255 if array.dtype == np.uint8 else 1
    return np.clip(np.nan_to_num(array.astype(np.float64) / scale, nan=0.0), 0, 1)
