"""From a command line to a finished run folder; the same for every kind of search."""

from __future__ import annotations

import argparse
import logging
import math
import shlex
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import optuna
import ray
import torch

from models.data import DataError, ImageData, load
from search.cluster.capacity import check_room, session_limits
from search.cluster.connection import start_ray
from search.cluster.storage_check import check_storage
from search.record.ledger import LedgerError
from search.session.progress import StatusBlock
from search.session.retraining import best_table, write_finals
from search.session.run_record import RunRecord
from search.session.tables import TableWriter
from search.store.folder import FolderError, RunFolder, Storage, open_storage
from search.task.protocol import Task, arrays_from_data
from search.task.settings import BUDGETS, Settings, UsageError, refuse_changes, resolve
from search.tune.logbook import Logbook
from search.tune.tuner import Limits, SearchStopped, build_tuner

LEDGER_VERSION = 1


@dataclass(frozen=True)
class Command:
    """A kind of search as a command."""

    name: str
    parser: Callable[[], argparse.ArgumentParser]
    task: Callable[[Settings, ImageData], Task]
    default_dataset: str
    stand_in: str  # taken where the default cannot be had
    options: Mapping[str, Any] = field(default_factory=dict)  # its own flags and their defaults
    budgets: Callable[[str], Mapping[str, Mapping[str, Any]]] = lambda dataset: BUDGETS
    """The settings of each budget, for a data set."""
    complete: Callable[[Settings, ImageData], Settings] = lambda settings, data: settings
    """Settles once, when a search begins, what its settings left open. Raises UsageError."""
    gather: Callable[[Task, ImageData, RunFolder, Settings], ImageData] = (
        lambda task, data, folder, settings: data
    )
    """The data as trials take them: what must be made once, with Ray at hand, is made here."""


@dataclass(frozen=True)
class Session:
    """What one run of a command works with."""

    command: Command
    settings: Settings
    task: Task
    data: ImageData
    note: str  # what the reader of every result must know of the data; may be empty
    folder: RunFolder


def main(command: Command, argv: list[str] | None = None) -> int:
    """Run a search from its command line; return the exit status.

    0 if the search has a best trial, 1 if it has none or had to stop, 2 for an argument, a data
    set or a folder that cannot be used, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    given = vars(command.parser().parse_args(argv))
    ours = not ray.is_initialized()  # else whoever started Ray ends it
    session = None
    try:
        session = _prepare(command, given)
        return _run(session, resumed="resume" in given)
    except (UsageError, DataError, FolderError, LedgerError) as error:
        print(f"search.{command.name}: error: {error}", file=sys.stderr)
        return 2
    except (SearchStopped, OSError) as error:  # an OSError: a disk that is full or gone
        goes_on = (
            f"; nothing that was recorded is lost, and once this is mended this goes on: "
            f"{_resume_command(session)}"
            if session
            else ""
        )
        print(f"search.{command.name}: stopped: {error}{goes_on}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"search.{command.name}: interrupted; to go on: {_resume_command(session)}"
            if session
            else "interrupted before the search began",
            file=sys.stderr,
        )
        return 130
    finally:
        if ours:
            ray.shutdown()


def _prepare(command: Command, given: dict) -> Session:
    """Check everything that can be checked before Ray starts and before a file is written."""
    storage = open_storage(given.get("storage_path", Settings.storage_path))
    if given.get("resume"):
        folder = _folder_to_resume(storage, given.get("name"), command)
        events, _ = folder.read_events()
        recorded = events[0]["settings"]
        if events[0]["command"] != command.name:
            raise UsageError(
                f"{folder.where} is a search of {events[0]['command']}: resume it "
                f"with python -m search.{events[0]['command']}"
            )
        settings = resolve(given, recorded, {}, {})
    else:
        folder, events = None, None
        budget = given.get("budget") or _default_budget(given)
        sizes = command.budgets(given.get("dataset") or command.default_dataset)[budget]
        settings = resolve(given, None, {**sizes, "budget": budget}, command.options)
        if settings.name and (taken := storage.run(settings.name)).exists():
            raise FolderError(
                f"{taken.where} exists already: add --resume to go on "
                "with that search, or give another --name"
            )
    data, note = _load(command, settings)
    settings = replace(settings, dataset=data.name, split=data.split)
    if folder is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = storage.run(settings.name or f"{command.name}-{data.name}-{stamp}")
    settings = replace(settings, name=folder.name, storage_path=storage.where)
    if events is None:
        settings = command.complete(settings, data)
    session = Session(command, settings, command.task(settings, data), data, note, folder)
    if events is not None:
        _refuse_another_search(session, events)
    return session


def _resume_command(session: Session) -> str:
    return (
        f"python -m search.{session.command.name} --resume --name {session.folder.name} "
        f"--storage-path {shlex.quote(session.settings.storage_path)}"
    )


def _uri(session: Session) -> str:
    """The run's place in a bucket, as search.fetch takes it."""
    address, mark, query = session.settings.storage_path.partition("?")
    return f"{address.rstrip('/')}/{session.folder.name}{mark}{query}"


