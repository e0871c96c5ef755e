"""Whether a set of images fits into the memory of this machine."""

from __future__ import annotations

import os
from pathlib import Path

from models.data.errors import DataError

COPIES = 2  # of a set: the command's own, and the one that all trials share
SHARED_PART = 0.3  # of a machine's memory: what Ray gives to data that processes share
GIGABYTE = 1e9


def check_room(where: str, shape: tuple[int, ...], read: int = 0) -> None:
    """Raises DataError, with how much is needed, if uint8 images of `shape` do not fit into memory.

    read: further bytes that reading needs, for example for images in floats.
    """
    images = 1
    for extent in shape:
        images *= extent
    need = max(COPIES * images, images + read)
    free, shared = available_memory(), SHARED_PART * total_memory()
    if need <= free and images <= shared:
        return
    size = " x ".join(f"{extent:,}" for extent in shape)
    reason = (
        f"this needs {need / GIGABYTE:.1f} GB of memory, and {free / GIGABYTE:.1f} GB are free"
        if need > free
        else f"trials share {images / GIGABYTE:.1f} GB, and Ray shares at most "
        f"{shared / GIGABYTE:.1f} GB on this machine"
    )
    raise DataError(
        f"{where}: {size} bytes of images are too many: {reason}; a smaller --image-size, --grey "
        "or fewer images need less"
    )


def total_memory() -> int:
    """Bytes of memory that this process may use: those of the machine or of its container."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(whole, _cgroup("memory.max", whole))


def available_memory() -> int:
    """Bytes of memory that are free now, or are a cache that the system can give back."""
    free = total_memory()
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit = _cgroup("memory.max", 0)
    if limit:
        cached = dict(line.split() for line in _text(_CGROUP / "memory.stat").splitlines())
        used = _cgroup("memory.current", 0) - int(cached.get("inactive_file", 0))
        free = min(free, limit - used)
    return free


_CGROUP = Path("/sys/fs/cgroup")  # version 2, as a container sees its own


def _cgroup(name: str, default: int) -> int:
    found = _text(_CGROUP / name).strip()
    return int(found) if found.isdecimal() else default


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
