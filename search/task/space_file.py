"""A search space as a TOML file: what `--space` reads and `--print-space` prints."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from search.task.changes import as_wanted, default_of
from search.task.ranges import Range, Value, Wanted, as_word, read_wanted
from search.task.settings import UsageError
from search.task.space import Space


def read_space_file(path: str) -> dict[str, Wanted]:
    """What a file wants for each hyperparameter, by name. Raises UsageError if it cannot be
    read."""
    try:
        with open(Path(path).expanduser(), "rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--space {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--space {path} is no TOML: {error}") from error
    try:
        return read_wanted(dict(_flat(tables)))
    except UsageError as error:
        raise UsageError(f"--space {path}: {error}") from error


def as_toml(space: Space, default: Space) -> str:
    """The text of a file that turns `default` into `space`."""
    pairs = zip(space.families or (space,), default.families or (default,), strict=True)
    tables = [(now.name, _lines(now, before)) for now, before in pairs]
    return "\n\n".join("\n".join([f"[{name}]"] * bool(name) + lines) for name, lines in tables)


def _flat(tables: dict) -> Iterator[tuple[str, object]]:
    """Names and values. A name in the table of a family begins with the family's name."""
    for name, value in tables.items():
        if isinstance(value, dict) and not {"low", "high"} & value.keys():
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            yield name, value


def _lines(space: Space, default: Space) -> list[str]:
    lines = []
    for name in (*space.distributions, *space.constants):
        wanted = as_wanted(default_of(space, name), default_of(default, name))
        lines.append(f"# {name} has no value" if wanted is None else f"{name} = {_toml(wanted)}")
    return lines


def _toml(wanted: Wanted) -> str:
    if isinstance(wanted, Range):
        more = {"low": wanted.low, "high": wanted.high, "step": wanted.step, "log": wanted.log}
        words = [f"{key} = {as_word(value)}" for key, value in more.items() if value is not None]
        return "{ " + ", ".join(words) + " }"
    values = [_toml_value(value) for value in wanted.values]
    return values[0] if len(values) == 1 else "[" + ", ".join(values) + "]"


def _toml_value(value: Value) -> str:
    return json.dumps(value) if isinstance(value, str) else as_word(value)
