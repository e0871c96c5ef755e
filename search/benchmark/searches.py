"""Running a search: with this project's tuner, and with Ray's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import ray
from ray import tune

from search.cluster.capacity import begin_cards, session_limits
from search.session.shown.tables import TableWriter
from search.task.protocol import Task, arrays_from_data
from search.task.settings import Settings
from search.tune.logbook import Logbook
from search.tune.scheduler import checkpoint_policy
from search.tune.tuner import build_tuner


def search_ours(task: Task, settings: Settings, data: object, folder: Path) -> Logbook:
    """A search as a command runs it, without the retraining of its winners, in a new run folder.
    `data` is a dataclass that `task.prepare` takes. Ray must be running."""
    logbook = Logbook.start(folder, task, scheduler=settings.scheduler)
    tables = TableWriter(logbook)
    logbook.follow(tables)
    with _environment_kept():
        arrays = ray.put(arrays_from_data(data))
        checkpoints = checkpoint_policy(
            task, settings.grace_epochs, settings.checkpoint_every_s, settings.scheduler
        )
        cards = begin_cards(settings, task, arrays, logbook.store, checkpoints)
        limits = session_limits(settings, task, cards, checkpoints)
        build_tuner(logbook, limits, arrays, [tables.write_if_due]).fit()
    tables.write()
    return logbook


def search_stock(tuner: tune.Tuner) -> None:
    """Run a Tuner of Ray's own to its end, without what it prints. Raises RuntimeError if a trial
    failed: the measurement would be worth nothing."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        results = tuner.fit()
    if results.errors:
        raise RuntimeError(f"a trial of stock Ray Tune failed: {results.errors[0]}")


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Our tuner sets environment variables that make Ray quiet; stock must run without them."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
