"""Where a search keeps its files: a folder that driver and workers see, or a bucket.

`Files` is all that the rest of the search knows of it: named pieces of bytes that appear whole or
not at all. A folder promises more (an append that is on disk, a lock of the operating system); what
a bucket has in their place is here too:

- `write` is one PUT: whoever reads sees the old object or the new one. S3 has been strongly
  consistent since 2020; the servers that speak its protocol say so of themselves.
- `BucketLock` is a lease. Every driver that wants the run writes a claim of its own and then looks
  for others: of two that come together, at least the one that looks last sees the other. Ages are
  told by the server's clock alone. The holder renews its claim every BEAT_S seconds, stops writing
  once it could not for STOP_S, and may be succeeded after EXPIRY_S: no driver that was cut off or
  asleep writes beside its successor, unless one single request takes longer than the difference.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import parse_qsl, urlsplit

BEAT_S, STOP_S, EXPIRY_S = 10.0, 30.0, 90.0  # of a lock in a bucket
AT_ONCE = 16  # requests to a bucket that may be under way together


class FolderError(Exception):
    """The run folder cannot be used; the text is one line that says what to do."""


class Files(Protocol):
    """Named files in one place. Travels to the workers. Methods raise OSError where the place
    cannot be reached or written."""

    where: str  # for people

    def child(self, name: str) -> Files:
        """Another place, inside this one; it need not exist."""

    def read(self, name: str) -> bytes | None:
        """None if there is no such file."""

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Call `write` on a file; it takes the place of the old one once it is whole."""

    def delete(self, name: str) -> None:
        """Nothing happens if there is no such file."""

    def names(self) -> list[str]:
        """Of the files here, without those of `child` places, sorted."""


@dataclass(frozen=True)
class FolderFiles:
    """`Files` in a folder."""

    root: Path

    @property
    def where(self) -> str:
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

    def names(self) -> list[str]:
        """What a killed process left half written is removed."""
        found = []
        for entry in os.scandir(self.root) if self.root.exists() else ():
            if entry.name.endswith(".tmp"):
                (self.root / entry.name).unlink(missing_ok=True)
            elif entry.is_file():
                found.append(entry.name)
        return sorted(found)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` on a new file and put it in the place of `path` once it is whole and on disk:
    a reader, and whoever comes after a crash, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The machine too, for workers on several may write into one shared folder.
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
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


@dataclass(frozen=True)
class Server:
    """An S3 server, without credentials: each process finds its own in the usual places
    (AWS_* variables, ~/.aws, the machine's role)."""

    endpoint: str | None  # host:port; None: Amazon's
    scheme: str
    region: str | None

    def connect(self):
        return _connect(self)


@functools.cache
def _connect(server: Server):
    from pyarrow import fs  # half a second, for those who need it

    return fs.S3FileSystem(
        endpoint_override=server.endpoint,
        scheme=server.scheme,
        region=server.region,
        allow_delayed_open=True,  # one request for a small file, where a stream takes three
        connect_timeout=5,
        request_timeout=10,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=4),
    )


@dataclass(frozen=True)
class BucketFiles:
    """`Files` under `path` ("bucket/prefix") of an S3 server."""

    server: Server
    path: str

    @property
    def where(self) -> str:
        return f"s3://{self.path}"

    @property
    def _fs(self):
        return self.server.connect()

    def child(self, name: str) -> BucketFiles:
        return BucketFiles(self.server, f"{self.path}/{name}")

    def read(self, name: str) -> bytes | None:
        try:
            with self._fs.open_input_stream(f"{self.path}/{name}") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def read_all(self, names: list[str]) -> list[bytes]:
        """The contents of files that exist, several requests at a time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.read, names))

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        # Whole before the first request: closing a stream half written would publish that half.
        whole = io.BytesIO()
        write(whole)
        with self._fs.open_output_stream(f"{self.path}/{name}") as stream:
            stream.write(whole.getbuffer())

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.delete_file(f"{self.path}/{name}")

    def delete_child(self, name: str) -> None:
        """Delete a place and all in it, in few requests."""
        with suppress(FileNotFoundError):
            self._fs.delete_dir(f"{self.path}/{name}")

    def names(self) -> list[str]:
        return sorted(name for name, _ in self._list(recursive=False))

    def tree(self) -> list[tuple[str, float]]:
        """Every file here and below as (name relative to here, seconds since 1970), sorted."""
        return sorted(self._list(recursive=True))

    def times(self) -> dict[str, float]:
        """When each file here was last written, by the server's clock."""
        return dict(self._list(recursive=False))

    def exists(self) -> bool:
        return bool(self._list(recursive=True))

    def _list(self, recursive: bool) -> list[tuple[str, float]]:
        from pyarrow import fs

        chosen = fs.FileSelector(self.path, allow_not_found=True, recursive=recursive)
        return [
            (info.path.removeprefix(self.path + "/"), info.mtime.timestamp())
            for info in self._fs.get_file_info(chosen)
            if info.type == fs.FileType.File
        ]


def bucket_files(uri: str) -> BucketFiles:
    """The place that `s3://bucket/prefix` names, with an endpoint from AWS_ENDPOINT_URL or from
    `?endpoint_override=host:port&scheme=http&region=…`. Raises FolderError, with the reason, if it
    cannot be listed."""
    parts = urlsplit(uri)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.netloc:
        raise FolderError("--storage-path: credentials go into AWS_* variables, not into the URI")
    if unknown := asked.keys() - {"endpoint_override", "scheme", "region"}:
        raise FolderError(f"--storage-path {uri}: {sorted(unknown)[0]} is not known in an s3 URI")
    if not parts.netloc:
        raise FolderError(f"--storage-path {uri}: names no bucket")
    endpoint = asked.get("endpoint_override") or os.environ.get(
        "AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL")
    )
    scheme, _, host = (endpoint or "").rpartition("://")
    region = asked.get("region") or os.environ.get(
        "AWS_REGION", os.environ.get("AWS_DEFAULT_REGION")
    )
    server = Server(
        host or None, asked.get("scheme") or scheme or "https", _region(region, parts.netloc, host)
    )
    files = BucketFiles(server, (parts.netloc + parts.path).rstrip("/"))
    try:
        _check_bucket(files, parts.netloc)
    except OSError as error:
        raise FolderError(f"--storage-path {uri} cannot be used: {one_line(error)}") from error
    return files


def _region(given: str | None, bucket: str, host: str) -> str | None:
    """Where Amazon keeps the bucket, if nobody says; other servers mostly do not care."""
    if given or host:
        return given or "us-east-1"
    from pyarrow import fs

    try:
        return fs.resolve_s3_region(bucket)
    except OSError as error:
        raise FolderError(f"--storage-path: {one_line(error)}") from error


def _check_bucket(files: BucketFiles, bucket: str) -> None:
    from pyarrow import fs

    if files.server.connect().get_file_info(bucket).type == fs.FileType.NotFound:
        raise FileNotFoundError(errno.ENOENT, f"there is no bucket {bucket}")
    files.names()


def one_line(error: Exception) -> str:
    """What went wrong, without the line breaks of a server's answer."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return re.sub(r"\s+", " ", said).strip().rstrip(".")


