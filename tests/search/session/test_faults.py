"""Real drivers are killed: what a search survives, and what it refuses.

Every test runs the real command on a short real search and compares with the same search left
alone. With one trial at a time and a fixed seed, the tables must agree in every column but times.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from search.record.schema import SEARCH_FINISHED, SEARCH_OUT_OF_TIME
from tests.search.driver import SEARCH, Driver, outcome


def copy_of(twin: Driver, storage: Path) -> Driver:
    shutil.copytree(twin.storage, storage, dirs_exist_ok=True)
    return Driver(storage)


def kill(driver: Driver, twin: Driver, kills: int, seed: int) -> None:
    """Kill -9, so many times, or until the search has ended."""
    rng, done = random.Random(seed), 0
    while done < kills:
        done += driver.kill_after(events=rng.choice((0, 1, 2, 3)), delay=rng.uniform(0, 0.7))
        if (driver.folder / "run.json").exists() and driver.events() >= twin.events():
            break
    assert done >= min(kills, 3)


def interrupt(driver: Driver, number: int, send=os.killpg) -> None:
    """Send a signal in the middle of the search, and look at the message, the state and the
    processes afterwards. Ctrl-C in a terminal goes to every process of the group."""
    process = driver.start()
    driver.wait_for_events(driver.events() + 5, process)
    others = psutil.Process(process.pid).children(recursive=True)
    send(process.pid, number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number and len(err.splitlines()) == 1
    assert "--resume" in err
    assert json.loads((driver.folder / "run.json").read_text())["state"] == "interrupted"
    assert psutil.wait_procs(others, timeout=10)[1] == []


def run_out_of_time(driver: Driver) -> None:
    """A search that its time budget ends is a result."""
    done = driver.finish("--time-budget-s", "1")  # less than the trials that are left take
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr
    assert json.loads((driver.folder / "run.json").read_text())["state"] == SEARCH_OUT_OF_TIME
    assert "--resume" in done.stdout and "time budget ended the search" in done.stdout


def ends_as(twin: Driver, driver: Driver) -> None:
    finished = driver.finish()
    assert finished.returncode == 0, finished.stderr
    assert outcome(driver.folder) == outcome(twin.folder)


def test_a_driver_that_is_killed_interrupted_and_out_of_time_ends_in_the_same_tables(
    tmp_path, twin
):
    driver = Driver(tmp_path)
    kill(driver, twin, kills=1, seed=0)
    interrupt(driver, signal.SIGTERM, os.kill)
    run_out_of_time(driver)
    ends_as(twin, driver)
    run = json.loads((driver.folder / "run.json").read_text())
    assert run["state"] == SEARCH_FINISHED
    assert len(run["sessions"]) == 4
    assert run["seconds"] == pytest.approx(sum(one["seconds"] for one in run["sessions"]), abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "send"), [("SIGINT", os.killpg), ("SIGUSR1", os.kill), ("SIGTERM", os.killpg)]
)
def test_a_search_that_is_told_to_end_goes_on_to_the_same_tables(tmp_path, twin, name, send):
    driver = Driver(tmp_path)
    interrupt(driver, getattr(signal, name), send)
    ends_as(twin, driver)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_driver_killed_many_times_ends_in_the_same_tables(tmp_path, twin, seed):
    driver = Driver(tmp_path)
    kill(driver, twin, kills=5, seed=seed)
    ends_as(twin, driver)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(9, id="in a trial", marks=pytest.mark.slow),
        pytest.param(12, id="between two trials", marks=pytest.mark.slow),
    ],
)
def test_a_killed_worker_costs_nothing_but_its_epoch(tmp_path, twin, events):
    """After 12 events the third trial is being handed to the worker of the second."""
    driver = Driver(tmp_path)
    process = driver.start()
    driver.wait_for_events(events, process)
    workers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if "Trainable" in " ".join(child.cmdline())
    ]
    assert workers
    workers[0].kill()
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    trials, epochs, study = outcome(driver.folder)
    failures = [int(row.pop("failures")) for row in trials]
    expected, expected_epochs, expected_study = outcome(twin.folder)
    assert sum(failures) == 1
    assert trials == [{k: v for k, v in row.items() if k != "failures"} for row in expected]
    assert (epochs, study) == (expected_epochs, expected_study)


PAUSED = [*SEARCH, *"--max-epochs 9 --latent-sizes 16 --num-samples 30 --scheduler".split()]


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["promotion", "asha"])
def test_a_driver_that_is_killed_while_trials_are_paused_ends_in_the_same_tables(
    tmp_path, scheduler
):
    whole = Driver(tmp_path / "whole", flags=[*PAUSED, scheduler])
    driver = Driver(tmp_path / "killed", flags=[*PAUSED, scheduler])
    assert whole.finish().returncode == 0
    trials, epochs, _ = outcome(whole.folder)
    paused = {row["id"] for row in epochs if row["decision"] == "pause"}
    waiting = {row["id"] for row in trials if row["reason"] == "paused"}
    called_back = waiting < paused
    assert called_back != (scheduler == "asha")
    kill(driver, whole, kills=5, seed=1)
    ends_as(whole, driver)


@pytest.mark.slow
def test_a_reproducible_search_that_is_killed_equals_one_of_another_number_of_workers(tmp_path):
    flags = [*SEARCH, "--reproducible", "--max-concurrent"]
    whole = Driver(tmp_path / "whole", flags=[*flags, "1"])
    driver = Driver(tmp_path / "killed", flags=[*flags, "2"])
    assert whole.finish().returncode == 0
    kill(driver, whole, kills=3, seed=2)
    ends_as(whole, driver)


@pytest.mark.slow
def test_ctrl_c_twice_loses_nothing(tmp_path, twin):
    driver = Driver(tmp_path)
    process = driver.start()
    driver.wait_for_events(15, process)
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=120)
    assert process.returncode == 130
    ends_as(twin, driver)


@pytest.mark.slow
def test_a_finished_search_grows_to_what_it_would_have_been(tmp_path):
    flags = [*SEARCH, "--scheduler", "asha"]
    whole = Driver(tmp_path / "whole", flags=flags)
    assert whole.finish().returncode == 0
    driver = Driver(tmp_path / "grown", flags=[*flags, "--num-samples", "8"])
    assert driver.finish().returncode == 0
    assert driver.finish("--num-samples", "12").returncode == 0
    assert outcome(driver.folder) == outcome(whole.folder)


@pytest.mark.slow
def test_two_drivers_on_one_folder(tmp_path, twin):
    first = Driver(tmp_path)
    process = first.start()
    first.wait_for_events(8, process)
    second = first.finish()
    assert second.returncode == 2 and "in use by another search" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    process.communicate(timeout=400)
    assert process.returncode == 0
    assert outcome(first.folder) == outcome(twin.folder)


@contextmanager
def small_disk(path: Path, megabytes: int):
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(filler) -> None:
    with suppress(OSError):
        while True:
            filler.write(b"\0" * 65536)


@pytest.mark.slow
def test_a_full_disk_stops_the_search_and_it_goes_on_once_there_is_room(tmp_path, twin):
    disk = tmp_path / "disk"
    with small_disk(disk, megabytes=96), open(disk / "filler", "wb", buffering=0) as filler:
        driver = Driver(disk)
        process = driver.start()
        driver.wait_for_events(10, process)
        deadline = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < deadline:
            fill(filler)  # again and again, because the search frees some space
            time.sleep(0.01)
        out, err = process.communicate(timeout=1)
        fill(filler)
        assert process.returncode == 1 and "No space left" in err + out or "no room" in err
        assert "Traceback" not in err and "--resume" in err
        still_full = driver.finish()
        assert still_full.returncode == 1 and len(still_full.stderr.splitlines()) == 1
        filler.truncate(0)
        ends_as(twin, driver)


@pytest.mark.slow
def test_while_ray_kills_workers_for_the_node_s_memory_the_search_waits(tmp_path, twin):
    """Ray's own memory monitor kills: its limit is below what this machine uses already."""
    driver = Driver(tmp_path)
    driver.environment = {**os.environ, "RAY_memory_usage_threshold": "0.01"}
    process = driver.start()
    driver.wait_for_events(4, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    ledger = (driver.folder / "ledger.log").read_text()
    assert ledger.count('"reason":"node memory"') >= 2
    assert '"event":"failure"' in ledger and '"final":true' not in ledger
    driver.environment = os.environ
    ends_as(twin, driver)


def damage_ledger(folder):
    raw = bytearray((folder / "ledger.log").read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / "ledger.log").write_bytes(raw)


def lose_ledger(folder):
    (folder / "ledger.log").unlink()


def tear_header(folder):
    raw = (folder / "ledger.log").read_bytes()
    (folder / "ledger.log").write_bytes(raw[:50])


def unfinish_last_trial(folder):
    """As if the driver had died in the middle of the last trial; its checkpoint is gone."""
    lines = (folder / "ledger.log").read_bytes().splitlines(keepends=True)
    goes_on = re.compile(rb'"decision":"(promote|continue)"')
    last = max(n for n, line in enumerate(lines) if goes_on.search(line))
    (folder / "ledger.log").write_bytes(b"".join(lines[: last + 1]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_ledger, "is damaged"),
        (lose_ledger, "holds no ledger.log"),
        (tear_header, "holds no event"),
        (unfinish_last_trial, "is missing"),
    ],
)
def test_a_damaged_folder_is_refused_and_left_as_it_is(tmp_path, twin, damage, message):
    driver = copy_of(twin, tmp_path)
    damage(driver.folder)
    before = {path: path.read_bytes() for path in driver.folder.rglob("*") if path.is_file()}
    done = Driver(tmp_path).finish("--resume") if damage is lose_ledger else driver.finish()
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    after = {path: path.read_bytes() for path in driver.folder.rglob("*") if path.is_file()}
    assert after == before


def test_a_torn_study_is_mended_from_the_ledger(tmp_path, twin):
    driver = copy_of(twin, tmp_path)
    study = driver.folder / "study.log"
    study.write_bytes(study.read_bytes()[:-700])
    (driver.folder / "study.log.lock").symlink_to("nowhere")  # as a killed driver leaves it
    ends_as(twin, driver)
