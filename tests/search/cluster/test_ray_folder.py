"""Where Ray's sockets go, and folders that cannot hold them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from search.cluster.ray_folder import ray_folder, refuse_shared_folder
from search.task.settings import UsageError

OWN = f"ray-{os.getuid()}"


@pytest.fixture
def short():
    """A folder with a short path, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def test_ray_s_own_choice_is_kept_where_it_holds_sockets(short, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(short))
    assert ray_folder() == (short / "ray", "")
    assert list((short / "ray").iterdir()) == []


@pytest.mark.parametrize("bad", ["/tmp/" + 60 * "x", "/proc/nowhere"])
def test_a_tmpdir_that_holds_no_sockets_is_named_and_tmp_is_used(bad, monkeypatch):
    monkeypatch.setenv("TMPDIR", bad)
    folder, note = ray_folder()
    assert folder.parent == Path("/tmp") and f"TMPDIR: {bad}" in note
    assert not Path(bad).exists()


def test_a_folder_of_another_user_is_left_to_them(short, monkeypatch):
    (short / "ray").write_text("")  # no more usable than a folder that this user cannot write
    monkeypatch.setenv("TMPDIR", str(short))
    folder, note = ray_folder()
    assert folder == short / OWN and str(short / "ray") in note


@pytest.mark.parametrize("bad", ["/tmp/" + 60 * "x", "/proc/nowhere"])
def test_a_ray_tmpdir_that_holds_no_sockets_is_refused(bad, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", bad)
    with pytest.raises(UsageError) as refused:
        ray_folder()
    assert f"RAY_TMPDIR: {bad}" in str(refused.value) and "\n" not in str(refused.value)
    assert not Path(bad).exists()


def node(folder: str, host: str = "here", alive: bool = True) -> dict:
    socket = f"{folder}/session_1/sockets/raylet"
    return {"NodeManagerHostname": host, "RayletSocketName": socket, "Alive": alive}


JOB = Path("/tmp/ray/session_1/runtime_resources/working_dir_files/_ray_pkg_1")


def test_two_nodes_that_unpack_a_job_in_one_folder_are_refused():
    with pytest.raises(UsageError, match="temp-dir"):
        refuse_shared_folder([node("/tmp/ray"), node("/tmp/ray")], JOB)


@pytest.mark.parametrize(
    ("nodes", "working_folder"),
    [
        ([node("/tmp/ray"), node("/tmp/second")], JOB),
        ([node("/tmp/ray"), node("/tmp/ray", host="there")], JOB),
        ([node("/tmp/ray"), node("/tmp/ray", alive=False)], JOB),
        ([node("/tmp/ray"), node("/tmp/ray")], Path("/home/someone")),  # no job: nothing is lost
    ],
)
def test_nodes_that_do_not_disturb_each_other_are_not(nodes, working_folder):
    refuse_shared_folder(nodes, working_folder)
