"""The commit, the versions and the time that records keep."""

import platform
import re
from datetime import datetime
from importlib.metadata import version

from models import provenance


def test_the_commit_is_forty_digits_and_a_plus_where_files_differ():
    commit = provenance.git_commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}\+?", commit)


def test_outside_a_checkout_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    assert provenance.git_commit() is None
    monkeypatch.setenv("PATH", "")  # without git
    assert provenance.git_commit() is None


def test_versions_are_those_of_python_and_of_the_packages():
    expected = {"python": platform.python_version(), "numpy": version("numpy")}
    assert provenance.versions(["numpy"]) == expected


def test_a_time_has_its_offset_from_utc():
    assert datetime.fromisoformat(provenance.timestamp(1e9)).timestamp() == 1e9
    assert datetime.fromisoformat(provenance.timestamp()).tzinfo is not None