def _folder_to_resume(storage: Storage, name: str | None, command: Command) -> RunFolder:
    if name is None:
        found = ", ".join(storage.searches()) or "none"
        raise UsageError(f"--resume needs --name; searches in {storage.where}: {found}")
    folder = storage.run(name)
    if not folder.exists():
        raise FolderError(f"{folder.where} does not exist: there is no such search to resume")
    if not folder.is_search():
        raise FolderError(f"{folder.where} holds no ledger.log: it is not the folder of a search")
    return folder


def _default_budget(given: dict) -> str:
    """full where the search will have a GPU."""
    if given.get("address"):
        start_ray(given["address"])
        return "full" if ray.cluster_resources().get("GPU", 0) else "quick"
    return "full" if torch.cuda.is_available() else "quick"


def _load(command: Command, settings: Settings) -> tuple[ImageData, str]:
    """The data set, and a note where it is not the one that was meant."""
    if settings.dataset is not None:
        return _load_set(settings.dataset, settings), ""
    try:
        return _load_set(command.default_dataset, settings), ""
    except DataError as error:
        reason = str(error)
    data = _load_set(command.stand_in, settings)
    note = f"{command.default_dataset} could not be had, {command.stand_in} is used instead"
    print(f"note: {note} ({reason})")
    return data, note


def _load_set(name: str, settings: Settings) -> ImageData:
    return load(
        name,
        settings.data_dir,
        split=settings.split,
        seed=settings.seed,
        train_size=settings.train_size,
    )


def _header(session: Session) -> dict:
    """The ledger's first event: what makes this search this search."""
    return {
        "version": LEDGER_VERSION,
        "command": session.command.name,
        "settings": {**session.settings.as_json(), "resume": False},
        "seed": session.settings.seed,
        "sampler": session.settings.sampler,
        "space": session.task.space().as_json(),
        "presets": {preset.name: preset.parameters for preset in session.task.presets()},
        "data": {**session.data.summary(), "note": session.note},
    }


def _refuse_another_search(session: Session, events: list[dict]) -> None:
    """Raise unless code and data still make the search that the ledger began."""
    recorded, now = events[0], _header(session)
    if recorded["version"] != LEDGER_VERSION:
        raise FolderError(
            f"{session.folder.where} was written by another version of this "
            "project: resume it with that version"
        )
    refuse_changes(
        {key: now["settings"][key] for key in ("dataset", "split", "seed")}, recorded["settings"]
    )
    if now["data"]["sha256"] != recorded["data"]["sha256"]:
        raise FolderError(
            f"{session.settings.dataset} in {session.settings.data_dir} is not "
            "the data that the search began with: give the --data-dir it had"
        )
    for part in ("space", "presets"):
        if now[part] != recorded[part]:
            raise FolderError(
                f"the {part} of search.{session.command.name} changed since "
                f"{session.folder.where} began: start another search, or go back "
                "to the code of that time"
            )
    trials = sum(event["event"] == "trial" for event in events)
    if session.settings.num_samples < trials:
        raise UsageError(
            f"--num-samples {session.settings.num_samples} is fewer than the "
            f"{trials} trials that {session.folder.where} has already"
        )


