"""What a command does before it imports anything: surroundings that would break it."""

from __future__ import annotations

import getpass
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.start import print_anything, settle_environment

ROOT = Path(__file__).parents[2]
NOTEBOOK = "module://a_notebook.backend_inline"  # of a package that is not installed here


def report(tmp_path, **environment) -> subprocess.CompletedProcess:
    """A report on a folder without runs, which is refused once everything is imported."""
    return subprocess.run(
        [sys.executable, "-m", "analysis.report", "--runs", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_a_notebook_s_drawing_backend_breaks_no_command(tmp_path):
    done = report(tmp_path, MPLBACKEND=NOTEBOOK)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "no run to report" in done.stderr


def test_packages_of_another_python_in_pythonpath_are_one_line_and_status_2(tmp_path):
    foreign = tmp_path / "lib" / "python2.7" / "site-packages"
    done = report(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{foreign}")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert str(foreign) in done.stderr


def test_a_working_folder_that_was_deleted_is_one_line_and_status_2(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && exec {sys.executable} -m analysis.report"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


def test_a_user_without_a_name_has_one(monkeypatch):
    """As in a container that runs under a number; torch asks for the name of the user."""
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # knows nobody: KeyError
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    settle(monkeypatch)
    assert str(os.getuid()) in getpass.getuser()
    assert Path("~/.cache").expanduser().is_absolute()


CORES = str(os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("asked", "settled"),
    [(None, None), ("1", "1"), ("1,1", "1,1"), ("none", None), ("0", None), ("100000", CORES)],
)
def test_a_number_of_threads_is_one_that_helps(asked, settled, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    settle(monkeypatch)
    assert os.environ.get("OMP_NUM_THREADS") == settled


def settle(monkeypatch) -> None:
    """The settings, which end with the test."""
    for name in ("MPLBACKEND", "RAY_ENABLE_UV_RUN_RUNTIME_ENV"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    settle_environment()


def test_what_ray_refuses_or_would_do_on_its_own_is_off(monkeypatch):
    monkeypatch.setenv("TUNE_RESULT_DIR", "/somewhere")
    monkeypatch.setenv("RAY_AIR_LOCAL_CACHE_DIR", "/somewhere")
    settle(monkeypatch)
    assert not {"TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR"} & os.environ.keys()
    assert os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"


def test_a_stream_prints_what_its_encoding_lacks_and_names_of_files_byte_by_byte():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_anything(stream)
    print("±", os.fsdecode(b"r\xfcns"), file=stream, flush=True)
    assert raw.getvalue() == b"? r\xfcns\n"
