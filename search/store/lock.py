"""A run is written by one driver at a time: by a lock of the operating system, or by a lease.

A bucket has no locks, and neither have some file systems (Lustre, EFS and FUSE, by their options).
There the driver holds a lease. Every driver that wants the run writes a claim and then looks for
other claims. If two drivers come at the same time, at least the driver that looks last sees the
other. Ages are measured by the server's clock alone. The holder renews its claim every BEAT_S
seconds and stops writing after STOP_S without a renewal; another driver may take over after
EXPIRY_S. So no driver that was cut off or asleep writes beside its successor, unless a single
request takes longer than EXPIRY_S - STOP_S.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from models.machine import seconds
from search.store.files import FolderError, TakenError

BEAT_S, STOP_S, EXPIRY_S = 10.0, 30.0, 90.0  # of a lease
NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


class ClaimFiles(Protocol):
    """Where the claims of a lease are: a place of `Files` that knows when each was written."""

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None: ...
    def delete(self, name: str) -> None: ...
    def times(self) -> dict[str, float]: ...


@contextmanager
def folder_locked(path: Path) -> Iterator[bool]:
    """Hold the run folder `path` for this process. The operating system frees the lock when the
    process dies, however it dies. Yields False, with nothing held, where the file system has no
    locks. Raises FolderError if another process holds the folder."""
    with open(path / "lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise in_use(str(path)) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            yield False
        else:
            yield True


def in_use(run: str) -> FolderError:
    return TakenError(
        f"{run} is in use by another search that is running now: wait for it, stop it, or give "
        "another --name"
    )


class Lease:
    """The lease on a run (see the docstring of this module). Call `check` before every write."""

    def __init__(self, files: ClaimFiles, run: str):
        self._files, self._run = files, run
        self._name = f"{_this_process()}-{secrets.token_hex(4)}"
        self._renewed, self._lost = 0.0, False
        self._stop = threading.Event()

    def __reduce__(self):
        """A copy holds no lease. Ray pickles everything that a Tuner refers to, and never reads it
        back."""
        return Lease, (self._files, self._run)

    @contextmanager
    def held(self) -> Iterator[Lease]:
        """Hold the lease. Waits until the lease of a driver that died has expired. Raises
        FolderError if another driver holds it."""
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
        if self._lost or seconds() - self._renewed > STOP_S:
            raise OSError(
                errno.ENOLCK, f"the lock on {self._run} could not be renewed for {STOP_S:.0f} s"
            )

    def _claim(self) -> None:
        begun = seconds()
        self._files.write(self._name, lambda file: file.write(self._name.encode()))
        self._renewed = begun

    def _wait_for_others(self) -> None:
        first = self._others()
        announced = False
        while others := self._others():
            renewed = [name for name, when in others.items() if when > first.get(name, when)]
            if renewed or others.keys() - first.keys():
                raise in_use(self._run)
            if not announced:
                print(
                    f"{self._run} was in use by a search that may have died: waiting up to "
                    f"{EXPIRY_S:.0f} s for a sign of it",
                    flush=True,
                )
                announced = True
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
            with suppress(OSError):  # the next beat tries again, until `check` gives up
                if self._name not in self._files.times():
                    self._lost = True
                    return
                self._claim()


def _this_process() -> str:
    """A name that no process of another machine, container or boot has. It ends in the process
    id."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    here = f"{boot.read_text().strip()[:8]}-{space.stat().st_ino}" if space.exists() else "0-0"
    return f"{socket.gethostname()}-{here}-{os.getpid()}"


def _is_dead(name: str) -> bool:
    """Whether a claim belongs to a process of this machine that has ended."""
    owner = name.rpartition("-")[0]
    machine, _, number = owner.rpartition("-")
    this_machine = _this_process().rpartition("-")[0]
    if machine != this_machine or not Path("/proc/self").exists():
        return False
    return not Path(f"/proc/{number}").exists()
