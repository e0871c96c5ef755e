"""What `--storage-path` names: a folder of run folders, or a prefix of a bucket."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Protocol

from search.record.ledger import FileLedger
from search.record.schema import LEDGER
from search.store.bucket import bucket_files
from search.store.files import Files, FolderError, FolderFiles
from search.store.folder import BucketRunFolder, RunFolder, bucket_errors, fetch_missing, matches


class Storage(Protocol):
    """A `--storage-path`."""

    location: str  # as the flag names it
    root: Path  # the folder of run folders, or of the driver's copies of them
    files: Files

    def run(self, name: str) -> RunFolder: ...

    def searches(self) -> list[str]:
        """Names of the runs that can be resumed."""

    def fetch(self, pattern: str) -> None:
        """Copy the files that match a pattern, such as "*/best/*", to `root`, if they are not
        there."""


class FolderStorage:
    def __init__(self, root: Path):
        self.root, self.files, self.location = root, FolderFiles(root), str(root)

    def run(self, name: str) -> RunFolder:
        return RunFolder(self.root / name)

    def searches(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob(f"*/{LEDGER}"))

    def fetch(self, pattern: str) -> None:
        pass


class BucketStorage:
    def __init__(self, uri: str):
        self.location, self.files = uri, bucket_files(uri)
        self.root = Path(tempfile.mkdtemp(prefix="search-"))
        atexit.register(shutil.rmtree, self.root, ignore_errors=True)

    def run(self, name: str) -> RunFolder:
        return BucketRunFolder(self.root / name, self.files.child(name))

    def searches(self) -> list[str]:
        with bucket_errors(self.location):
            names = [name.split("/") for name, _ in self.files.tree()]
        return sorted({parts[0] for parts in names if parts[1:2] == ["ledger"]})

    def fetch(self, pattern: str) -> None:
        with bucket_errors(self.location):
            fetch_missing(self.files, self.root, lambda name: fnmatch(name, pattern))


@cache
def open_storage(text: str) -> Storage:
    """The storage that `--storage-path` names. Raises FolderError if it cannot be used."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        # Absolute: workers write there too, from another working directory.
        return FolderStorage(Path(text).expanduser().resolve())
    if scheme != "s3":
        raise FolderError(
            f"--storage-path {text}: only folders and s3://bucket/prefix can be written to"
        )
    return BucketStorage(text)


def fetch_run(uri: str, parent: Path) -> Path:
    """Copy the run folder `s3://bucket/prefix/name` to `parent/name`, a run folder like any other:
    it can be reported on and resumed. Returns its path. Raises FolderError if the bucket has no
    such run, or `parent/name` exists."""
    address, _, query = uri.partition("?")
    storage, _, name = address.rstrip("/").rpartition("/")
    run, folder = open_storage(storage + (f"?{query}" if query else "")).run(name), parent / name
    if not run.is_search():
        raise FolderError(f"{uri} is no folder of a search")
    if folder.exists():
        raise FolderError(f"{folder} exists already")
    events, _ = run.read_events()
    fetch_missing(run.files, folder, lambda found: not matches(found, ("ledger/*", "lock/*")))
    folder.mkdir(parents=True, exist_ok=True)
    ledger = FileLedger(folder / LEDGER)
    for event in events:
        ledger.append(event)
    ledger.close()
    return folder
