"""A run folder: where its files are, who may write to it, and how they reach the bucket.

The driver always works in a folder of its own machine. If `--storage-path` is a folder, that is
the run folder itself. If it is a bucket, the driver's folder is a copy that is thrown away, and
everything that counts is in the bucket before anything acts on it:

- an event of the ledger is one object, written before the search goes on;
- workers read and write checkpoints in the bucket and nowhere else;
- the weights of a winner are under best/ in the bucket before the trial's own are deleted;
- tables, study and records are copied whenever they are written, each as one whole object.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from models.files import write_atomically
from search.record import schema
from search.record.ledger import FileLedger, Ledger, read_ledger
from search.store.bucket import BucketFiles
from search.store.bucket_ledger import BucketLedger, read_bucket_ledger
from search.store.files import Files, FolderError, FolderFiles, TakenError, one_line
from search.store.lock import Lease, folder_locked

SESSION = ".session"  # holds a secret of the session: a process that reads it sees the folder


class RunFolder:
    """Paths of `<storage-path>/<name>/`, kept in a folder."""

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name
        self.ledger = path / schema.LEDGER
        self.study = path / schema.STUDY_LOG
        self.run_json = path / schema.RUN_JSON
        self.trials_csv = path / schema.TRIALS_CSV
        self.epochs_csv = path / schema.EPOCHS_CSV
        self.final_json = path / schema.FINAL_JSON
        self.best = path / schema.BEST
        self.errors = path / schema.ERRORS
        self.ray = path / "ray"  # what Ray writes; a search never reads it back
        self.files: Files = FolderFiles(path)  # as workers reach it
        self._may_write: Callable[[], None] = _always

    @property
    def location(self) -> str:
        """Path or URI, for people."""
        return self.files.location

    @property
    def checkpoints(self) -> Files:
        return self.files.child("checkpoints")

    @property
    def finals(self) -> Files:
        """Checkpoints of retrainings, and the arrays that `Task.test` returns for them."""
        return self.files.child("finals")

    def create(self) -> None:
        """Make the folder. Raises FolderError if the name is taken or the place not writable."""
        try:
            self.path.mkdir(parents=True)
        except FileExistsError:
            raise self.taken_error() from None
        except OSError as error:
            raise FolderError(
                f"{self.path} cannot be made ({error.strerror}): give another --storage-path"
            ) from error

    def discard(self) -> None:
        """Remove the folder if no search began in it."""
        if not self.is_search():
            shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process. Raises FolderError if another process holds it."""
        with folder_locked(self.path) as is_locked:
            if is_locked:
                yield
                return
            print(
                f"note: the file system of {self.path} has no locks: a lease keeps other searches "
                "out",
                flush=True,
            )
            lease = Lease(self.files.child("lease"), self.location)
            with lease.held():
                self._may_write = lease.check
                yield

    def exists(self) -> bool:
        return self.path.is_dir()

    def is_search(self) -> bool:
        """Whether a search began here."""
        return self.ledger.exists()

    def read_events(self) -> tuple[list[dict], int]:
        """The ledger's events, and where it goes on. Raises LedgerError."""
        return read_ledger(self.ledger)

    def open_ledger(self, end: int = 0) -> Ledger:
        """The ledger, for events after `end` (from `read_events`); the rest is deleted."""
        if self.ledger.exists():
            os.truncate(self.ledger, end)
        return FileLedger(self.ledger, self._may_write)

    def begin_session(self) -> str:
        """Write a new secret and return it. A worker that can read it sees this folder."""
        secret = secrets.token_hex(8)
        self.files.write(SESSION, lambda file: file.write(secret.encode()))
        return secret

    def fetch(self) -> None:
        """Copy the files of earlier sessions to the driver's folder, if the run is in a bucket."""

    def publish(self) -> None:
        """Copy the files that changed since the last call to the bucket, if the run is in one."""

    def taken_error(self) -> TakenError:
        """The error of a new search whose name is taken."""
        return TakenError(
            f"{self.location} exists already: add --resume to go on with that "
            "search, or give another --name"
        )


def _always() -> None:
    """The operating system's own lock needs no check."""


# The driver's copy of a run in a bucket does not hold these files.
_ELSEWHERE = ("checkpoints/*", "finals/*", "ledger/*", "lock/*", "ray/*", "ledger.log", SESSION)
_MADE_ANEW = ("study.log*", "trials.csv", "epochs.csv")


class BucketRunFolder(RunFolder):
    """A run folder in a bucket; `path` is the driver's copy."""

    def __init__(self, path: Path, files: BucketFiles):
        super().__init__(path)
        self.files: BucketFiles = files
        self._events = files.child("ledger")
        self._lock = Lease(files.child("lock"), files.location)
        self._published: dict[str, tuple[int, int]] = {}

    def create(self) -> None:
        if self.exists():
            raise self.taken_error()

    def discard(self) -> None:
        """Nothing is in the bucket before the first event."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        with bucket_errors(self.location), self._lock.held():
            yield

    def exists(self) -> bool:
        with bucket_errors(self.location):
            return any(not name.startswith("lock/") for name, _ in self.files.tree())

    def is_search(self) -> bool:
        with bucket_errors(self.location):
            return self._events.exists()

    def read_events(self) -> tuple[list[dict], int]:
        with bucket_errors(self.location):
            return read_bucket_ledger(self._events)

    def open_ledger(self, end: int = 0) -> BucketLedger:
        if not end and self._events.exists():  # another driver began it since `create`
            raise self.taken_error()
        self.path.mkdir(parents=True, exist_ok=True)
        return BucketLedger(self._events, end, self._lock.check)

    def fetch(self) -> None:
        unwanted = _ELSEWHERE + _MADE_ANEW
        fetched = fetch_missing(self.files, self.path, lambda name: not matches(name, unwanted))
        here = dict(self._state())
        self._published |= {name: here[name] for name in fetched if name in here}

    def publish(self) -> None:
        # In the order in which they were written: a reader never sees a config without weights.
        changed = [item for item in self._state() if self._published.get(item[0]) != item[1]]
        for name, state in sorted(changed, key=lambda item: item[1]):
            self._lock.check()
            data = (self.path / name).read_bytes()
            self.files.write(name, lambda file, data=data: file.write(data))
            self._published[name] = state

    def _state(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Name, time of change and size of each file here that belongs in the bucket."""
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path).as_posix()
            if path.is_file() and not matches(name, (*_ELSEWHERE, "*.tmp", "*.lock*")):
                found = path.stat()
                yield name, (found.st_mtime_ns, found.st_size)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def fetch_missing(files: BucketFiles, root: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Copy the wanted files that are not under `root` yet, with the bucket's times; their names."""
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
def bucket_errors(location: str) -> Iterator[None]:
    """Turns the errors of a server into FolderError, for the user."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"{location} cannot be used: {one_line(error)}") from error
