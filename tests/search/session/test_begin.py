"""The run folder of a new search: two at once, and a folder in which no search can begin."""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
from contextlib import ExitStack

import pytest

from search.autoencoders.command import COMMAND
from search.record.ledger import read_ledger
from search.session.begin import begun
from search.session.prepare import prepare
from search.store.files import FolderError


@pytest.fixture
def given(tmp_path):
    """The flags of a small search, as `prepare` takes them."""
    where = {"data_dir": str(tmp_path), "storage_path": str(tmp_path / "my rüns")}
    return {"dataset": "mnist5k", **where}


def test_searches_without_a_name_that_begin_in_one_second_get_two_folders(given):
    session = prepare(COMMAND, given)
    with ExitStack() as held:
        sessions = [held.enter_context(begun(session, resumed=False)) for _ in range(3)]
    assert len({each.folder.path for each in sessions}) == 3
    for each in sessions:
        (header,), _ = read_ledger(each.folder.ledger)
        assert header["settings"]["name"] == each.folder.name


def test_a_name_that_the_user_gave_is_not_changed(given):
    named = prepare(COMMAND, {**given, "name": "night"})
    with begun(named, False), pytest.raises(FolderError, match="--resume"), begun(named, False):
        pass


def test_a_folder_in_which_no_search_began_is_not_left_behind(given, tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="Input/output"):
        with begun(prepare(COMMAND, {**given, "name": "a"}), resumed=False):
            pass
    assert not (tmp_path / "my rüns" / "a").exists()


@pytest.mark.parametrize("name", ["a b", "ü'\"$(x)", "-a"])
def test_the_printed_command_goes_on_with_a_search_of_any_name(given, name):
    session = prepare(COMMAND, {**given, "name": name})
    with begun(session, resumed=False):
        pass
    words = shlex.split(session.resume_command)
    assert words[:3] == ["python", "-m", "search.autoencoders"]
    again = prepare(COMMAND, vars(COMMAND.parser().parse_args(words[3:])))
    assert again.folder.path == session.folder.path
