"""Data sets on disk as packs, which are read in a fraction of a second.

A pack is an uncompressed .npz file. Its name contains the name of the data set and a hash that
changes with the source, so a changed source gets a new pack. A pack also contains the sha256 of its
arrays. If the arrays do not match it, the pack is built again. Packs are written atomically: two
processes may build the same pack at the same time, but no process reads a half-written pack.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.files import make_folder, write_atomically

TRAIN, VALIDATION, TEST = range(3)
VERSION = 1  # raise it when older packs must no longer be read


_TEXTS = ("class_names", "notes")  # arrays of a pack that are tuples of words


@dataclass(frozen=True, eq=False)
class Pack:
    """A whole data set as it was read, before it is centred or split."""

    images: np.ndarray  # uint8 (N, side, side), or (N, side, side, 3) in colour
    labels: np.ndarray  # int64 (N,); zeros if there are no labels
    drawers: np.ndarray | None  # int64 (N,): who drew an image, or another group: patient, camera
    class_names: tuple[str, ...]  # empty if there are no labels
    parts: np.ndarray | None = None  # int64 (N,): TRAIN, VALIDATION or TEST, as the source says
    notes: tuple[str, ...] = ()  # what a reader of any result must know about the source

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {"images": self.images, "labels": self.labels, "drawers": self.drawers}
        arrays["class_names"] = np.array(self.class_names, dtype=str)
        arrays["parts"] = self.parts
        arrays["notes"] = np.array(self.notes) if self.notes else None
        return {key: array for key, array in arrays.items() if array is not None}


def digest(arrays: dict[str, np.ndarray]) -> str:
    """sha256 (hex) of named arrays. It covers their names, types, shapes and bytes."""
    sha = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        sha.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        # A view of the bytes: a copy of a large set would take its memory twice.
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def weights_digest(network: torch.nn.Module) -> str:
    """sha256 (hex) of a network's weights and buffers."""
    state = network.state_dict()
    return digest(
        {name: value.detach().cpu().contiguous().numpy() for name, value in state.items()}
    )


def cached(name: str, stamp: object, data_dir: Path, build: Callable[[], Pack]) -> Pack:
    """The pack of the data set `name`. The repr of `stamp` must change when the source changes.

    Looks for the pack in `data_dir`/.cache, then in the user's cache folder. If neither has an
    undamaged copy, calls `build` and saves the pack in the first of the two that can be written.
    """
    key = hashlib.sha256(repr((VERSION, stamp)).encode()).hexdigest()[:12]
    paths = [folder / f"{name}-{key}.npz" for folder in (data_dir / ".cache", _user_cache())]
    for path in paths:
        if (pack := _read(path)) is not None:
            return pack
    pack = build()
    for path in paths:
        try:
            _write(path, pack)
            break
        except OSError:  # read-only, full, or not a folder: try the next
            continue
    return pack


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "autoencoder-search"


def _read(path: Path) -> Pack | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        sha256 = str(arrays.pop("sha256"))
        names, notes = (tuple(arrays[key].tolist()) if key in arrays else () for key in _TEXTS)
        optional = (arrays.get("drawers"), names, arrays.get("parts"), notes)
        pack = Pack(arrays["images"], arrays["labels"], *optional)
    except Exception:  # a damaged file can raise nearly anything
        return None
    return pack if digest(arrays) == sha256 else None


def _write(path: Path, pack: Pack) -> None:
    make_folder(path.parent)
    arrays: dict[str, Any] = {**pack.arrays(), "sha256": np.array(digest(pack.arrays()))}
    write_atomically(path, lambda file: np.savez(file, **arrays))
