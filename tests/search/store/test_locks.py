"""File systems that lack locks, or cannot make the entry of a folder durable."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from models import files
from search.record.ledger import read_ledger
from search.store import lock
from search.store.files import FolderError
from search.store.folder import RunFolder


def failing_flock(number: int):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    return flock


@pytest.fixture
def no_locks(monkeypatch):
    """As on Lustre without -o flock."""
    monkeypatch.setattr(fcntl, "flock", failing_flock(errno.ENOSYS))
    for name, seconds in {"BEAT_S": 0.1, "STOP_S": 1.0, "EXPIRY_S": 8.0}.items():
        monkeypatch.setattr(lock, name, seconds)


def test_where_a_file_system_has_no_locks_a_lease_holds_the_folder(tmp_path, no_locks, capsys):
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    first.create()
    with first.locked():
        assert "has no locks" in capsys.readouterr().out
        ledger = first.open_ledger()
        ledger.append({"event": "search"})
        with pytest.raises(FolderError, match="in use"), second.locked():
            pass
        ledger.append({"event": "trial"})
        (claim,) = first.files.child("lease").names()
        first.files.child("lease").delete(claim)  # as a successor does, once the lease has expired
        with pytest.raises(OSError, match="could not be renewed"):
            for _ in range(100):
                ledger.append({"event": "epoch"})
                lock.time.sleep(0.05)
    with second.locked():
        assert len(read_ledger(second.ledger)[0]) >= 2


def test_a_file_system_that_cannot_make_a_folder_durable_is_no_error(tmp_path, monkeypatch):
    sync = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_atomically(tmp_path / "a", lambda file: file.write(b"whole"))
    assert (tmp_path / "a").read_bytes() == b"whole"
