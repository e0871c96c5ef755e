"""The start of a session: settings, data and task, and all checks that write no file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import torch

from models.data import DataError, ImageData, load
from search.cluster.connection import start_ray
from search.cluster.gpu_check import cluster_has_gpu
from search.record.schema import LEDGER
from search.session.command import Command
from search.session.starts import Start, find_starts
from search.store.files import FolderError
from search.store.folder import RunFolder
from search.store.storage import Storage, open_storage
from search.task.own import OwnSpace, changes, refuse_impossible
from search.task.protocol import Task
from search.task.ranges import as_texts, read_wanted
from search.task.settings import Settings, UsageError, as_flag, refuse_changes, resolve
from search.task.space_file import as_toml, read_space_file

LEDGER_VERSION = 1


@dataclass(frozen=True)
class Session:
    """The parts of one run of a command."""

    command: Command
    settings: Settings
    task: Task
    data: ImageData
    note: str  # what every result must say about the data; may be empty
    folder: RunFolder
    starts: tuple[Start, ...]
    named: bool = True  # by the user

    @property
    def header(self) -> dict:
        """The first event of the ledger: all that defines this search."""
        return {
            "version": LEDGER_VERSION,
            "command": self.command.name,
            "settings": {**self.settings.as_json(), "resume": False},
            "seed": self.settings.seed,
            "sampler": self.settings.sampler,
            "space": self.task.space().as_json(),
            "presets": {preset.name: preset.parameters for preset in self.task.presets()},
            "changes": changes(self.task),
            "left_out": self.left_out,
            "starts": [asdict(start) for start in self.starts],
            "data": {**self.data.summary(), "note": self.note},
        }

    @property
    def left_out(self) -> dict[str, list[str]]:
        """The presets outside the searched ranges, with the hyperparameters that are outside."""
        task = self.task
        return task.own.left_out(task.default_presets(), task.default_space())

    def as_command(self) -> str:
        """The command line that goes on with this search."""
        return _resume_command(self.command.name, self.folder.name, self.settings.storage_path)

    def renamed(self, name: str) -> Session:
        """The same session in another run folder."""
        storage = open_storage(self.settings.storage_path)
        return replace(self, folder=storage.run(name), settings=replace(self.settings, name=name))


def _resume_command(command: str, name: str, storage_path: str) -> str:
    words = ["python", "-m", f"search.{command}", "--resume"]
    for flag, value in (("--name", name), ("--storage-path", storage_path)):
        # A value that begins like a flag is taken for one, unless it is in the same word.
        words += [f"{flag}={value}"] if value.startswith("-") else [flag, value]
    return shlex.join(words)


def prepare(command: Command, given: dict) -> Session:
    """The session that the flags `given` ask for, with every check that can be made before Ray
    starts and before a file is written. Raises UsageError, DataError, FolderError, LedgerError."""
    given = _with_own_space(given)
    storage = open_storage(given.get("storage_path", Settings.storage_path))
    _refuse_no_text({**given, "storage_path": storage.location})
    begin = _resumed if given.get("resume") else _new
    return begin(command, given, storage)


def _refuse_no_text(given: dict) -> None:
    """Raise UsageError for a value that is no text, such as a name whose bytes are of another
    encoding: Ray cannot start with such a value in the command line."""
    for name, value in given.items():
        if isinstance(value, str) and value.encode(errors="ignore").decode() != value:
            raise UsageError(
                f"{as_flag(name)} {value!a} is not text in UTF-8: export LC_ALL=C.UTF-8 if the "
                "terminal has another encoding, or rename the folder"
            )


def space_as_toml(command: Command, given: dict) -> str:
    """What the flags `given` would search, as a file for `--space`. Raises as `prepare` does."""
    with redirect_stdout(sys.stderr):  # a note about the data is no part of the file
        task = prepare(command, given).task
    return as_toml(task.space(), task.default_space())


def _with_own_space(given: dict) -> dict:
    """`given` with all that `space` and `set` say under `set`, as `Settings` holds it."""
    if not given.get("set") and not given.get("space"):
        return given
    wanted = read_wanted(given.get("set") or ())
    in_file = read_space_file(given["space"]) if given.get("space") else {}
    # A name without its family changes all families, and so replaces what the file says.
    kept = {name: v for name, v in in_file.items() if name.rpartition(".")[2] not in wanted}
    return {**given, "set": as_texts({**kept, **wanted})}


def _new(command: Command, given: dict, storage: Storage) -> Session:
    budget = given.get("budget") or _default_budget(given)
    sizes = command.budgets(given.get("dataset") or command.default_dataset)[budget]
    settings = resolve(given, None, {**sizes, "budget": budget}, command.options)
    if settings.name and (taken := storage.run(settings.name)).exists():
        raise taken.taken_error()
    data, note = _load(command, settings)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = storage.run(settings.name or f"{command.name}-{data.name}-{stamp}")
    settings = command.complete(_settled(settings, data, folder, storage), data)
    task, named = _task(command, settings, data), "name" in given
    starts = find_starts(settings.start_from, command.name, task, storage)
    begun = _with_starts(task, starts)
    return Session(command, settings, begun, data, note, folder, tuple(starts), named)


def _resumed(command: Command, given: dict, storage: Storage) -> Session:
    folder = _folder_to_resume(storage, given.get("name"))
    events, _ = folder.read_events()
    if events[0]["command"] != command.name:
        raise UsageError(
            f"{folder.location} is a search of {events[0]['command']}: resume it with "
            f"{_resume_command(events[0]['command'], folder.name, storage.location)}"
        )
    settings = resolve(given, events[0]["settings"], {}, {})
    data, note = _load(command, settings)
    settings = _settled(settings, data, folder, storage)
    # The runs that the starts come from may have changed or be gone, so the ledger counts.
    starts = [Start(**each) for each in events[0].get("starts", ())]
    task = _with_starts(_task(command, settings, data), starts)
    session = Session(command, settings, task, data, note, folder, tuple(starts))
    _refuse_another_search(session, events)
    return session


def _task(command: Command, settings: Settings, data: ImageData) -> Task:
    """The task with the user's own ranges. Raises UsageError for ranges that are not possible."""
    task = replace(command.task(settings, data), own=OwnSpace(read_wanted(settings.set)))
    refuse_impossible(task)
    return task


