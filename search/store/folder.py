"""A run folder: where its files are, who may write to it, and how they get to where it is kept.

The driver always works in a folder of its own machine. Where `--storage-path` is a folder, that is
the run folder itself; where it is a bucket, it is a copy that is thrown away, and everything that
counts is in the bucket before anything acts on it (search/store/bucket.py):

- an event of the ledger is one object, written before the search goes on;
- workers read and write checkpoints there and nowhere else;
- weights of a winner are under best/ there before the trial's own are deleted;
- tables, study and records follow whenever they are written, each object whole.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Protocol

from search.record.ledger import BucketLedger, Ledger, read_bucket_ledger, read_ledger
from search.store.bucket import (
    BucketFiles,
    BucketLock,
    Files,
    FolderError,
    FolderFiles,
    bucket_files,
    one_line,
    write_atomically,
)

__all__ = [
    "FolderError",
    "RunFolder",
    "Storage",
    "fetch_run",
    "json_bytes",
    "open_storage",
    "write_atomically",
    "write_json",
]

SESSION = ".session"  # a secret of the session that runs now: whoever reads it sees the folder


class RunFolder:
    """Paths of `<storage-path>/<name>/`, kept in a folder."""

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        self.ledger = path / "ledger.log"
        self.study = path / "study.log"
        self.run_json = path / "run.json"
        self.trials_csv = path / "trials.csv"
        self.epochs_csv = path / "epochs.csv"
        self.final_json = path / "final.json"
        self.best = path / "best"
        self.errors = path / "errors"
        self.ray = path / "ray"  # what Ray writes; a search never reads it back
        self.files: Files = FolderFiles(path)  # as workers reach it

    @property
    def where(self) -> str:
        """Its place, for people."""
        return self.files.where

    @property
    def checkpoints(self) -> Files:
        return self.files.child("checkpoints")

    @property
    def finals(self) -> Files:
        """Of the retrained winners, what each kind of search keeps."""
        return self.files.child("finals")

    def create(self) -> None:
        """Make the folder. Raises FolderError if the name is taken or the place not writable."""
        try:
            self.path.mkdir(parents=True)
        except FileExistsError:
            raise self._taken() from None
        except OSError as error:
            raise FolderError(
                f"{self.path} cannot be made ({error.strerror}): give another --storage-path"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
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

    def exists(self) -> bool:
        return self.path.is_dir()

    def is_search(self) -> bool:
        """Whether a search began here."""
        return self.ledger.exists()

    def read_events(self) -> tuple[list[dict], int]:
        """The ledger's events, and where it goes on. Raises LedgerError."""
        return read_ledger(self.ledger)

    def open_ledger(self, end: int = 0) -> Ledger | BucketLedger:
        """The ledger, to go on after `end` as `read_events` gave it; what follows is dropped."""
        if self.ledger.exists():
            os.truncate(self.ledger, end)
        return Ledger(self.ledger)

    def begin_session(self) -> str:
        """Write a new secret, that workers may see whether they see this folder; return it."""
        secret = secrets.token_hex(8)
        self.files.write(SESSION, lambda file: file.write(secret.encode()))
        return secret

    def fetch(self) -> None:
        """Have the files at hand that an earlier session left."""

    def publish(self) -> None:
        """Have what was written since the last call where the run is kept."""

    def _taken(self) -> FolderError:
        return FolderError(
            f"{self.where} exists already: add --resume to go on with that "
            "search, or give another --name"
        )


# What the driver's copy of a run in a bucket has no part in.
_ELSEWHERE = ("checkpoints/*", "finals/*", "ledger/*", "lock/*", "ray/*", "ledger.log", SESSION)
_MADE_ANEW = ("study.log*", "trials.csv", "epochs.csv")


