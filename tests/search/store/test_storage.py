"""Run folders in a bucket of an S3 server on this machine: nothing is lost there either."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from search.record.ledger import LedgerError
from search.store import bucket_ledger, lock
from search.store.bucket import BucketFiles, Server, bucket_files
from search.store.bucket_ledger import BucketLedger, read_bucket_ledger
from search.store.checkpoints import CheckpointStore, StorageFailed
from search.store.files import FolderError, FolderFiles
from search.store.lock import Lease
from search.store.storage import open_storage
from tests.search.driver import ROOT, BucketDriver, outcome


@pytest.fixture
def bucket(s3, request) -> BucketFiles:
    """A prefix of its own for each test."""
    return bucket_files(s3.uri(request.node.name.replace("[", "-").strip("]")))


@pytest.fixture(params=["folder", "bucket"])
def files(request, tmp_path):
    return FolderFiles(tmp_path) if request.param == "folder" else request.getfixturevalue("bucket")


def put(files, name: str, data: bytes) -> None:
    files.write(name, lambda file: file.write(data))


def test_files_are_whole_or_not_there(files):
    inside = files.child("inside")
    assert inside.read("a.pt") is None and inside.names() == []
    put(inside, "a.pt", b"old")
    put(files, "b.pt", b"")
    assert inside.read("a.pt") == b"old" and files.read("b.pt") == b""
    assert inside.names() == ["a.pt"] and files.names() == ["b.pt"]

    def fail(file):
        file.write(b"half of the n")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        inside.write("a.pt", fail)
    assert inside.read("a.pt") == b"old" and inside.names() == ["a.pt"]
    for _ in range(2):
        inside.delete("a.pt")
    assert inside.names() == []


def test_checkpoints_of_a_worker_are_what_the_driver_reads(files):
    store = CheckpointStore(files)
    assert store.load("trial_00000") is None
    store.save("trial_00000", {"record": {"epoch": 2}}, {"weight": 1.5})
    store.save("trial_00000", {"record": {"epoch": 3}}, None)
    store.check("trial_00000", 3)
    with pytest.raises(FolderError, match="too old, and its trial has had 4 epochs"):
        store.check("trial_00000", 4)
    assert store.load_weights("trial_00000") == {"weight": 1.5}
    assert store.trial_ids() == {"trial_00000"}
    store.delete("trial_00000")
    assert store.trial_ids() == set()


def test_a_server_that_is_gone_is_no_fault_of_a_trial(bucket):
    gone = Server("127.0.0.1:1", "http", "us-east-1")
    with pytest.raises(StorageFailed, match="^s3://runs/x: "):
        CheckpointStore(BucketFiles(gone, "runs/x")).save("trial_00000", {"a": 1}, None)


def ledger(bucket, events: int, begin: int = 0) -> BucketLedger:
    opened = BucketLedger(bucket, begin, lambda: None)
    for number in range(begin, begin + events):
        opened.append({"event": "trial", "number": number})
    return opened


def numbers(events) -> list[int]:
    return [event["number"] for event in events]


@pytest.mark.parametrize("count", [1, 4, 5, 13])
def test_events_come_back_from_a_bucket_in_order(bucket, monkeypatch, count):
    monkeypatch.setattr(bucket_ledger, "GROUP", 5)
    ledger(bucket, count)
    events, end = read_bucket_ledger(bucket)
    assert end == count and numbers(events) == list(range(count))
    ledger(bucket, 7, begin=end)
    events, end = read_bucket_ledger(bucket)
    assert end == count + 7 and numbers(events) == list(range(end))
    assert sum("/" in name for name, _ in bucket.tree()) == end % 5  # the rest is joined


def test_a_driver_killed_between_joining_and_deleting_leaves_each_event_once(bucket, monkeypatch):
    monkeypatch.setattr(bucket_ledger, "GROUP", 5)
    opened = ledger(bucket, 4)
    monkeypatch.setattr(BucketFiles, "delete_child", lambda self, name: None)
    opened.append({"event": "trial", "number": 4})
    assert len(bucket.tree()) == 6
    assert numbers(read_bucket_ledger(bucket)[0]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("lost", ["000000.log", "000001/001"])
def test_an_event_that_is_missing_is_told(bucket, monkeypatch, lost):
    monkeypatch.setattr(bucket_ledger, "GROUP", 5)
    ledger(bucket, 8)
    bucket.delete(lost)
    with pytest.raises(LedgerError, match="an event is missing"):
        read_bucket_ledger(bucket)


def test_a_damaged_event_is_told(bucket):
    ledger(bucket, 2)
    put(bucket, "000000/001", b'00000000 {"event":"trial"}\n')
    with pytest.raises(LedgerError, match="line 2 is damaged"):
        read_bucket_ledger(bucket)


@pytest.fixture
def quick_lock(monkeypatch):
    for name, seconds in {"BEAT_S": 0.5, "STOP_S": 3.0, "EXPIRY_S": 8.0}.items():
        monkeypatch.setattr(lock, name, seconds)


def holder(s3, bucket) -> subprocess.Popen:
    """Another process that holds the lock and renews it."""
    script = f"""
        import time
        from search.store import lock
        from search.store.bucket import bucket_files
        lock.BEAT_S = 0.5
        files = bucket_files({s3.uri(bucket.path.removeprefix("runs/"))!r})
        with lock.Lease(files, "run").held():
            print("held", flush=True)
            time.sleep(120)
    """
    started = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert started.stdout.readline().strip() == "held"
    return started


def test_a_run_in_a_bucket_is_held_by_one_driver_and_freed_by_its_death(s3, bucket, quick_lock):
    other = holder(s3, bucket)
    with pytest.raises(FolderError, match="in use by another search"):
        with Lease(bucket, "run").held():
            pass
    other.send_signal(signal.SIGKILL)
    other.wait(timeout=60)
    with Lease(bucket, "run").held() as lock:
        lock.check()
        assert len(bucket.names()) == 1
    assert bucket.names() == []


def test_a_driver_of_another_machine_that_died_is_waited_for_until_its_lease_ends(
    bucket, quick_lock, capsys
):
    put(bucket, "elsewhere-1234abcd-1-17-deadbeef", b"")
    begun = time.time()
    with Lease(bucket, "run").held():
        assert len(bucket.names()) == 1
    assert time.time() - begun > 5
    assert "may have died" in capsys.readouterr().out


def test_a_driver_whose_claim_was_taken_away_writes_no_more(bucket, quick_lock):
    with Lease(bucket, "run").held() as lock:
        lock.check()
        bucket.delete(bucket.names()[0])
        deadline = time.monotonic() + 60
        with pytest.raises(OSError, match="could not be renewed"):
            while time.monotonic() < deadline:
                lock.check()
                time.sleep(0.1)


BROKEN = {
    "no such bucket": ("s3://gone/x{query}", "there is no bucket gone"),
    "nobody answers": ("s3://runs/x?endpoint_override=127.0.0.1:1&scheme=http", "cannot be used"),
    "another protocol": ("ftp://runs/x", "only folders and s3://bucket/prefix"),
    "a secret in the open": ("s3://key:secret@runs/x", "credentials go into AWS_* variables"),
    "an option of no meaning": ("s3://runs/x?colour=red", "colour is not known"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_storage_that_cannot_be_used_is_one_line(case, s3):
    uri, message = BROKEN[case]
    with pytest.raises(FolderError) as caught:
        open_storage(uri.format(query=s3.query))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_search_in_a_bucket_that_is_killed_goes_on_to_the_same_tables(s3, tmp_path, twin):
    driver = BucketDriver(s3, "killed", tmp_path)
    assert driver.kill_after(events=14, delay=0.1)
    done = driver.finish()
    assert done.returncode == 0, done.stderr
    assert "search.fetch" in done.stdout
    driver.fetch()
    assert outcome(driver.folder) == outcome(twin.folder)
    kept = {name for name, _ in driver.files.tree()}
    winners = [path for path in (twin.folder / "best").rglob("*") if path.is_file()]
    assert {path.relative_to(twin.folder).as_posix() for path in winners} <= kept
    assert not [name for name in kept if name.startswith("checkpoints/")]
    assert json.loads((driver.folder / "run.json").read_text())["state"] == "finished"
