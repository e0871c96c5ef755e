"""What the user put in place of a search's default space and presets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from analysis.read.runs import Run
from analysis.read.values import entries, mapping, text


@dataclass(frozen=True)
class Change:
    """A hyperparameter with a range that is not the default, in the words of `--set`."""

    name: str
    searched: str
    default: str


@dataclass(frozen=True)
class Start:
    """A winner of another run that was a first trial. `moved` holds what did not fit: name, value
    in that run, value here; None where one of the two does not have it."""

    run: str
    group: str
    preset: str  # what the trial of its configuration is called; empty if it had no place here
    moved: tuple[tuple[str, Any, Any], ...]
    value: float  # its best value of the searched metric here; nan before its trial


@dataclass(frozen=True)
class OwnSpace:
    changes: tuple[Change, ...]
    left_out: dict[str, list[str]]  # presets, each with the hyperparameters that lie outside
    starts: tuple[Start, ...]

    @property
    def any(self) -> bool:
        return bool(self.changes or self.left_out or self.starts)


def own_space(run: Run) -> OwnSpace:
    """As run.json has it; nothing in a run of the default space."""
    names = ("name", "searched", "default")
    changes = [[text(each.get(name)) for name in names] for each in entries(run.info, "changes")]
    left_out = mapping(run.info.get("left_out"))
    return OwnSpace(
        tuple(Change(*words) for words in changes if all(words)),
        {preset: list(map(str, entries(left_out, preset, str))) for preset in left_out},
        tuple(_start(run, each) for each in entries(run.info, "starts")),
    )


def _start(run: Run, entry: dict[str, Any]) -> Start:
    name = text(entry.get("name"))
    values = run.best()[run.trials["preset"] == name] if name else []
    return Start(
        text(entry.get("run")),
        str(entry.get("group")),
        name,
        tuple((str(m[0]), m[1], m[2]) for m in entries(entry, "moved", list) if len(m) == 3),
        float(values.iloc[0]) if len(values) else math.nan,
    )
