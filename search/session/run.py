"""The course of a session: prepare, search, retrain the winners, conclude."""

from __future__ import annotations

import logging
import math
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress

import optuna
import ray

from models.data import DataError
from search.cluster.capacity import begin_cards, check_room, session_limits
from search.cluster.connection import start_ray
from search.cluster.mps import mps_daemon
from search.cluster.storage_check import check_storage
from search.dashboards.dashboard import About, open_dashboard, refuse_missing
from search.dashboards.follower import DashboardFollower
from search.dashboards.pictures import winner_pictures
from search.record import schema
from search.record.ledger import LedgerError
from search.session.command import Command
from search.session.conclude import announce, conclude
from search.session.finals import write_finals
from search.session.prepare import Session, prepare, space_as_toml
from search.session.progress import StatusBlock
from search.session.result import SearchResult
from search.session.run_record import RunRecord
from search.session.tables import TableWriter
from search.store.files import FolderError
from search.store.folder import RunFolder
from search.store.storage import open_storage
from search.task.protocol import arrays_from_data
from search.task.settings import UsageError
from search.tune.limits import Limits, SearchStopped
from search.tune.logbook import Logbook
from search.tune.scheduler import checkpoint_policy
from search.tune.tuner import build_tuner

USAGE_ERRORS = (UsageError, DataError, FolderError, LedgerError)


