"""Own images by their path."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from models.data.cache import Pack
from models.data.errors import DataError
from models.data.own.arrays import read_arrays
from models.data.own.folder import read_folder


def own_path(name: str, known: Iterable[str]) -> str:
    """`name` itself if it is one of the sets `known`, else the absolute path of own images.

    Raises DataError, which names the nearest set, if there is neither."""
    known = tuple(known)
    if name in known:
        return name
    path = Path(name).expanduser()
    if path.exists():
        return str(path.absolute())
    if os.sep in name or path.suffix:
        raise DataError(f"{name} does not exist: own images are a .npz file or a folder of images")
    near = difflib.get_close_matches(name, known, 1)
    hint = f": did you mean {near[0]}?" if near else ";"
    raise DataError(
        f"{name} is neither a data set nor a file or folder that exists{hint} data sets by name: "
        f"{', '.join(known)}"
    )


def read_own(path: Path, data_dir: Path, image_size: int | None, grey: bool) -> Pack:
    """The images of a .npz file or of a folder. Raises DataError."""
    if path.is_dir():
        return read_folder(path, data_dir, image_size, grey)
    if not path.exists():
        raise DataError(f"{path} does not exist")
    if path.suffix.lower() != ".npz":
        raise DataError(
            f"{path}: own images are a .npz file or a folder of images, and this is neither"
        )
    return read_arrays(path, image_size, grey)


def own_name(path: Path, known: Iterable[str]) -> str:
    """A short name that can be part of a file name and is none of the sets `known`."""
    name = re.sub(r"[^\w.-]+", "-", path.stem if path.is_file() else path.name).strip(".-")
    return f"own-{name}" if not name or name in set(known) else name
