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
from search.record import schema
from search.record.ledger import LedgerError
from search.session.command import Command
from search.session.conclude import announce, conclude
from search.session.finals import write_finals
from search.session.prepare import Session, prepare
from search.session.progress import StatusBlock
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


def run_command(command: Command, given: dict) -> int:
    """Run a search with the flags `given`; return the exit status that `command.main` describes."""
    starts_ray = not ray.is_initialized()  # else the process that started Ray ends it
    session = None
    try:
        session = prepare(command, given)
        return _run(session, resumed="resume" in given)
    except (UsageError, DataError, FolderError, LedgerError) as error:
        print(f"search.{command.name}: error: {error}", file=sys.stderr)
        return 2
    except (SearchStopped, OSError) as error:  # an OSError: a disk that is full or gone
        print(f"search.{command.name}: stopped: {error}{_after_a_stop(session)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"search.{command.name}: interrupted{_after_ctrl_c(session)}", file=sys.stderr)
        return 130
    finally:
        if starts_ray:
            ray.shutdown()


def _after_a_stop(session: Session | None) -> str:
    if session is None:
        return ""
    return (
        "; nothing that was recorded is lost, and when the cause is mended, this goes on: "
        f"{session.resume_command}"
    )


def _after_ctrl_c(session: Session | None) -> str:
    return f"; to go on: {session.resume_command}" if session else " before the search began"


def _run(session: Session, resumed: bool) -> int:
    settings, folder = session.settings, session.folder
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
        state = _search(session, logbook)
        return conclude(session, logbook, state)


def _search(session: Session, logbook: Logbook) -> str:
    """Search and retrain the winners; return the state of the search after it.

    Raises SearchStopped if the search cannot go on, KeyboardInterrupt after Ctrl-C."""
    settings, task = session.settings, session.task
    tables, record = TableWriter(logbook), RunRecord(logbook, settings)
    logbook.follow(tables)
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
        state = ended
    except OSError as error:
        raise _stopped(session.folder, error) from error
    finally:
        with suppress(OSError):  # a full disk has been reported, or is being
            tables.write()
            record.write(state)
    return state


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
