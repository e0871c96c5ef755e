"""What a user puts in the place of a search's own space and presets: `--set`, `--space` and
`--start-from`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from search.task.changes import as_wanted, changed, default_of, differences, ends, fits, full_name
from search.task.ranges import Wanted
from search.task.settings import UsageError
from search.task.space import Preset, Space

if TYPE_CHECKING:
    from search.task.protocol import Task


@dataclass(frozen=True)
class OwnSpace:
    """What is wanted for each hyperparameter, and the configurations that come first."""

    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    starts: tuple[Preset, ...] = ()

    def space(self, default: Space) -> Space:
        """Raises UsageError for what cannot be searched."""
        return changed(default, self.wanted)

    def presets(self, presets: Iterable[Preset], default: Space) -> tuple[Preset, ...]:
        """The starts, then the presets that lie in the space. A preset that is also a start comes
        once."""
        first = [start.parameters for start in self.starts]
        left_out = self.left_out(presets, default)
        kept = (p for p in presets if p.name not in left_out and p.parameters not in first)
        return (*self.starts, *kept)

    def left_out(self, presets: Iterable[Preset], default: Space) -> dict[str, list[str]]:
        """The presets with a value outside a changed range: their names, each with the
        hyperparameters that lie outside."""
        found: dict[str, list[str]] = {}
        different = list(differences(default, self.space(default)))
        for preset in presets:
            group = preset.parameters[default.group]
            for name, before, now in different:
                if group not in now.groups or name not in preset.parameters:
                    continue
                if not fits(name, preset.parameters[name], before, now):
                    found.setdefault(preset.name, []).append(full_name(now, name))
        return found


def changes(task: Task) -> list[dict[str, str]]:
    """For people: each hyperparameter that is searched otherwise than by default, in words."""
    return [
        {
            "name": full_name(now, name),
            "searched": str(as_wanted(default_of(now, name), default_of(before, name))),
            "default": str(as_wanted(default_of(before, name), default_of(before, name))),
        }
        for name, before, now in differences(task.default_space(), task.space())
    ]


def refuse_impossible(task: Task) -> None:
    """Raise UsageError if an end or a choice of a changed range is not possible at any group."""
    default = task.default_space()
    for name, before, now in differences(default, task.space()):
        searched = default_of(now, name)
        base = {**before.constants, **{n: ends(d)[0] for n, d in before.distributions.items()}}
        for group in before.groups:
            about = {default.group: group, **default.meaning.get(group, {})}
            for value in ends(searched):
                try:
                    task.check({**base, **about, name: value})
                except ValueError as error:
                    wanted = as_wanted(searched, default_of(before, name))
                    raise UsageError(f"--set {full_name(now, name)}={wanted}: {error}") from error
