"""A search without training, whose trials go to a dashboard."""

from __future__ import annotations

import numpy as np

from search.dashboards.dashboard import About, open_dashboard
from search.dashboards.follower import DashboardFollower
from search.record import schema
from search.record.decision import Decision, Failure
from search.store.folder import RunFolder
from search.tune.logbook import Logbook
from tests.search.toy import ToyTask

PICTURE = np.arange(60, dtype=np.uint8).reshape(6, 10)


def about(logbook: Logbook) -> About:
    return About(
        name=logbook.folder.name,
        command="search.toy",
        folder=logbook.folder.path,
        begun=logbook.state.header["time"],
        metric="value",
        mode="min",
        metrics=logbook.task.metrics,
        hyperparameters=("size", "x"),
    )


def follow(tool: str, logbook: Logbook) -> DashboardFollower:
    follower = DashboardFollower(tool, open_dashboard(tool, about(logbook)), wait_s=300)
    logbook.follow(follower)
    return follower


def epoch(logbook: Logbook, number: int, epoch: int, kind: str = schema.CONTINUE) -> None:
    record = {"epoch": epoch, "train_loss": 1 / epoch, "value": number + 1 / epoch, "seconds": 0.1}
    logbook.record_epoch(logbook.state.trials[number], record, Decision(kind))


def first_session(path) -> Logbook:
    """Trial 0 is complete, trial 1 pruned, trial 2 failed, trial 3 had one epoch of three."""
    logbook = Logbook.start(path, ToyTask(max_epochs=3, checkpoints=False))
    for _ in range(4):
        logbook.new_trial()
    for number in (1, 2, 3):
        epoch(logbook, 0, number, schema.LAST if number == 3 else schema.CONTINUE)
    epoch(logbook, 1, 1, schema.STOP)
    failure = Failure(schema.REASON_EXCEPTION, "ValueError: told to")
    logbook.record_failure(logbook.state.trials[2], failure, final=True)
    epoch(logbook, 3, 1)
    return logbook


def two_sessions(tool: str, path) -> Logbook:
    """A search that is interrupted after the first session and goes on to its end, in `tool`."""
    logbook = first_session(path)
    follower = follow(tool, logbook)
    assert follower.close() == "" and follower.dropped_points() == 0

    logbook = Logbook(RunFolder(path), ToyTask(max_epochs=3, checkpoints=False))
    follower = follow(tool, logbook)
    epoch(logbook, 3, 2)
    epoch(logbook, 3, 3, schema.LAST)
    follower.show("winner-1", PICTURE)
    assert follower.close() == ""
    return logbook
