"""What the machine gives this process: cores, and a clock. Standard library only."""

from __future__ import annotations

import os
import time
from pathlib import Path

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_CGROUPS = Path("/sys/fs/cgroup")


def seconds() -> float:
    """Seconds since a fixed moment. Setting the machine's clock does not change them. Unlike
    `time.monotonic`, they count the time in which the machine sleeps."""
    return time.clock_gettime(_CLOCK)


def usable_cores() -> int:
    """How many cores this process may use, at least 1: those that it is bound to (`taskset`,
    SLURM), and no more than its control group allows (a container with half a CPU)."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    return max(1, int(min(cores, _quota())))


def cores_in_words() -> str:
    """The cores for people: "8 cores", or "2 of 8 cores" if this process may not use all."""
    usable, all_cores = usable_cores(), os.cpu_count() or 1
    of_all = "" if usable == all_cores else f" of {all_cores}"
    return f"{usable}{of_all} core{'' if max(usable, all_cores) == 1 else 's'}"


def memory_kills() -> int:
    """How many processes the kernel has killed since the machine started because memory was used
    up, in containers too; 0 where the kernel does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def other_commands(package: str) -> list[int]:
    """The other processes on this machine that run a command of a package (`python -m package.…`).
    A program that started one, such as timeout, is none of them. None are found where there is no
    /proc (macOS)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is hidden from this user
            continue
        of_python = Path(words[0].decode(errors="replace")).name.startswith("python")
        module = words[words.index(b"-m") + 1] if of_python and b"-m" in words[:-1] else b""
        if module.startswith(f"{package}.".encode()) and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return sorted(found)


def _quota(own: Path = Path("/proc/self/cgroup"), mounted: Path = _CGROUPS) -> float:
    """The cores that control groups allow: the smallest limit of this process's group and of those
    above it. Infinity where there is none."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return float("inf")
    limits = [float("inf")]
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, read = mounted, _quota_of_v2
        elif "cpu" in controllers.split(","):
            root, read = mounted / "cpu", _quota_of_v1
        else:
            continue
        # In a container the path may be the host's. The mounted root is then the container's group.
        group = root / path.lstrip("/")
        limits += [read(each) for each in (group, *group.parents) if each.is_relative_to(root)]
    return min(limits)


def _quota_of_v2(group: Path) -> float:
    quota, period = _numbers(group / "cpu.max") or ("max", "1")
    return float("inf") if quota == "max" else float(quota) / float(period)


def _quota_of_v1(group: Path) -> float:
    quota = _numbers(group / "cpu.cfs_quota_us") or ("-1",)
    period = _numbers(group / "cpu.cfs_period_us") or ("1",)
    return float(quota[0]) / float(period[0]) if float(quota[0]) > 0 else float("inf")


def _numbers(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text().split())
    except OSError:
        return ()
