"""Files that appear whole: a reader sees the old file or the new file, never half a file."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with a new binary file, and rename the file to `path` once it is on disk.

    Makes the folder of `path`. If `write` raises, `path` stays as it was and the new file is
    removed. A killed process can leave a file `.NAME.HOST.PID.tmp` behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several machines can write into one shared folder, hence the host.
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


def make_folder(folder: Path) -> None:
    """Make a folder to write in. Raises OSError where its nearest existing parent is marked
    read-only, for root too: root could write there, but should not."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not existing.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, "read-only", str(existing))
    folder.mkdir(parents=True, exist_ok=True)


def find_files(folder: Path, *endings: str) -> Iterator[Path]:
    """The files in `folder` and below whose names end in one of `endings`, in capitals too; all
    files without `endings`. Symbolic links are followed, and each folder is entered once. Hidden
    files and `__MACOSX`, which some systems add, are left out."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        shown = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        folders[:] = [] if real in seen else shown
        for name in files if real not in seen else ():
            if not name.startswith(".") and name.lower().endswith(endings or ("",)):
                yield Path(place, name)
        seen.add(real)


def _sync_folder(path: Path) -> None:
    """Make a rename in a folder survive a power loss, where the file system can do that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