def _with_starts(task: Task, starts: Iterable[Start]) -> Task:
    presets = tuple(start.preset for start in starts if start.parameters)
    return replace(task, own=replace(task.own, starts=presets))


def _settled(settings: Settings, data: ImageData, folder: RunFolder, storage: Storage) -> Settings:
    """The settings with what the user left open: data set, split, name, and whole paths."""
    return replace(
        settings,
        dataset=data.source or data.name,
        split=data.split,
        name=folder.name,
        storage_path=storage.location,
        data_dir=str(Path(settings.data_dir).expanduser().absolute()),
    )


def _folder_to_resume(storage: Storage, name: str | None) -> RunFolder:
    if name is None:
        found = ", ".join(storage.searches()) or "none"
        raise UsageError(f"--resume needs --name; searches in {storage.location}: {found}")
    folder = storage.run(name)
    if not folder.exists():
        raise FolderError(f"{folder.location} does not exist: there is no search to resume")
    if not folder.is_search():
        raise FolderError(f"{folder.location} holds no {LEDGER}: it is not a search's folder")
    return folder


def _default_budget(given: dict) -> str:
    """`full` if the search will have a GPU, else `quick`."""
    if given.get("address"):
        start_ray(given["address"])
        return "full" if cluster_has_gpu() else "quick"
    return "full" if torch.cuda.is_available() else "quick"


def _load(command: Command, settings: Settings) -> tuple[ImageData, str]:
    """The data set, and what every result must say about it: that it is not the command's default
    data set, or what was left out of own images."""
    if settings.dataset is not None:
        data = _load_set(settings.dataset, settings)
        notes = [*data.notes]
        if not data.labelled:
            notes.append("no labels, so no probe accuracy and no map of the codes by class")
        for note in notes:
            print(f"note: {data.name}: {note}")
        return data, "; ".join(notes)
    try:
        return _load_set(command.default_dataset, settings), ""
    except DataError as error:
        reason = str(error)
    data = _load_set(command.stand_in, settings)
    note = f"{command.default_dataset} is not available, {command.stand_in} is used instead"
    print(f"note: {note} ({reason})")
    return data, note


def _load_set(name: str, settings: Settings) -> ImageData:
    return load(
        name,
        settings.data_dir,
        split=settings.split,
        seed=settings.seed,
        train_size=settings.train_size,
        image_size=settings.image_size,
        grey=settings.grey,
    )


def _refuse_another_search(session: Session, events: list[dict]) -> None:
    """Raise unless code and data still make the search that the ledger began."""
    recorded, now = events[0], session.header
    if recorded["version"] != LEDGER_VERSION:
        raise FolderError(
            f"{session.folder.location} was written by another version of this "
            "project: resume it with that version"
        )
    refuse_changes(
        {key: now["settings"][key] for key in ("dataset", "split", "seed")}, recorded["settings"]
    )
    if now["data"]["sha256"] != recorded["data"]["sha256"]:
        where = f"{session.settings.dataset} in {session.settings.data_dir}"
        raise FolderError(
            f"{session.data.source or where} is not the data that the search began with: give the "
            f"{'--dataset' if session.data.source else '--data-dir'} of that time"
        )
    for part in ("space", "presets"):
        if now[part] != recorded[part]:
            raise FolderError(
                f"the {part} of search.{session.command.name} changed since "
                f"{session.folder.location} began: start another search, or go back "
                "to the code of that time"
            )
    trials = sum(event["event"] == "trial" for event in events)
    if session.settings.num_samples < trials:
        raise UsageError(
            f"--num-samples {session.settings.num_samples} is fewer than the "
            f"{trials} trials that {session.folder.location} has already"
        )
