"""The ledger: an append-only file of what happened in a search, and its only source of truth.

Every other file of a run folder that describes the search (tables, Optuna study, ASHA's rungs)
is computed from it. Each line is an event: a CRC-32 of the text in hexadecimal, a space, JSON.
A line is on disk before anything acts on it. A driver that is killed at any moment therefore loses
at most a line that is half written, and nothing has acted on that line yet.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class LedgerError(Exception):
    """The ledger cannot be used; the text is one line that says what to do."""


class Ledger(Protocol):
    """An open ledger. Not safe for two writers: the caller holds the lock of the run folder."""

    def append(self, event: dict) -> None:
        """Write an event and wait until it is stored. Raises OSError if it cannot be stored."""

    def close(self) -> None: ...


class FileLedger:
    """A `Ledger` in a file of a folder. `may_write` raises OSError once another driver may hold the
    run."""

    def __init__(self, path: Path, may_write: Callable[[], None] = lambda: None):
        self.path, self._may_write = path, may_write
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, event: dict) -> None:
        """Write an event and wait until it is on disk.

        Raises OSError where it cannot (a full disk); nothing of the event is left then.
        """
        self._may_write()
        end = os.fstat(self._file).st_size
        line = encode(event)
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(28, "No space left on device", str(self.path))
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, end)
            raise

    def close(self) -> None:
        os.close(self._file)


def read_ledger(path: Path) -> tuple[list[dict], int]:
    """The events, and how many bytes of the file they fill: what follows is a torn last line.

    Raises LedgerError for a file that is missing, or damaged anywhere but in its last line.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise LedgerError(
            f"{path}: cannot be read ({error.strerror}); is this the folder of a search?"
        ) from error
    lines = raw.split(b"\n")
    whole, torn = lines[:-1], lines[-1]
    events = decode(whole, str(path))
    if not events:
        raise LedgerError(
            f"{path}: holds no event: the search was stopped before it began; "
            "delete the folder and start again"
        )
    return events, len(raw) - len(torn)


def encode(event: dict) -> bytes:
    """The line of an event, with its checksum."""
    text = json.dumps(event, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


def decode(lines: list[bytes], name: str) -> list[dict]:
    """The events of whole lines of the ledger `name`. Raises LedgerError for a damaged line."""
    events = []
    for number, line in enumerate(lines, 1):
        checksum, _, text = line.partition(b" ")
        if checksum != f"{zlib.crc32(text):08x}".encode():
            raise LedgerError(f"{name}: line {number} is damaged; restore the file from a copy")
        events.append(json.loads(text))
    return events
