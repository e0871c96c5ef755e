"""From a command line to a finished run folder; the same for every kind of search."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import optuna
import ray
import torch

from models.data import DATASETS, DataError, ImageData, load
from search.finals import best_table, write_finals
from search.folder import FolderError, RunFolder, write_json
from search.ledger import LedgerError, read_ledger
from search.logbook import Logbook
from search.settings import Settings, UsageError, refuse_changes, resolve
from search.status import StatusBlock
from search.tables import TableWriter
from search.task import Task, arrays_from_data
from search.tuner import Limits, SearchStopped, build_tuner

LEDGER_VERSION = 1
PACKAGES = ("torch", "torchvision", "ray", "optuna", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Command:
    """A kind of search as a command."""

    name: str
    parser: Callable[[], argparse.ArgumentParser]
    task: Callable[[Settings], Task]
    default_dataset: str
    stand_in: str  # taken where the default cannot be had


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
    try:
        return _run(_prepare(command, given), resumed="resume" in given)
    except (UsageError, DataError, FolderError, LedgerError) as error:
        print(f"search.{command.name}: error: {error}", file=sys.stderr)
        return 2
    except SearchStopped as error:
        print(f"search.{command.name}: stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept: --resume with the same --name goes on",
              file=sys.stderr)
        return 130
    finally:
        if ours:
            ray.shutdown()


def _prepare(command: Command, given: dict) -> Session:
    """Check everything that can be checked before Ray starts and before a file is written."""
    storage = Path(given.get("storage_path", Settings.storage_path)).expanduser()
    if given.get("resume"):
        folder = _folder_to_resume(storage, given.get("name"), command)
        events, _ = read_ledger(folder.ledger)
        recorded = events[0]["settings"]
        if events[0]["command"] != command.name:
            raise UsageError(f"{folder.path} is a search of {events[0]['command']}: resume it "
                             f"with python -m search.{events[0]['command']}")
        settings = resolve(given, recorded, recorded["budget"])
    else:
        folder, events = None, None
        settings = resolve(given, None, given.get("budget") or _default_budget(given))
        if settings.name and (storage / settings.name).exists():
            raise FolderError(f"{storage / settings.name} exists already: add --resume to go on "
                              "with that search, or give another --name")
    data, note = _load(command, settings)
    settings = replace(settings, dataset=data.name, split=data.split)
    if folder is None:
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = RunFolder(storage / (settings.name or f"{command.name}-{data.name}-{stamp}"))
    settings = replace(settings, name=folder.name, storage_path=str(storage))
    session = Session(command, settings, command.task(settings), data, note, folder)
    if events is not None:
        _refuse_another_search(session, events)
    return session


def _folder_to_resume(storage: Path, name: str | None, command: Command) -> RunFolder:
    if name is None:
        found = sorted(path.parent.name for path in storage.glob("*/ledger.log"))
        raise UsageError("--resume needs --name; searches in "
                         f"{storage}: {', '.join(found) or 'none'}")
    folder = RunFolder(storage / name)
    if not folder.path.is_dir():
        raise FolderError(f"{folder.path} does not exist: there is no such search to resume")
    if not folder.ledger.exists():
        raise FolderError(f"{folder.path} holds no ledger.log: it is not the folder of a search")
    return folder


def _default_budget(given: dict) -> str:
    """full where the search will have a GPU."""
    if given.get("address"):
        _start_ray(given["address"])
        return "full" if ray.cluster_resources().get("GPU", 0) > 0 else "quick"
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
    """Load with at most `train_size` images: a budget's size may exceed what a set has."""
    split = settings.split if settings.split in DATASETS[name].splits else None
    options = {"split": split, "seed": settings.seed}
    whole = load(name, settings.data_dir, **options)
    if settings.train_size is None or settings.train_size >= len(whole.train):
        return whole
    return load(name, settings.data_dir, **options, train_size=settings.train_size)


def _header(session: Session) -> dict:
    """The ledger's first event: what makes this search this search."""
    settings = asdict(session.settings)
    return {"version": LEDGER_VERSION, "command": session.command.name,
            "settings": {**settings, "latent_sizes": list(session.settings.latent_sizes),
                         "resume": False},
            "seed": session.settings.seed, "sampler": session.settings.sampler, "space": session.task.space().as_json(),
            "presets": {preset.name: preset.parameters for preset in session.task.presets()},
            "data": {**session.data.summary(), "note": session.note}}


def _refuse_another_search(session: Session, events: list[dict]) -> None:
    """Raise unless code and data still make the search that the ledger began."""
    recorded, now = events[0], _header(session)
    if recorded["version"] != LEDGER_VERSION:
        raise FolderError(f"{session.folder.ledger} was written by another version of this "
                          "project: resume it with that version")
    refuse_changes({key: now["settings"][key] for key in ("dataset", "split", "seed")},
                   recorded["settings"])
    if now["data"]["sha256"] != recorded["data"]["sha256"]:
        raise FolderError(f"{session.settings.dataset} in {session.settings.data_dir} is not "
                          "the data that the search began with: give the --data-dir it had")
    for part in ("space", "presets"):
        if now[part] != recorded[part]:
            raise FolderError(f"the {part} of search.{session.command.name} changed since "
                              f"{session.folder.path} began: start another search, or go back "
                              "to the code of that time")
    trials = sum(event["event"] == "trial" for event in events)
    if session.settings.num_samples < trials:
        raise UsageError(f"--num-samples {session.settings.num_samples} is fewer than the "
                         f"{trials} trials that {session.folder.path} has already")


