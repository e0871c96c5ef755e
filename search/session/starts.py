"""`--start-from`: winners of other runs as the first trials of this search."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from search.record.schema import BEST, RUN_JSON
from search.store.storage import Storage
from search.task.changes import fits, moved
from search.task.protocol import Task
from search.task.settings import UsageError
from search.task.space import Preset, Space, is_number


@dataclass(frozen=True)
class Start:
    """A winner of another run, moved into the space of this search.

    `moved` holds, for each hyperparameter that did not fit, its name, its value in that run and its
    value here; None where one of the two does not have it. `parameters` are empty if there is no
    trial of its own for the winner: it equals the start called `name`, or has no place here."""

    run: str
    group: Any  # the winner's group in that run
    name: str
    parameters: dict
    moved: tuple[tuple[str, Any, Any], ...]

    @property
    def preset(self) -> Preset:
        return Preset(self.name, self.parameters)


def find_starts(names: tuple[str, ...], command: str, task: Task, storage: Storage) -> list[Start]:
    """The winners of the runs `names`, in their order; of equal winners only the first has a trial.

    A winner that is a preset of this search keeps the preset's name. Raises UsageError for a run
    that cannot be read, has no winner, or is of another command."""
    starts: list[Start] = []
    for name in dict.fromkeys(names):
        path = _run_folder(name, storage)
        for group, parameters in _winners(path, name, command, task.space().group):
            start = _start(path.name, group, parameters, task)
            starts.append(_named(start, task, starts) if start.parameters else start)
    return starts


def _run_folder(name: str, storage: Storage) -> Path:
    for pattern in (RUN_JSON, f"{BEST}/*/config.json"):
        storage.fetch(f"{name}/{pattern}")
    for path in (Path(name).expanduser(), storage.root / name):
        if (path / RUN_JSON).is_file():
            return path.resolve()
    raise UsageError(f"--start-from {name} is no folder of a search")


def _winners(path: Path, name: str, command: str, group: str) -> list[tuple[Any, dict]]:
    """Group and parameters of each winner of the run in `path`."""
    info = _read_json(path / RUN_JSON, name)
    if info.get("command") != command:
        raise UsageError(
            f"--start-from {name} is a search of {info.get('command')}, and its winners are none "
            f"of search.{command}"
        )
    folders = [path / BEST / str(each) for each in info.get("groups", info.get(f"{group}s", ()))]
    configs = [_read_json(each / "config.json", name) for each in folders if each.is_dir()]
    try:
        found = [(config["parameters"][group], dict(config["parameters"])) for config in configs]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"--start-from {name}: a config.json has no parameters") from error
    if not found:
        raise UsageError(f"--start-from {name} has no winner yet")
    return found


def _read_json(path: Path, name: str) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--start-from {name}: {path} cannot be read ({error})") from error


def _start(run: str, group: Any, parameters: dict, task: Task) -> Start:
    """The winner with every value moved into its range."""
    space, default = task.space(), task.default_space()
    here = _nearest_group(space, parameters)
    if here is None:
        return Start(run, group, "", {}, ())
    about = {space.group: here, **space.meaning.get(here, {})}
    now, before = space.of(here), default.of(here)
    usual = _usual(parameters, here, task)
    found, moves = dict(about), list(_differences(parameters, about))
    for name in (*now.distributions, *now.constants):
        value = parameters.get(name, usual.get(name))
        found[name] = value if fits(name, value, before, now) else moved(name, value, now)
        if name not in parameters or found[name] != value:
            moves.append((name, parameters.get(name), found[name]))
    for name, value in usual.items():  # what this search does not vary
        found.setdefault(name, parameters.get(name, value))
    moves += [(name, value, None) for name, value in parameters.items() if name not in found]
    return Start(run, group, f"{run}-{group}", found, tuple(moves))


def _usual(parameters: dict, group: Any, task: Task) -> dict:
    """All hyperparameters that a preset of the group has. Their values are those of the trial's
    configuration, which has defaults for what an older run lacks, else the preset's."""
    presets = (preset.parameters for preset in task.default_presets())
    preset = next((each for each in presets if each[task.space().group] == group), {})
    absent: dict = {}
    with suppress(ValueError, TypeError, KeyError):  # a value that no trial can have is moved later
        for part in task.describe(parameters, 0).values():
            absent |= part
    return {name: absent.get(name, value) for name, value in preset.items()}


def _nearest_group(space: Space, parameters: dict) -> Any:
    """The group that the parameters belong to, or that of the nearest code size; None if there is
    none."""

    def about(group: Any) -> dict:
        return space.meaning.get(group, {space.group: group})

    def fits_in(group: Any) -> bool:
        return all(
            is_number(parameters.get(name)) if is_number(value) else parameters.get(name) == value
            for name, value in about(group).items()
        )

    def distance(group: Any) -> float:
        numbers = {name: value for name, value in about(group).items() if is_number(value)}
        return sum(abs(math.log(value / parameters[name])) for name, value in numbers.items())

    return min(filter(fits_in, space.groups), key=distance, default=None)


def _differences(parameters: dict, about: dict) -> Iterator[tuple[str, Any, Any]]:
    for name, value in about.items():
        if parameters.get(name) != value:
            yield name, parameters.get(name), value


def _named(start: Start, task: Task, earlier: list[Start]) -> Start:
    """The start under the name of the earlier start or the preset that it equals, else under a
    name of its own."""
    for other in earlier:
        if other.parameters == start.parameters:
            return replace(start, name=other.name, parameters={})
    presets = {preset.name: preset.parameters for preset in task.default_presets()}
    for name, parameters in presets.items():
        if parameters == start.parameters:
            return replace(start, name=name)
    taken = {each.name for each in earlier} | {*presets, *map(str, task.space().groups)}
    names = (start.name if n == 1 else f"{start.name}-{n}" for n in count(1))
    return replace(start, name=next(name for name in names if name not in taken))
