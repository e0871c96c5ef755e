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
from analysis.read.values import RunError, finite, one_line, text
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
    """Pictures of one winner: float arrays in [0, 1], (N, side, side) with ink bright, or (N, side,
    side, 3) in colour."""

    inputs: np.ndarray
    noised: np.ndarray
    reconstructions: np.ndarray


def read_examples(run: Run, group: Group) -> Examples:
    """Pictures of a group's winner. Raises `RunError` if missing, broken or pickled."""
    name = f"{BEST}/{group}/examples.npz"
    return Examples(*read_images(run, name, ("inputs", "noised", "reconstructions")))


def read_images(run: Run, name: str, keys: Iterable[str]) -> list[np.ndarray]:
    """Arrays of one N from a file of the run folder, as `as_images` gives them.

    Raises `RunError` if it is missing, broken or pickled, or holds arrays of other shapes.
    """
    with archive(run, name) as found:
        arrays = [as_images(run, found[key], key) for key in keys]
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


def as_images(run: Run, array: np.ndarray, key: str, lead: tuple[int, ...] = ()) -> np.ndarray:
    """Images (N, *lead, side, side) in [0, 1], ink bright, or (N, *lead, side, side, 3) in colour,
    of the size of the run's images. Own images in grey are given in colour, for they are shown as
    they are, and no ink on paper. Raises `ValueError` for another shape."""
    side = int(finite(run.data.get("side"), 28))
    colours = (3,) if finite(run.data.get("channels"), 1) == 3 else ()
    shape = (*lead, side, side, *colours)
    if array.ndim != 1 + len(shape) or array.shape[1:] != shape or not len(array):
        raise ValueError(f"{key} has shape {array.shape}, not (N, {', '.join(map(str, shape))})")
    scale = 255 if array.dtype == np.uint8 else 1
    images = np.clip(np.nan_to_num(array.astype(np.float64) / scale, nan=0.0), 0, 1)
    if text(run.data.get("source")) and not colours:
        return np.repeat(images[..., None], 3, axis=-1)
    return images