def _run(session: Session, resumed: bool) -> int:
    folder = session.folder
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
    _start_ray(settings.address)
    limits = _limits(settings)
    tables, record = TableWriter(logbook), RunRecord(session, logbook)
    status = StatusBlock(logbook, limits)
    record.write("running")
    state = "interrupted"
    try:
        arrays = ray.put(arrays_from_data(session.data))
        tuned = _tune(logbook, limits, arrays, [tables.write_if_due, status.print_if_due])
        status.print()
        if not tuned:
            raise KeyboardInterrupt
        tables.write()
        write_finals(logbook, session.data, arrays, limits, settings)
        whole = len(logbook.state.trials) >= settings.num_samples
        state = "finished" if whole and not logbook.state.unfinished() else "interrupted"
    except OSError as error:
        raise _stopped(error) from error
    finally:
        with suppress(OSError):  # a full disk has been reported, or is being
            tables.write()
            record.write(state)
    return _conclude(session, logbook)


def _tune(logbook: Logbook, limits: Limits, arrays: ray.ObjectRef,
          on_progress: list[Callable[[], None]]) -> bool:
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
        raise _stopped(error) from error
    done = len(state.trials) >= limits.num_samples and not state.unfinished()
    return done or time.monotonic() - start >= (limits.time_budget_s or math.inf)


def _stopped(error: Exception) -> SearchStopped:
    """What stopped the search, as far as it is known. Ray hands on an error of a callback as
    the text of its traceback; the last line is the error itself."""
    reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
    return SearchStopped(f"{reason.rpartition('SearchStopped: ')[2]}; nothing that was recorded "
                         "is lost: once this is mended, --resume with the same --name goes on")


def _limits(settings: Settings) -> Limits:
    """Fill the cluster: as many trials at a time as its CPUs and GPUs hold."""
    have = ray.cluster_resources()
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = 0.25 if have.get("GPU", 0) else 0.0
    fits = [have.get("CPU", 1) / settings.cpus_per_trial]
    fits += [have.get("GPU", 0) / gpus] if gpus else []
    if min(fits) < 1:
        raise UsageError(f"a trial wants {settings.cpus_per_trial:g} CPUs and {gpus:g} GPUs, and "
                         f"the cluster has {have.get('CPU', 0):g} and {have.get('GPU', 0):g}")
    return Limits(
        num_samples=settings.num_samples, grace_epochs=settings.grace_epochs,
        max_concurrent=settings.max_concurrent or int(min(fits)),
        cpus_per_trial=settings.cpus_per_trial, gpus_per_trial=gpus,
        max_failures=settings.max_failures, trial_timeout_s=settings.trial_timeout_s,
        time_budget_s=settings.time_budget_s)


def _start_ray(address: str | None) -> None:
    if ray.is_initialized():
        return
    try:
        ray.init(address=address, include_dashboard=None if address else False,
                 log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--address {address}: no cluster answers ({reason})") from error


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


class RunRecord:
    """`run.json`: what was run, on what, with what, and how far it came."""

    def __init__(self, session: Session, logbook: Logbook):
        self._session, self._logbook = session, logbook
        self._begin = time.time()
        self._earlier = _seconds_of_earlier_sessions(session.folder)

    def write(self, state: str) -> None:
        session, header = self._session, self._logbook.state.header
        now = time.time()
        write_json(session.folder.run_json, {
            "command": session.command.name, "argv": sys.argv[1:], "state": state,
            "git_commit": _git_commit(),
            "versions": {"python": platform.python_version(),
                         **{name: version(name) for name in PACKAGES}},
            "data": header["data"], "split": header["data"]["split"], "seed": header["seed"],
            "budget": session.settings.budget, "device": _device(), "machine": _machine(),
            "metric": session.task.metric, "mode": session.task.mode,
            "latent_sizes": list(session.settings.latent_sizes),
            "settings": asdict(session.settings), "space": header["space"],
            "presets": header["presets"], "counts": self._logbook.state.counts(),
            "start": _iso(header["time"]), "end": None if state == "running" else _iso(now),
            "seconds": round(self._earlier + now - self._begin, 1)})


def _seconds_of_earlier_sessions(folder: RunFolder) -> float:
    try:
        return float(json.loads(folder.run_json.read_text())["seconds"])
    except (OSError, ValueError, KeyError):
        return 0.0


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _git_commit() -> str | None:
    """The commit of this code, with "+" if files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "describe", "--always", "--abbrev=40", "--dirty=+",
                                 "--exclude=*"], cwd=here, capture_output=True, text=True)
    except OSError:
        return None
    return commit.stdout.strip() or None


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _announce(session: Session, logbook: Logbook) -> None:
    settings, data = session.settings, session.data
    known = len(logbook.state.trials)
    print(f"search.{session.command.name}: {settings.num_samples} trials on {data.name} "
          f"({len(data.train):,} train / {len(data.validation):,} validation / "
          f"{len(data.test):,} test, {data.split} split), budget {settings.budget}: at most "
          f"{settings.max_epochs} epochs a trial")
    if known:
        print(f"going on after {known} trials, {len(logbook.state.unfinished())} of them "
              "unfinished")
    print(f"run folder: {session.folder.path}", flush=True)


def _conclude(session: Session, logbook: Logbook) -> int:
    """Say what was found and where it lies; the exit status."""
    print(best_table(logbook))
    print(f"everything is in {session.folder.path}; for tables and pictures:\n"
          f"  python -m analysis.report --runs {session.folder.path} --out report")
    left = session.settings.num_samples - len(logbook.state.trials)
    if left > 0 or logbook.state.unfinished():
        print(f"the time budget ended the search early; to go on:\n  python -m search."
              f"{session.command.name} --resume --name {session.folder.name} "
              f"--storage-path {session.settings.storage_path}")
    return 0 if any(map(logbook.best, logbook.space.groups)) else 1
