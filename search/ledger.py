"""The ledger: an append-only file of what happened in a search, and its only source of truth.

Every other file of a run folder that describes the search (tables, Optuna study, ASHA's rungs)
is computed from it. One event a line: a CRC-32 of the text in hexadecimal, a space, JSON. A line
is on disk before anything acts on it, so a driver killed at any moment has lost at most a line
half written, which nothing has acted on yet.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path


class LedgerError(Exception):
    """The ledger cannot be used; the text is one line that says what to do."""


class Ledger:
    """An open ledger. Not safe for two writers: the caller holds the run folder's lock."""

    def __init__(self, path: Path):
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, event: dict) -> None:
        """Write an event and wait until it is on disk.

        Raises OSError where it cannot (a full disk); nothing of the event is left then.
        """
        end = os.fstat(self._file).st_size
        text = json.dumps(event, separators=(",", ":"))
        line = f"{zlib.crc32(text.encode()):08x} {text}\n".encode()
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
    events = [_decode(line, path, number) for number, line in enumerate(whole, 1)]
    if not events:
        raise LedgerError(
            f"{path}: holds no event: the search was stopped before it began; "
            "delete the folder and start again"
        )
    return events, len(raw) - len(torn)


def _decode(line: bytes, path: Path, number: int) -> dict:
    checksum, _, text = line.partition(b" ")
    if checksum != f"{zlib.crc32(text):08x}".encode():
        raise LedgerError(f"{path}: line {number} is damaged; restore the file from a copy")
    return json.loads(text)
