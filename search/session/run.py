"""The course of a session: prepare, search, retrain the winners, conclude."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import optuna
import ray

from models.data import DataError
from models.ending import Ending
from search.cluster.capacity import begin_cards, check_room, session_limits
from search.cluster.connection import start_ray
from search.cluster.mps import mps_daemon
from search.cluster.ray_folder import ray_folder, refuse_shared_folder
from search.cluster.storage_check import check_storage
from search.record import schema
from search.record.ledger import LedgerError
from search.session.begin import begun
from search.session.command import Command
from search.session.conclude import announce, conclude
from search.session.finals import write_finals
from search.session.prepare import Session, prepare, space_as_toml
from search.session.progress import StatusBlock
from search.session.reasons import in_words
from search.session.run_record import RunRecord
from search.session.tables import TableWriter
from search.store.files import FolderError
from search.store.folder import RunFolder
from search.store.storage import open_storage
from search.task.protocol import arrays_from_data
from search.task.settings import UsageError
from search.tune.limits import Limits, SearchStopped, TimeBudget
from search.tune.logbook import Logbook
from search.tune.scheduler import checkpoint_policy
from search.tune.tuner import build_tuner


def run_command(command: Command, given: dict) -> int:
    """Run a search with the flags `given`; return the exit status that `command.main` describes."""
    starts_ray = not ray.is_initialized()  # else the process that started Ray ends it
    with Ending(f"search.{command.name}", " before the search began") as ending:
        try:
            if given.pop("print_space", False):
                print(space_as_toml(command, given))
                return 0
            session = prepare(command, given)
            return _run(session, "resume" in given, ending)
        except (UsageError, DataError, FolderError, LedgerError) as error:
            print(f"search.{command.name}: error: {error}", file=sys.stderr)
            return 2
        except (SearchStopped, OSError) as error:  # an OSError: a disk that is full or gone
            reason = str(error) if isinstance(error, SearchStopped) else in_words(error)
            goes_on = _after_a_stop(ending.resume)
            print(f"search.{command.name}: stopped: {reason}{goes_on}", file=sys.stderr)
            return 1
        except KeyboardInterrupt as stop:
            return ending.say(stop)
        finally:
            if starts_ray:
                with ending.held():
                    ray.shutdown()


def _after_a_stop(resume_command: str) -> str:
    if not resume_command:
        return ""
    return (
        "; nothing that was recorded is lost, and when the cause is mended, this goes on: "
        f"{resume_command}"
    )


def _run(session: Session, resumed: bool, ending: Ending) -> int:
    settings = session.settings
    if settings.address:  # a cluster that cannot be used is refused before a file is written
        start_ray(settings.address)
        refuse_shared_folder(ray.nodes(), Path.cwd())
        check_room(settings)
        check_storage(open_storage(settings.storage_path), settings)
    elif not ray.is_initialized():
        ray_folder()  # likewise, a machine on which Ray cannot start
    with begun(session, resumed) as session, mps_daemon(settings.mps):
        ending.resume = session.resume_command
        _quiet()
        logbook = Logbook(session.folder, session.task)
        announce(session, logbook)
        start_ray(settings.address)
        if not settings.address:
            check_room(settings)
        state = _search(session, logbook)
        return conclude(session, logbook, state)


def _search(session: Session, logbook: Logbook) -> str:
    """Search and retrain the winners; return the state of the search after it.

    Raises SearchStopped if the search cannot go on, KeyboardInterrupt after a signal."""
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
    budget = TimeBudget(limits.time_budget_s)
    tuner = build_tuner(logbook, limits, arrays, on_progress)
    try:
        tuner.fit()
    except ray.tune.error.TuneError as error:
        raise _stopped(logbook.folder, error) from error
    if _is_finished(logbook, limits):
        return schema.SEARCH_FINISHED
    return schema.SEARCH_OUT_OF_TIME if budget.is_spent() else schema.SEARCH_INTERRUPTED


def _is_finished(logbook: Logbook, limits: Limits) -> bool:
    state = logbook.state
    return len(state.trials) >= limits.num_samples and not state.unfinished()


def _stopped(folder: RunFolder, error: Exception) -> SearchStopped:
    """Why the search stopped, as far as it is known; the traceback goes to `errors/`.

    The traceback of an error of a callback is in its text, where Ray put it."""
    with suppress(OSError):  # the disk may be the cause
        folder.errors.mkdir(exist_ok=True)
        text = "".join(traceback.format_exception(error))
        (folder.errors / "driver.txt").write_text(text, encoding="utf-8", errors="replace")
    return SearchStopped(in_words(error))


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
