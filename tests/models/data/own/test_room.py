"""What does not fit into memory is refused before it is read."""

import numpy as np
import pytest

from models.data import DataError, load
from models.data.own import room


def test_the_memory_of_this_machine_is_known():
    assert 0 < room.available_memory() <= room.total_memory()


def test_images_that_do_not_fit_are_refused_with_what_they_need(monkeypatch):
    monkeypatch.setattr(room, "available_memory", lambda: 2_000_000_000)
    monkeypatch.setattr(room, "total_memory", lambda: 24_000_000_000)
    room.check_room("own", (50_000, 64, 64, 3))
    with pytest.raises(DataError, match=r"2\.5 GB of memory, and 2\.0 GB are free"):
        room.check_room("own", (100_000, 64, 64, 3))


def test_what_trials_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(room, "available_memory", lambda: 20_000_000_000)
    monkeypatch.setattr(room, "total_memory", lambda: 24_000_000_000)
    with pytest.raises(DataError, match="share"):
        room.check_room("own", (200_000, 128, 128, 3))


def test_a_file_is_refused_by_its_header_alone(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "own.npz", images=np.zeros((1000, 64, 64, 3), np.uint8))
    monkeypatch.setattr(room, "available_memory", lambda: 20_000_000)
    monkeypatch.setattr(np, "load", None)
    with pytest.raises(DataError, match="GB"):
        load(str(tmp_path / "own.npz"), tmp_path)
