"""A run folder: where its files are, who may write to it, and how they are written."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class FolderError(Exception):
    """The run folder cannot be used; the text is one line that says what to do."""


class RunFolder:
    """Paths of `<storage-path>/<name>/`."""

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        self.ledger = path / "ledger.log"
        self.study = path / "study.log"
        self.run_json = path / "run.json"
        self.trials_csv = path / "trials.csv"
        self.epochs_csv = path / "epochs.csv"
        self.final_json = path / "final.json"
        self.checkpoints = path / "checkpoints"
        self.best = path / "best"
        self.finals = path / "finals"  # of the retrained winners, what each kind of search keeps
        self.errors = path / "errors"
        self.ray = path / "ray"  # what Ray writes; a search never reads it back

    def create(self) -> None:
        """Make the folder. Raises FolderError if the name is taken or the place not writable."""
        try:
            self.path.mkdir(parents=True)
        except FileExistsError:
            raise FolderError(
                f"{self.path} exists already: add --resume to go on with that "
                "search, or give another --name"
            ) from None
        except OSError as error:
            raise FolderError(
                f"{self.path} cannot be made ({error.strerror}): give another --storage-path"
            ) from error

    @contextmanager
    def locked(self):
        """Hold the folder for this process. The operating system lets go of the lock when the
        process dies, however it dies. Raises FolderError if another process holds it."""
        with open(self.path / "lock", "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderError(
                    f"{self.path} is in use by another search that is running now: "
                    "wait for it, stop it, or give another --name"
                ) from None
            yield


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Call `write` on a new file and put it in the place of `path` once it is whole and on disk:
    a reader, and whoever comes after a crash, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(path: Path) -> None:
    """Make a rename in a folder survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: object) -> None:
    """Write JSON for people: indented, in the order given, ending with a newline."""
    text = json.dumps(value, indent=2, default=str) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))
