"""The cores that a process may use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.machine import _quota, other_commands, usable_cores

ASK = [sys.executable, "-c", "from models.machine import usable_cores; print(usable_cores())"]


def test_cores_that_a_process_is_bound_to():
    first = min(os.sched_getaffinity(0))
    done = subprocess.run(["taskset", "-c", str(first), *ASK], capture_output=True, text=True)
    assert done.stdout == "1\n"


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_another_command_is_found_once_whatever_started_it(tmp_path):
    (tmp_path / "sleeper").mkdir()
    (tmp_path / "sleeper" / "nap.py").write_text("import time; print(flush=True); time.sleep(60)")
    nap = ["timeout", "60", sys.executable, "-m", "sleeper.nap"]
    with subprocess.Popen(nap, cwd=tmp_path, stdout=subprocess.PIPE) as started:
        started.stdout.readline()  # it runs
        found = other_commands("sleeper")
        started.terminate()
    assert len(found) == 1 and found != [started.pid]
    deadline = time.monotonic() + 30
    while other_commands("sleeper") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not other_commands("sleeper")


@pytest.mark.parametrize(
    ("limits", "cores"),
    [
        ({"a/b/cpu.max": "50000 100000"}, 0.5),
        ({"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5),  # of the group above
        ({"cpu.max": "200000 100000"}, 2.0),  # in a container, whose path is the host's
        ({}, float("inf")),
    ],
)
def test_the_smallest_limit_of_the_control_groups_counts(tmp_path, limits, cores):
    for name, text in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    assert _quota(own, tmp_path) == cores


def test_half_a_core_is_one_core():
    """A real control group, where one can be made."""
    group = Path(f"/sys/fs/cgroup/cpu/test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("50000")
    except OSError:
        pytest.skip("needs root and control groups of version 1")
    try:
        script = f'echo $$ > {group}/cgroup.procs && exec "$0" "$@"'
        done = subprocess.run(["sh", "-c", script, *ASK], capture_output=True, text=True)
        assert done.stdout == "1\n" and usable_cores() >= 1
    finally:
        group.rmdir()