class BucketRunFolder(RunFolder):
    """The same, kept in a bucket; `path` is the driver's copy."""

    def __init__(self, path: Path, files: BucketFiles):
        super().__init__(path)
        self.files: BucketFiles = files
        self._events = files.child("ledger")
        self._lock = BucketLock(files.child("lock"), files.where)
        self._published: dict[str, tuple[int, int]] = {}

    def create(self) -> None:
        if self.exists():
            raise self._taken()

    @contextmanager
    def locked(self) -> Iterator[None]:
        with _named(self.where), self._lock.held():
            yield

    def exists(self) -> bool:
        with _named(self.where):
            return any(not name.startswith("lock/") for name, _ in self.files.tree())

    def is_search(self) -> bool:
        with _named(self.where):
            return self._events.exists()

    def read_events(self) -> tuple[list[dict], int]:
        with _named(self.where):
            return read_bucket_ledger(self._events)

    def open_ledger(self, end: int = 0) -> BucketLedger:
        if not end and self._events.exists():  # made by another driver since `create`
            raise self._taken()
        self.path.mkdir(parents=True, exist_ok=True)
        return BucketLedger(self._events, end, self._lock.check)

    def fetch(self) -> None:
        unwanted = _ELSEWHERE + _MADE_ANEW
        fetched = _fetch(self.files, self.path, lambda name: not _is_like(name, unwanted))
        here = dict(self._state())
        self._published |= {name: here[name] for name in fetched if name in here}

    def publish(self) -> None:
        # In the order in which they were written, for a reader to see no config without weights.
        changed = [item for item in self._state() if self._published.get(item[0]) != item[1]]
        for name, state in sorted(changed, key=lambda item: item[1]):
            self._lock.check()
            data = (self.path / name).read_bytes()
            self.files.write(name, lambda file, data=data: file.write(data))
            self._published[name] = state

    def _state(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Name, time of change and size of each file here that belongs into the bucket."""
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            if path.is_file() and not _is_like(name, (*_ELSEWHERE, "*.tmp", "*.lock*")):
                found = path.stat()
                yield name, (found.st_mtime_ns, found.st_size)


class Storage(Protocol):
    """A `--storage-path`."""

    where: str  # as the flag would name it
    root: Path  # the folder of run folders, or of the driver's copies of them
    files: Files

    def run(self, name: str) -> RunFolder: ...

    def searches(self) -> list[str]:
        """Names of the runs that can be resumed."""

    def fetch(self, pattern: str) -> None:
        """Have at hand, under `root`, what is of that pattern (as "*/best/*")."""


class FolderStorage:
    def __init__(self, root: Path):
        self.root, self.files, self.where = root, FolderFiles(root), str(root)

    def run(self, name: str) -> RunFolder:
        return RunFolder(self.root / name)

    def searches(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("*/ledger.log"))

    def fetch(self, pattern: str) -> None:
        pass


class BucketStorage:
    def __init__(self, uri: str):
        self.where, self.files = uri, bucket_files(uri)
        self.root = Path(tempfile.mkdtemp(prefix="search-"))
        atexit.register(shutil.rmtree, self.root, ignore_errors=True)

    def run(self, name: str) -> RunFolder:
        return BucketRunFolder(self.root / name, self.files.child(name))

    def searches(self) -> list[str]:
        with _named(self.where):
            names = [name.split("/") for name, _ in self.files.tree()]
        return sorted({parts[0] for parts in names if parts[1:2] == ["ledger"]})

    def fetch(self, pattern: str) -> None:
        with _named(self.where):
            _fetch(self.files, self.root, lambda name: fnmatch(name, pattern))


@cache
def open_storage(text: str) -> Storage:
    """What `--storage-path` names. Raises FolderError if it cannot be used."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        # Absolute, for the workers write there too and are elsewhere.
        return FolderStorage(Path(text).expanduser().resolve())
    if scheme != "s3":
        raise FolderError(
            f"--storage-path {text}: only folders and s3://bucket/prefix can be written to"
        )
    return BucketStorage(text)


def _is_like(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _fetch(files: BucketFiles, root: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Copy what is wanted and not here yet, with the times of the bucket; what was copied."""
    missing = [
        (name, when) for name, when in files.tree() if wanted(name) and not (root / name).exists()
    ]
    contents = files.read_all([name for name, _ in missing])
    for (name, _), content in zip(missing, contents, strict=True):
        write_atomically(root / name, lambda file, content=content: file.write(content))
    for name, when in sorted(missing, key=lambda item: item[1]):
        for path in (Path(name), *Path(name).parents[:-1]):  # a folder is as new as what is in it
            os.utime(root / path, (when, when))
    return [name for name, _ in missing]


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Errors of a server, as what they are to the user."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"{where} cannot be used: {one_line(error)}") from error


def write_json(path: Path, value: object) -> None:
    """Write JSON for people: indented, in the order given, ending with a newline."""
    write_atomically(path, lambda file: file.write(json_bytes(value)))


def json_bytes(value: object) -> bytes:
    """What `write_json` writes."""
    return (json.dumps(value, indent=2, default=str) + "\n").encode()


def fetch_run(uri: str, place: Path) -> Path:
    """Copy the run folder `s3://bucket/prefix/name` into the folder `place`, where it is a run
    folder like any other: it can be reported on, and resumed. Returns its path. Raises FolderError
    if there is none, or `place` has one of that name."""
    address, _, query = uri.partition("?")
    storage, _, name = address.rstrip("/").rpartition("/")
    run = open_storage(storage + (f"?{query}" if query else "")).run(name)
    if not run.is_search():
        raise FolderError(f"{uri} is no folder of a search")
    if (place / name).exists():
        raise FolderError(f"{place / name} exists already")
    events, _ = run.read_events()
    _fetch(run.files, place / name, lambda found: not _is_like(found, ("ledger/*", "lock/*")))
    (place / name).mkdir(parents=True, exist_ok=True)
    ledger = Ledger(place / name / "ledger.log")
    for event in events:
        ledger.append(event)
    ledger.close()
    return place / name
