"""A dashboard that is slow, broken or gone: the search neither waits nor stops."""

from __future__ import annotations

import threading
import time

import numpy as np

from search.dashboards.dashboard import Known
from search.dashboards.follower import DashboardFollower
from search.dashboards.pictures import winner_pictures
from search.record.schema import PAUSE
from tests.search.dashboards.made import epoch, first_session


class Fake:
    """Keeps what it is sent; raises while `gone`, and hangs until `answers` is set."""

    def __init__(self):
        self.gone, self.answers = False, threading.Event()
        self.answers.set()
        self.points, self.states = [], {}

    def _reach(self):
        self.answers.wait()
        if self.gone:
            raise ConnectionError("no route to host")

    def open(self):
        self._reach()

    def known(self, trial):
        self._reach()
        return Known()

    def write(self, trial, state, records):
        self._reach()
        self.points += [(trial.number, record["epoch"]) for record in records]
        self.states[trial.number] = state

    def close(self):
        pass


POINTS = [(0, 1), (0, 2), (0, 3), (1, 1), (3, 1)]


def test_what_a_server_misses_is_sent_when_it_is_back(tmp_path):
    fake = Fake()
    fake.gone = True
    logbook = first_session(tmp_path / "run")
    follower = DashboardFollower("fake", fake)
    logbook.follow(follower)
    time.sleep(0.1)
    assert follower.dropped_points() == len(POINTS)
    fake.gone = False
    assert follower.close() == ""
    assert sorted(fake.points) == POINTS
    assert fake.states == {0: "complete", 1: "pruned", 2: "error", 3: "running"}


def test_a_server_that_is_gone_costs_no_time_and_its_points_are_counted(tmp_path):
    fake = Fake()
    fake.answers.clear()  # it hangs for ever
    logbook = first_session(tmp_path / "run")
    follower = DashboardFollower("fake", fake, wait_s=0.2)
    logbook.follow(follower)
    trial = logbook.state.trials[3]
    begin = time.perf_counter()
    for _ in range(20000):
        follower.update(trial)
    assert time.perf_counter() - begin < 2
    epoch(logbook, 3, 2)
    begin = time.perf_counter()
    told = follower.close()
    assert time.perf_counter() - begin < 2 and "6 points" in told
    fake.answers.set()


def test_a_server_that_refuses_is_named_with_its_reason(tmp_path):
    fake = Fake()
    fake.gone = True
    follower = DashboardFollower("fake", fake, wait_s=0.2)
    first_session(tmp_path / "run").follow(follower)
    told = follower.close()
    assert "5 points" in told and "no route to host" in told


def test_ray_can_pickle_a_logbook_that_a_dashboard_follows(tmp_path):
    from ray import cloudpickle

    follower = DashboardFollower("fake", Fake(), wait_s=0.2)
    first_session(tmp_path / "run").follow(follower)
    cloudpickle.dumps(follower)
    assert follower.close() == ""


def test_the_picture_of_a_winner_has_a_column_for_each_image(tmp_path):
    (tmp_path / "32").mkdir()
    images = np.linspace(0, 1, 2 * 4 * 4).reshape(2, 4, 4)
    arrays = {"inputs": images, "noised": images, "reconstructions": 1 - images}
    np.savez(tmp_path / "32" / "examples.npz", **arrays)
    ((name, picture),) = winner_pictures(tmp_path, (32, 64))
    assert name == "winner-32" and picture.shape == (12, 8) and picture.dtype == np.uint8
    assert picture[0, 0] == 0 and picture[8, 0] == 255


def test_a_paused_trial_runs_until_the_search_ends(tmp_path):
    fake = Fake()
    logbook = first_session(tmp_path / "run")
    follower = DashboardFollower("fake", fake)
    logbook.follow(follower)
    epoch(logbook, 3, 2, PAUSE)
    while len(fake.points) <= len(POINTS):
        time.sleep(0.01)
    assert fake.states[3] == "running"
    assert follower.close() == "" and fake.states[3] == "pruned"
