"""Configurations that were trained, and `final.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.read.values import RunError, entries, finite, mapping, number, numbers, text
from search.record.schema import FINAL_JSON, SAMPLED

PIXELS = 28 * 28  # of an image, in runs that do not record it
EXACT = 1e-7  # an MSE that floats leave where nothing is lost
SIZES = ("latent_size",)  # groups that are numbers; the groups of any other name are words

Group = int | str
"""A search has one winner for each group: a code size, or the name of a model."""


@dataclass(frozen=True)
class Result:
    """A configuration that was trained: the winner of a group, or a preset.

    `searched` holds the metrics of the search's own network, `runs` those of the same
    configuration trained again, one per seed, with their `mean` and `std`; where nothing was
    retrained these three are empty.
    """

    trial: str = ""
    preset: str = ""  # a preset's name or "sampled"
    group: Group | None = None
    state: str = ""
    epochs: float = math.nan
    parameters: Mapping[str, Any] = field(default_factory=dict)
    searched: Mapping[str, float] = field(default_factory=dict)
    runs: tuple[Mapping[str, float], ...] = ()
    mean: Mapping[str, float] = field(default_factory=dict)
    std: Mapping[str, float] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)  # its whole entry of final.json

    @property
    def seeds(self) -> int:
        return len(self.runs)

    @property
    def is_sampled(self) -> bool:
        return self.preset == SAMPLED

    def own(self, metric: str) -> float:
        """The metric of the search's own network."""
        return self.searched.get(metric, math.nan)

    def value(self, metric: str) -> float:
        """Mean over the seeds, or of the search where nothing was retrained."""
        return self.mean.get(metric, math.nan) if self.runs else self.own(metric)

    def deviation(self, metric: str) -> float:
        return self.std.get(metric, math.nan)


@dataclass(frozen=True)
class Floor:
    """What a method without any network reaches."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    components: int = 0  # of PCA; 0 for anything else
    pixels: int = PIXELS  # values of an image, as many as PCA can have components

    def value(self, metric: str) -> float:
        return self.metrics.get(metric, math.nan)

    @property
    def exact(self) -> bool:
        """PCA with as many components as pixels loses nothing (to float precision)."""
        return self.components >= self.pixels and not self.value("test_mse") > EXACT


@dataclass(frozen=True)
class Final:
    """`final.json`: the only place with test figures."""

    seeds: tuple[int, ...]
    refit_on: str
    floors: Mapping[str, Any]
    winners: tuple[Result, ...]
    presets: tuple[Result, ...]
    entry: Mapping[str, Any] = field(default_factory=dict)  # all of the file

    def floor(self, *names: str) -> Floor:
        """A floor by the keys that lead to it, as ("mean_image") or ("pca", "32")."""
        entry: Mapping[str, Any] = self.floors
        for name in names:
            entry = mapping(entry.get(name))
        components, pixels = (
            int(finite(entry.get(key), default))
            for key, default in (("components", 0), ("pixels", PIXELS))
        )
        return Floor(numbers(entry), components, pixels)


def read_final(content: Mapping[str, Any], group: str) -> Final:
    """`content` of final.json of a search whose groups are called `group`."""
    winners = tuple(_result(entry, group) for entry in entries(content, "winners"))
    if any(winner.group is None for winner in winners):
        raise RunError(f"{FINAL_JSON} has a winner without {group}")
    return Final(
        seeds=tuple(entries(content, "seeds", int)),
        refit_on=text(content.get("refit_on")) or "train",
        floors=mapping(content.get("floors")),
        winners=winners,
        presets=tuple(_result(entry, group) for entry in entries(content, "presets")),
        entry=content,
    )


def as_group(value: Any, name: str) -> Group | None:
    """A value of the column `name` as a group; None for a hole."""
    if name in SIZES:
        return int(value) if math.isfinite(number(value)) else None
    return text(value) or None


def _result(entry: Mapping[str, Any], group: str) -> Result:
    """An entry of final.json. A preset has the tested metrics of the search's own network at its
    top level, a winner has only the searched ones, under "searched"."""
    return Result(
        text(entry.get("trial")),
        text(entry.get("preset")) or SAMPLED,
        as_group(entry.get(group), group),
        text(entry.get("state")),
        number(entry.get("epochs")),
        mapping(entry.get("parameters")),
        numbers(entry.get("searched", entry)),
        tuple(numbers(run) for run in entries(entry, "runs")),
        numbers(entry.get("mean")),
        numbers(entry.get("std")),
        entry,
    )
