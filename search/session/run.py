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
from search.dashboards.dashboard import About, open_dashboard, refuse_missing
from search.dashboards.follower import DashboardFollower
from search.dashboards.pictures import winner_pictures
from search.record import schema
from search.record.ledger import LedgerError
from search.session.begin import begun
from search.session.command import Command
from search.session.conclude import announce, conclude
from search.session.final.finals import write_finals
from search.session.prepare import Session, prepare, space_as_toml
from search.session.reasons import in_words
from search.session.result import SearchResult
from search.session.shown.live_report import live_report
from search.session.shown.progress import StatusBlock
from search.session.shown.run_record import RunRecord
from search.session.shown.tables import TableWriter
from search.store.files import FolderError
from search.store.folder import RunFolder
from search.store.storage import open_storage
from search.task.protocol import arrays_from_data
from search.task.settings import UsageError
from search.tune.limits import Limits, SearchStopped, TimeBudget
from search.tune.logbook import Logbook
from search.tune.scheduler import call_back_is_due, checkpoint_policy
from search.tune.tuner import build_tuner

USAGE_ERRORS = (UsageError, DataError, FolderError, LedgerError)
BEFORE = " before the search began"


def run_command(command: Command, given: dict, argv: list[str]) -> int:
    """Run a search with the flags `given`, which are `argv` as text; return the exit status that
    `command.main` describes."""
    name = f"search.{command.name}"
    with Ending(name, BEFORE) as ending:
        try:
            if given.pop("print_space", False):
                print(space_as_toml(command, given))
                return 0
            return 0 if run_search(command, given, argv, ending).groups else 1
        except USAGE_ERRORS as error:
            print(f"{name}: error: {error}", file=sys.stderr)
            return 2
        except SearchStopped as error:
            print(f"{name}: stopped: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt as stop:
            return ending.say(stop)


def run_search(
    command: Command,
    given: dict,
    argv: list[str],
    ending: Ending,
    how_to_resume: Callable[[Session], str] = Session.as_command,
) -> SearchResult:
    """Run a search with the flags `given`, which are `argv` as text. If this process had joined Ray
    before, it stays joined. Once the search has a folder, `ending.resume` is what `how_to_resume`
    returns.

    Raises one of USAGE_ERRORS for what cannot be used, SearchStopped with how to go on if the
    search cannot go on, KeyboardInterrupt after a signal."""
    starts_ray = not ray.is_initialized()  # else the process that started Ray ends it
    try:
        return _run(prepare(command, given), argv, "resume" in given, ending, how_to_resume)
    except (SearchStopped, OSError) as error:  # an OSError: a disk that is full or gone
        reason = str(error) if isinstance(error, SearchStopped) else in_words(error)
        raise SearchStopped(f"{reason}{_after_a_stop(ending.resume)}") from error
    finally:
        if starts_ray:
            with ending.held():
                ray.shutdown()


def _after_a_stop(resume_command: str) -> str:
    if not resume_command:
        return ""
    return (
        "; nothing that was recorded is lost; once the cause is mended, go on with: "
        f"{resume_command}"
    )


def _run(
    session: Session,
    argv: list[str],
    resumed: bool,
    ending: Ending,
    how_to_resume: Callable[[Session], str],
) -> SearchResult:
    settings = session.settings
    refuse_missing(settings.log_to)
    if settings.address:  # a cluster that cannot be used is refused before a file is written
        start_ray(settings.address)
        refuse_shared_folder(ray.nodes(), Path.cwd())
        check_room(settings)
        check_storage(open_storage(settings.storage_path), settings)
    elif not ray.is_initialized():
        ray_folder()  # a machine on which Ray cannot start is refused here too
    with begun(session, resumed) as session, mps_daemon(settings.mps):
        ending.resume = how_to_resume(session)
        _quiet()
        logbook = Logbook(session.folder, session.task)
        announce(session, logbook)
        start_ray(settings.address)
        if not settings.address:
            check_room(settings)
        with live_report(session.folder.path, settings.report) as report:
            state = _search(session, logbook, argv)
            conclude(session, logbook, state)
            if report:
                report.finish()
        return SearchResult(session.folder.path)


def _search(session: Session, logbook: Logbook, argv: list[str]) -> str:
    """Search and retrain the winners; return the state of the search after it.

    Raises SearchStopped if the search cannot go on, KeyboardInterrupt after a signal."""
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
        checkpoints = checkpoint_policy(
            task, settings.grace_epochs, settings.checkpoint_every_s, settings.scheduler
        )
        cards = begin_cards(settings, task, arrays, logbook.store, checkpoints)
        limits = session_limits(settings, task, cards, checkpoints)
        status = StatusBlock(logbook, limits)
        ended = _tune(logbook, limits, arrays, [tables.write_if_due, status.print_if_due])
        status.print()
        if ended not in schema.ENDED:
            raise KeyboardInterrupt  # Ray stops quietly after Ctrl-C
        logbook.close_study()
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
    budget = TimeBudget(limits.time_budget_s)
    tuner = build_tuner(logbook, limits, arrays, on_progress, budget)
    try:
        tuner.fit()
    except ray.tune.error.TuneError as error:
        raise _stopped(logbook.folder, error) from error
    if _is_finished(logbook, limits):
        return schema.SEARCH_FINISHED
    return schema.SEARCH_OUT_OF_TIME if budget.is_spent() else schema.SEARCH_INTERRUPTED


def _is_finished(logbook: Logbook, limits: Limits) -> bool:
    state = logbook.state
    if len(state.trials) < limits.num_samples or state.unfinished():
        return False
    return not call_back_is_due(logbook.task, limits.grace_epochs, state)


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