def _run(session: Session, resumed: bool) -> int:
    folder = session.folder
    if session.settings.address:  # what a cluster cannot do is said before a file is written
        start_ray(session.settings.address)
        check_room(session.settings)
        check_storage(open_storage(session.settings.storage_path), session.settings)
    if not resumed:
        folder.create()
    with folder.locked():
        if not resumed:
            Logbook.begin(folder, _header(session))
        _quiet()
        logbook = Logbook(folder, session.task)
        _announce(session, logbook)
        return _search(session, logbook)


def _search(session: Session, logbook: Logbook) -> int:
    settings = session.settings
    start_ray(settings.address)
    if not settings.address:
        check_room(settings)
    tables, record = TableWriter(logbook), RunRecord(logbook, settings)
    record.write("running")
    state = "interrupted"
    try:
        data = session.command.gather(session.task, session.data, session.folder, settings)
        arrays = ray.put(arrays_from_data(data))
        limits = session_limits(settings, session.task, arrays)
        status = StatusBlock(logbook, limits)
        tuned = _tune(logbook, limits, arrays, [tables.write_if_due, status.print_if_due])
        status.print()
        if not tuned:
            raise KeyboardInterrupt
        tables.write()
        write_finals(logbook, data, arrays, limits, settings)
        whole = len(logbook.state.trials) >= settings.num_samples
        state = "finished" if whole and not logbook.state.unfinished() else "interrupted"
    except OSError as error:
        raise _stopped(session.folder, error) from error
    finally:
        with suppress(OSError):  # a full disk has been reported, or is being
            tables.write()
            record.write(state)
    return _conclude(session, logbook)


def _tune(
    logbook: Logbook, limits: Limits, arrays: ray.ObjectRef, on_progress: list[Callable[[], None]]
) -> bool:
    """Run what is left of the search. Returns False if Ctrl-C ended it.

    Raises SearchStopped if the search cannot go on."""
    state = logbook.state
    if len(state.trials) >= limits.num_samples and not state.unfinished():
        return True
    start = time.monotonic()
    tuner = build_tuner(logbook, limits, arrays, on_progress)
    try:
        tuner.fit()
    except ray.tune.error.TuneError as error:
        raise _stopped(logbook.folder, error) from error
    done = len(state.trials) >= limits.num_samples and not state.unfinished()
    return done or time.monotonic() - start >= (limits.time_budget_s or math.inf)


def _stopped(folder: RunFolder, error: Exception) -> SearchStopped:
    """What stopped the search, as far as it is known; its traceback goes to `errors/`. Ray hands
    on an error of a callback as the text of a traceback, whose last line is the error itself."""
    with suppress(OSError):  # the disk may be what is wrong
        folder.errors.mkdir(exist_ok=True)
        (folder.errors / "driver.txt").write_text("".join(traceback.format_exception(error)))
    reason = (str(error).strip() or repr(error)).splitlines()[-1]
    return SearchStopped(reason.rpartition("SearchStopped: ")[2])


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def _announce(session: Session, logbook: Logbook) -> None:
    settings, data = session.settings, session.data
    known = len(logbook.state.trials)
    print(
        f"search.{session.command.name}: {settings.num_samples} trials on {data.name} "
        f"({len(data.train):,} train / {len(data.validation):,} validation / "
        f"{len(data.test):,} test, {data.split} split), budget {settings.budget}: at most "
        f"{settings.max_epochs} epochs a trial"
    )
    if known:
        print(
            f"going on after {known} trials, {len(logbook.state.unfinished())} of them unfinished"
        )
    print(f"run folder: {session.folder.where}", flush=True)


def _conclude(session: Session, logbook: Logbook) -> int:
    """Say what was found and where it lies; the exit status."""
    print(best_table(logbook))
    where, place = session.folder.where, str(session.folder.path)
    print(f"everything is in {where}; for tables and pictures:")
    if "://" in where:
        place = f"runs/{session.folder.name}"
        print(f"  python -m search.fetch {shlex.quote(_uri(session))} runs")
    print(f"  python -m analysis.report --runs {place} --out report")
    left = session.settings.num_samples - len(logbook.state.trials)
    if left > 0 or logbook.state.unfinished():
        print(f"the time budget ended the search early; to go on:\n  {_resume_command(session)}")
    return 0 if any(map(logbook.best, logbook.space.groups)) else 1