class BucketLock:
    """The lease on a run in a bucket; see the module's text. `check` before every write."""

    def __init__(self, files: BucketFiles, run: str):
        self._files, self._run = files, run
        self._name = f"{_this_process()}-{secrets.token_hex(4)}"
        self._renewed, self._lost = 0.0, False
        self._stop = threading.Event()

    def __reduce__(self):
        """A copy holds nothing. Ray pickles all that a Tuner refers to, and nobody reads it."""
        return BucketLock, (self._files, self._run)

    @contextmanager
    def held(self) -> Iterator[BucketLock]:
        """Raises FolderError if another driver holds it; waits out the lease of one that died."""
        self._claim()
        try:
            self._wait_for_others()
            beat = threading.Thread(target=self._beat, daemon=True)
            beat.start()
            yield self
        finally:
            self._stop.set()
            with suppress(OSError):
                self._files.delete(self._name)

    def check(self) -> None:
        """Raise OSError if another driver may hold the lock by now."""
        if self._lost or time.monotonic() - self._renewed > STOP_S:
            raise OSError(
                errno.ENOLCK, f"the lock on {self._run} could not be renewed for {STOP_S:.0f} s"
            )

    def _claim(self) -> None:
        begun = time.monotonic()
        self._files.write(self._name, lambda file: file.write(self._name.encode()))
        self._renewed = begun

    def _wait_for_others(self) -> None:
        first = self._others()
        said = False
        while others := self._others():
            beaten = [name for name, when in others.items() if when > first.get(name, when)]
            if beaten or others.keys() - first.keys():
                raise FolderError(
                    f"{self._run} is in use by another search that is running now: wait for it, "
                    "stop it, or give another --name"
                )
            if not said:
                print(
                    f"{self._run} was in use by a search that may have died: waiting up to "
                    f"{EXPIRY_S:.0f} s for a sign of it",
                    flush=True,
                )
                said = True
            time.sleep(BEAT_S / 4)
            self._claim()

    def _others(self) -> dict[str, float]:
        """Claims of others that have not expired, and when each was renewed."""
        times = self._files.times()
        now = times.pop(self._name, None)
        if now is None:
            raise OSError(errno.ENOLCK, f"a claim on {self._run} vanished")
        for name in [n for n, when in times.items() if now - when > EXPIRY_S or _is_dead(n)]:
            self._files.delete(name)
            del times[name]
        return times

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_S):
            with suppress(OSError):  # tried again at the next beat, until `check` gives up
                if self._name not in self._files.times():
                    self._lost = True
                    return
                self._claim()


def _this_process() -> str:
    """A name that no process of another machine, container or boot has; it ends in the number."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    here = f"{boot.read_text().strip()[:8]}-{space.stat().st_ino}" if space.exists() else "0-0"
    return f"{socket.gethostname()}-{here}-{os.getpid()}"


def _is_dead(name: str) -> bool:
    """Whether a claim is of a process of this machine that is no more."""
    owner = name.rpartition("-")[0]
    place, _, number = owner.rpartition("-")
    ours = _this_process().rpartition("-")[0]
    return place == ours and not Path(f"/proc/{number}").exists() and Path("/proc/self").exists()
