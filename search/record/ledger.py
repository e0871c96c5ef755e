"""The ledger: an append-only file of what happened in a search, and its only source of truth.

Every other file of a run folder that describes the search (tables, Optuna study, ASHA's rungs)
is computed from it. One event a line: a CRC-32 of the text in hexadecimal, a space, JSON. A line
is on disk before anything acts on it, so a driver killed at any moment has lost at most a line
half written, which nothing has acted on yet.

In a bucket, which cannot append, an event is an object of one such line, numbered; every GROUP of
them is joined into one object. An event is stored before anything acts on it there too.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from search.store.bucket import BucketFiles

GROUP = 200  # events: what a resumed search must read one by one at most


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
        line = _encode(event)
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(28, "No space left on device", str(self.path))
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, end)
            raise

    def close(self) -> None:
        os.close(self._file)


class BucketLedger:
    """The same in a bucket, to go on after `end` events. `may_write` raises OSError once another
    driver may hold the run."""

    def __init__(self, files: BucketFiles, end: int, may_write: Callable[[], None]):
        self._files, self._end, self._may_write = files, end, may_write

    def append(self, event: dict) -> None:
        """Store an event. Raises OSError where it cannot; whether the event is there then, the
        next session sees, and nothing has acted on it."""
        line = _encode(event)
        self._may_write()
        group, number = divmod(self._end, GROUP)
        self._files.child(_group(group)).write(_event(number), lambda file: file.write(line))
        self._end += 1
        if self._end % GROUP == 0:
            self._join(group)

    def close(self) -> None:
        pass

    def _join(self, group: int) -> None:
        lines = self._files.child(_group(group)).read_all([_event(n) for n in range(GROUP)])
        self._files.write(_joined(group), lambda file: file.write(b"".join(lines)))
        self._files.delete_child(_group(group))


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


def read_bucket_ledger(files: BucketFiles) -> tuple[list[dict], int]:
    """The events that a `BucketLedger` stored, and how many they are.

    Raises LedgerError if there are none, or one is missing or damaged. Raises OSError."""
    names = [name for name, _ in files.tree()]
    joined = {name.removesuffix(".log") for name in names if "/" not in name}
    # An object of a group that was joined is what a killed driver had no time to delete.
    kept = [name for name in names if "/" not in name or name.split("/")[0] not in joined]
    lines = b"".join(files.read_all(kept)).split(b"\n")[:-1]
    events = [_decode(line, files.where, number) for number, line in enumerate(lines, 1)]
    if not events:
        raise LedgerError(f"{files.where}: holds no event: start another search")
    if kept != _expected(len(events), joined):
        raise LedgerError(f"{files.where}: an event is missing; put it back from a copy")
    return events, len(events)


def _expected(count: int, joined: set[str]) -> list[str]:
    """The objects of a ledger of so many events, in their order."""
    found = []
    for group in range(-(-count // GROUP)):
        if _group(group) in joined:
            found.append(_joined(group))
        else:
            size = min(GROUP, count - group * GROUP)
            found += [f"{_group(group)}/{_event(number)}" for number in range(size)]
    return found


def _group(group: int) -> str:
    return f"{group:06d}"


def _joined(group: int) -> str:
    return f"{_group(group)}.log"


def _event(number: int) -> str:
    return f"{number:03d}"


def _encode(event: dict) -> bytes:
    text = json.dumps(event, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


def _decode(line: bytes, path: Path | str, number: int) -> dict:
    checksum, _, text = line.partition(b" ")
    if checksum != f"{zlib.crc32(text):08x}".encode():
        raise LedgerError(f"{path}: line {number} is damaged; restore the file from a copy")
    return json.loads(text)
