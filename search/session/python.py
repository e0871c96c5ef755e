"""A search from Python: its keyword arguments are the flags of the command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from models.data.cache import digest
from models.ending import Ending
from models.files import write_atomically
from search.session.command import Command
from search.task.ranges import as_texts, read_wanted
from search.task.settings import Settings, UsageError, as_flag

if TYPE_CHECKING:
    from search.session.prepare import Session
    from search.session.result import SearchResult

IMAGES = ".images"  # in the storage path: shared by all searches there


def search_from_python(
    command: Command, images: Any, labels: Any, flags: Mapping[str, Any]
) -> SearchResult:
    """Run a search as the command does, with the same checks. Raises as `run_search` does."""
    argv = as_argv({**_dataset(images, labels, flags), **flags})
    parser = command.parser()
    parser.error = _refuse  # type: ignore[method-assign]
    given = vars(parser.parse_args(argv))
    from search.session.run import BEFORE, run_search

    # It is not entered, so that signals stay as they are.
    ending = Ending(f"search.{command.name}", BEFORE)
    try:
        return run_search(command, given, argv, ending, _as_call)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted{ending.goes_on}") from None


def _dataset(images: Any, labels: Any, flags: Mapping[str, Any]) -> dict[str, str]:
    """The flag that names the images. Arrays are kept as a file beside the run folders, so that the
    command can go on with the search, and other programs can read them."""
    if images is None:
        return {}
    if "dataset" in flags:
        raise UsageError("the images are given twice: leave dataset out")
    if isinstance(images, str | Path):
        if labels is not None:
            raise UsageError(f"labels belong to an array of images; {images} has its own")
        return {"dataset": str(images)}
    arrays = {"images": _array(images)} | ({} if labels is None else {"labels": _array(labels)})
    if "labels" in arrays and len(arrays["labels"]) != len(arrays["images"]):
        raise UsageError(f"{len(arrays['labels'])} labels for {len(arrays['images'])} images")
    storage = str(flags.get("storage_path") or Settings.storage_path)
    if "://" in storage:  # arrays of a search in a bucket are kept with the data sets
        storage = str(flags.get("data_dir") or os.environ.get("DATA_DIR", "data"))
    folder = Path(storage).expanduser()
    path = folder / IMAGES / f"images-{digest(arrays)[:12]}.npz"
    if not path.exists():
        write_atomically(path, lambda file: np.savez(file, **arrays))
    return {"dataset": str(path.absolute())}


def _array(values: Any) -> np.ndarray:
    """Makes an array from an array, a tensor, a list or a column of a table."""
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return np.ascontiguousarray(values)


def as_argv(flags: Mapping[str, Any]) -> list[str]:
    """The command line that says the same as keyword arguments."""
    return [word for name, value in flags.items() for word in _words(name, value)]


def _words(name: str, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    flag = as_flag(name)
    if value is True:
        return [flag]
    if name == "set" and isinstance(value, Mapping):
        return [flag, *as_texts(read_wanted(value))] if value else []
    if isinstance(value, list | tuple | np.ndarray):
        return [flag, *map(str, value)]
    return [f"{flag}={value}"]


def _refuse(message: str) -> NoReturn:
    raise UsageError(message)


def _as_call(session: Session) -> str:
    """The call that goes on with this search."""
    return (
        f"search.{session.command.name}.search(..., name={session.folder.name!r}, "
        f"storage_path={session.settings.storage_path!r}, resume=True)"
    )