def run_command(command: Command, given: dict, argv: list[str]) -> int:
    """Run a search with the flags `given`, which `argv` says as text; return the exit status that
    `command.main` describes."""
    name = f"search.{command.name}"
    try:
        if given.pop("print_space", False):
            print(space_as_toml(command, given))
            return 0
        return 0 if run_search(command, given, argv).groups else 1
    except USAGE_ERRORS as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    except SearchStopped as error:
        print(f"{name}: stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"{name}: {interrupt}", file=sys.stderr)
        return 130


def run_search(
    command: Command,
    given: dict,
    argv: list[str],
    how_to_resume: Callable[[Session], str] = Session.as_command,
) -> SearchResult:
    """Run a search with the flags `given`, which `argv` says as text. A Ray that this process had
    joined stays joined.

    Raises one of USAGE_ERRORS for what cannot be used, SearchStopped if the search cannot go on,
    KeyboardInterrupt after Ctrl-C; the last two say with `how_to_resume` how to go on."""
    starts_ray = not ray.is_initialized()  # else the process that started Ray ends it
    session = None
    try:
        session = prepare(command, given)
        return _run(session, argv, resumed=bool(given.get("resume")))
    except (SearchStopped, OSError) as error:  # an OSError: a disk that is full or gone
        kept = "nothing that was recorded is lost, and when the cause is mended, this goes on"
        after = f"; {kept}: {how_to_resume(session)}" if session else ""
        raise SearchStopped(f"{error}{after}") from error
    except KeyboardInterrupt:
        after = f"; to go on: {how_to_resume(session)}" if session else " before the search began"
        raise KeyboardInterrupt(f"interrupted{after}") from None
    finally:
        if starts_ray:
            ray.shutdown()


def _run(session: Session, argv: list[str], resumed: bool) -> SearchResult:
    settings, folder = session.settings, session.folder
    refuse_missing(settings.log_to)
    if settings.address:  # a cluster that cannot be used is refused before a file is written
        start_ray(settings.address)
        check_room(settings)
        check_storage(open_storage(settings.storage_path), settings)
    if not resumed:
        folder.create()
    with folder.locked(), mps_daemon(settings.mps):
        if not resumed:
            Logbook.begin(folder, session.header)
        _quiet()
        logbook = Logbook(folder, session.task)
        announce(session, logbook)
        start_ray(settings.address)
        if not settings.address:
            check_room(settings)
        state = _search(session, logbook, argv)
        conclude(session, logbook, state)
    return SearchResult(folder.path)


def _search(session: Session, logbook: Logbook, argv: list[str]) -> str:
    """Search and retrain the winners; return the state of the search after it.

    Raises SearchStopped if the search cannot go on, KeyboardInterrupt after Ctrl-C."""
    settings, task = session.settings, session.task
    tables, record = TableWriter(logbook), RunRecord(logbook, settings, argv)
    dashboards = _dashboards(session, logbook)
    for follower in (tables, *dashboards):
        logbook.follow(follower)
    record.write(schema.SEARCH_RUNNING)
    state = schema.SEARCH_INTERRUPTED
    try:
        data = session.command.gather(task, session.data, session.folder, settings)
        arrays = ray.put(arrays_from_data(data))
        checkpoints = checkpoint_policy(task, settings.grace_epochs, settings.checkpoint_every_s)
        cards = begin_cards(settings, task, arrays, logbook.store, checkpoints)
        limits = session_limits(settings, task, cards, checkpoints)
        status = StatusBlock(logbook, limits)
        ended = _tune(logbook, limits, arrays, [tables.write_if_due, status.print_if_due])
        status.print()
        if ended not in schema.ENDED:
            raise KeyboardInterrupt  # Ray stops quietly after Ctrl-C
        tables.write()
        write_finals(logbook, data, arrays, limits, settings)
        for name, picture in winner_pictures(session.folder.best, logbook.space.groups):
            for dashboard in dashboards:
                dashboard.show(name, picture)
        state = ended
    except OSError as error:
        raise _stopped(session.folder, error) from error
    finally:
        with suppress(OSError):  # a full disk has been reported, or is being
            tables.write()
            record.write(state)
        for dashboard in dashboards:
            if lacking := dashboard.close():
                print(lacking, flush=True)
    return state


def _dashboards(session: Session, logbook: Logbook) -> list[DashboardFollower]:
    header, task = logbook.state.header, logbook.task
    about = About(
        name=session.folder.name,
        command=f"search.{session.command.name}",
        folder=session.folder.path,
        begun=header["time"],
        metric=task.metric,
        mode=task.mode,
        metrics=task.metrics,
        hyperparameters=tuple(logbook.space.all_distributions()),
    )
    tools = session.settings.log_to
    return [DashboardFollower(tool, open_dashboard(tool, about)) for tool in tools]


def _tune(
    logbook: Logbook, limits: Limits, arrays: ray.ObjectRef, on_progress: list[Callable[[], None]]
) -> str:
    """Run what is left of the search; return its state after it. Raises SearchStopped."""
    if _is_finished(logbook, limits):
        return schema.SEARCH_FINISHED
    start = time.monotonic()
    tuner = build_tuner(logbook, limits, arrays, on_progress)
    try:
        tuner.fit()
    except ray.tune.error.TuneError as error:
        raise _stopped(logbook.folder, error) from error
    if _is_finished(logbook, limits):
        return schema.SEARCH_FINISHED
    out_of_time = time.monotonic() - start >= (limits.time_budget_s or math.inf)
    return schema.SEARCH_OUT_OF_TIME if out_of_time else schema.SEARCH_INTERRUPTED


def _is_finished(logbook: Logbook, limits: Limits) -> bool:
    state = logbook.state
    return len(state.trials) >= limits.num_samples and not state.unfinished()


def _stopped(folder: RunFolder, error: Exception) -> SearchStopped:
    """Why the search stopped, as far as it is known; the traceback goes to `errors/`.

    Ray passes on an error of a callback only as the text of a traceback, whose last line is the
    error itself."""
    with suppress(OSError):  # the disk may be the cause
        folder.errors.mkdir(exist_ok=True)
        (folder.errors / "driver.txt").write_text("".join(traceback.format_exception(error)))
    reason = (str(error).strip() or repr(error)).splitlines()[-1]
    return SearchStopped(reason.rpartition("SearchStopped: ")[2])


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
