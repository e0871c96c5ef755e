"""`Files`: bytes by name in a folder or a bucket, each whole or absent. Workers use nothing else.

A place is a folder that driver and workers see, or a prefix of a bucket (search/store/bucket.py).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from models.files import write_atomically


class FolderError(Exception):
    """The run folder cannot be used; the text is one line that says what to do."""


class TakenError(FolderError):
    """Another search has the run folder."""


class Files(Protocol):
    """Named files in one place. The object is sent to the workers. Methods raise OSError if the
    place cannot be reached or written."""

    location: str  # path or URI, for people

    def child(self, name: str) -> Files:
        """Another place, inside this one; it need not exist."""

    def read(self, name: str) -> bytes | None:
        """None if there is no such file."""

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Call `write` on a new file, which replaces the old one once it is whole."""

    def delete(self, name: str) -> None:
        """Nothing happens if there is no such file."""

    def names(self) -> list[str]:
        """The names of the files here, without those of `child` places, sorted."""


@dataclass(frozen=True)
class FolderFiles:
    """`Files` in a folder."""

    root: Path

    @property
    def location(self) -> str:
        return str(self.root)

    def child(self, name: str) -> FolderFiles:
        return FolderFiles(self.root / name)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        write_atomically(self.root / name, write)

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def times(self) -> dict[str, float]:
        """When each file here was last written, by the clock of the file system."""
        found = {}
        for name in self.names():
            with suppress(FileNotFoundError):
                found[name] = (self.root / name).stat().st_mtime
        return found

    def names(self) -> list[str]:
        """Removes the half-written files of killed processes."""
        found = []
        for entry in os.scandir(self.root) if self.root.exists() else ():
            if entry.name.endswith(".tmp"):
                (self.root / entry.name).unlink(missing_ok=True)
            elif entry.is_file():
                found.append(entry.name)
        return sorted(found)


def write_json(path: Path, value: object) -> None:
    """Write JSON for people: indented, in the order given, ending with a newline."""
    write_atomically(path, lambda file: file.write(json_bytes(value)))


def json_bytes(value: object) -> bytes:
    """The bytes that `write_json` writes."""
    return (json.dumps(value, indent=2, default=str) + "\n").encode()


def one_line(error: Exception) -> str:
    """The message of an error, without the line breaks of a server's answer."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return re.sub(r"\s+", " ", text).strip().rstrip(".")
