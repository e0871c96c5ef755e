"""`Files` in a bucket of an S3 server.

A write is one PUT: a reader sees the old object or the new object. S3 has been strongly consistent
since 2020, and other servers with its protocol say that they are too.
"""

from __future__ import annotations

import errno
import functools
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import parse_qsl, urlsplit

from search.store.files import FolderError, one_line

AT_ONCE = 16  # the most requests to a bucket at the same time


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
    from pyarrow import fs  # takes half a second: imported only when a bucket is used

    return fs.S3FileSystem(
        endpoint_override=server.endpoint,
        scheme=server.scheme,
        region=server.region,
        allow_delayed_open=True,  # a small file takes one request instead of three
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
    def location(self) -> str:
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
        # Closing a half-written stream would publish that half.
        whole = io.BytesIO()
        write(whole)
        with self._fs.open_output_stream(f"{self.path}/{name}") as stream:
            stream.write(whole.getbuffer())

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.delete_file(f"{self.path}/{name}")

    def delete_child(self, name: str) -> None:
        """Delete everything under a name, in few requests."""
        with suppress(FileNotFoundError):
            self._fs.delete_dir(f"{self.path}/{name}")

    def names(self) -> list[str]:
        return sorted(name for name, _ in self._list(recursive=False))

    def tree(self) -> list[tuple[str, float]]:
        """All files in this folder and below: (relative name, seconds since 1970), sorted."""
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
    """The files under `s3://bucket/prefix`. The endpoint comes from AWS_ENDPOINT_URL or from
    `?endpoint_override=host:port&scheme=http&region=…`. Raises FolderError, with the reason, if
    they cannot be listed."""
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.netloc:
        raise FolderError("--storage-path: credentials go into AWS_* variables, not into the URI")
    if unknown := options.keys() - {"endpoint_override", "scheme", "region"}:
        raise FolderError(f"--storage-path {uri}: {sorted(unknown)[0]} is not known in an s3 URI")
    if not parts.netloc:
        raise FolderError(f"--storage-path {uri}: names no bucket")
    endpoint = options.get("endpoint_override") or os.environ.get(
        "AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL")
    )
    scheme, _, host = (endpoint or "").rpartition("://")
    region = options.get("region") or os.environ.get(
        "AWS_REGION", os.environ.get("AWS_DEFAULT_REGION")
    )
    scheme = options.get("scheme") or scheme or "https"
    server = Server(host or None, scheme, _region(region, parts.netloc, host))
    files = BucketFiles(server, (parts.netloc + parts.path).rstrip("/"))
    try:
        _check_bucket(files, parts.netloc)
    except OSError as error:
        raise FolderError(f"--storage-path {uri} cannot be used: {one_line(error)}") from error
    return files


def _region(given: str | None, bucket: str, host: str) -> str | None:
    """The region of the bucket: the given one, or the one that Amazon names. Other servers rarely
    need a region."""
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
