"""The ledger and the files beside it: what is torn, damaged, full or in use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from models.files import write_atomically
from search.record.ledger import FileLedger, LedgerError, read_ledger
from search.store.files import FolderError
from search.store.folder import RunFolder

EVENTS = [{"event": "search", "seed": 0}, {"event": "trial", "number": 0, "value": float("inf")}]


def written(path, events=EVENTS):
    ledger = FileLedger(path)
    for event in events:
        ledger.append(event)
    ledger.close()
    return path


def test_events_come_back_in_order(tmp_path):
    path = written(tmp_path / "ledger.log")
    assert read_ledger(path) == (EVENTS, path.stat().st_size)


@pytest.mark.parametrize("torn", [1, 5, 9, 30])
def test_a_torn_last_line_is_not_an_event(tmp_path, torn):
    path = written(tmp_path / "ledger.log")
    whole = path.stat().st_size
    third = b'00000000 {"event":"epoch","number":0}\n'
    path.write_bytes(path.read_bytes() + third[:torn])
    assert read_ledger(path) == (EVENTS, whole)


def test_damage_anywhere_else_is_named(tmp_path):
    path = written(tmp_path / "ledger.log")
    raw = bytearray(path.read_bytes())
    raw[12] ^= 1
    path.write_bytes(raw)
    with pytest.raises(LedgerError, match="line 1 is damaged"):
        read_ledger(path)


@pytest.mark.parametrize("content", [b"", b"no newline"])
def test_a_ledger_without_an_event_says_so(tmp_path, content):
    path = tmp_path / "ledger.log"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="holds no event"):
        read_ledger(path)


def test_an_event_that_does_not_fit_leaves_nothing_of_itself(tmp_path):
    path = written(tmp_path / "ledger.log")
    before = path.read_bytes()
    script = textwrap.dedent(f"""
        import resource, signal, pathlib
        from search.record.ledger import FileLedger
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 20},) * 2)
        try:
            FileLedger(pathlib.Path({str(path)!r})).append({{"event": "x" * 100}})
        except OSError:
            print("refused")
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "refused", done.stderr
    assert path.read_bytes() == before


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "table.csv"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"half of the n")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["table.csv"]


def test_a_folder_is_locked_against_another_process_and_freed_by_its_death(tmp_path):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
            import pathlib, time
            from search.store.folder import RunFolder
            with RunFolder(pathlib.Path({str(tmp_path)!r})).locked():
                print("held", flush=True)
                time.sleep(60)
        """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline().strip() == "held"
    with pytest.raises(FolderError, match="in use"), RunFolder(tmp_path).locked():
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=60)
    with RunFolder(tmp_path).locked():
        pass


def test_lines_are_plain_json_after_their_checksum(tmp_path):
    path = written(tmp_path / "ledger.log", EVENTS[:1])
    assert json.loads(path.read_text().split(" ", 1)[1]) == EVENTS[0]
