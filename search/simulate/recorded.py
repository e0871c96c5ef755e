"""Recorded learning curves, read from a file and looked up.

A file of curves is gzipped text. Its first line is a JSON object after `# `: the space in which the
configurations were sampled, the metric, its mode (min or max), and the run's command and data. A
CSV follows with a row per trial and epoch: number, every hyperparameter, epoch, the metric (six
significant digits). `recording.record` makes it from a run folder of any search.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
    json_to_distribution,
)

from search.task.settings import UsageError
from search.task.space import Space

FOLDER = Path(__file__).parent / "curves"
SUFFIX = ".csv.gz"


def recorded_tasks() -> dict[str, Path]:
    """The files of curves that this project keeps, by the name of their task."""
    return {path.name.removesuffix(SUFFIX): path for path in sorted(FOLDER.glob(f"*{SUFFIX}"))}


PROJECT_CURVES = FOLDER / f"autoencoders-mnist5k{SUFFIX}"


@dataclass(frozen=True, eq=False)
class Curves:
    """Recorded configurations and their metric per epoch, nan once training has diverged."""

    space: Space
    parameters: tuple[dict, ...]  # of each configuration, with its group
    values: np.ndarray  # (configurations, epochs)
    points: np.ndarray  # (configurations, coordinates): see `coordinates`
    groups: np.ndarray  # (configurations,): code sizes, or models
    metric: str = "validation_mse"
    mode: str = "min"

    @property
    def max_epochs(self) -> int:
        return self.values.shape[1]

    @cached_property
    def losses(self) -> np.ndarray:
        """What is compared, (configurations, epochs): the metric if it is an error; one minus the
        metric if it is an accuracy. No loss is below half of the smallest that is above zero, so
        that ratios of losses are finite."""
        losses = self.values if self.mode == "min" else 1 - self.values
        above = losses[losses > 0]
        return np.maximum(losses, above.min() / 2 if len(above) else 1.0)

    def nearest(self, parameters: dict, used: Set[int] = frozenset()) -> int:
        """The row of the nearest recorded configuration of the same group: one that is not in
        `used`, or any if all are."""
        rows = np.flatnonzero(self.groups == parameters[self.space.group])
        rows = rows[fresh] if (fresh := ~np.isin(rows, list(used))).any() else rows
        offsets = self.points[rows] - coordinates(self.space, parameters)
        return int(rows[np.square(offsets).sum(1).argmin()])

    def finals(self) -> np.ndarray:
        """The loss that each configuration reaches with all epochs, (configurations,): its best,
        or inf if it diverged."""
        best = np.where(np.isnan(self.losses), np.inf, self.losses).min(1)
        return np.where(np.isnan(self.losses[:, -1]), np.inf, best)


def load_curves(path: Path) -> Curves:
    """Read what `record` wrote. Raises UsageError for any other file."""
    try:
        with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
            about = json.loads(file.readline().removeprefix("# "))
            rows = list(csv.DictReader(file))
        space, metric = space_from_json(about["space"]), str(about["metric"])
        configurations, curves = {}, {}
        for row in rows:
            number = int(row["number"])
            configurations[number] = _parse(space, row)
            curves.setdefault(number, {})[int(row["epoch"])] = float(row[metric])
        epochs = max(max(curve) for curve in curves.values())
        mode = {"min": "min", "max": "max"}[about["mode"]]
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error})") from error
    except (ValueError, LookupError, TypeError, AttributeError, EOFError, zlib.error) as error:
        raise UsageError(
            f"{path} holds no curves (--record makes a file of them from a run folder): {error!r}"
        ) from error
    values = [[curves[n].get(epoch, np.nan) for epoch in range(1, epochs + 1)] for n in curves]
    parameters = tuple(configurations[number] for number in curves)
    return Curves(
        space,
        parameters,
        np.array(values),
        np.array([coordinates(space, p) for p in parameters]),
        np.array([p[space.group] for p in parameters]),
        metric,
        mode,
    )


def space_from_json(recorded: dict) -> Space:
    """The inverse of `Space.as_json`, without `meaning`, which no searcher looks at."""
    distributions = {n: json_to_distribution(d) for n, d in recorded["distributions"].items()}
    group = recorded["group"]
    choice = distributions.pop(group)
    if not isinstance(choice, CategoricalDistribution) or not distributions:
        raise LookupError("no hyperparameter, or no groups")
    families = tuple(space_from_json(family) for family in recorded.get("families", ()))
    return Space(distributions, group, choice.choices, recorded["constants"], families)


def _parse(space: Space, row: dict[str, str]) -> dict:
    """The configuration of a row; a parameter that its family lacks is left out."""
    group = _typed(CategoricalDistribution(space.groups), row[space.group])
    family = space.of(group).distributions
    return {space.group: group, **{name: _typed(d, row[name]) for name, d in family.items()}}


def _typed(distribution: BaseDistribution, text: str):
    if isinstance(distribution, CategoricalDistribution):
        return {str(choice): choice for choice in distribution.choices}[text]
    return int(float(text)) if isinstance(distribution, IntDistribution) else float(text)


def coordinates(space: Space, parameters: dict) -> np.ndarray:
    """A point in the unit cube of the parameters, on a log scale where the distribution is;
    another value of a categorical parameter is at distance 1. A parameter that the group does not
    have is zero in all configurations of the group, and so is one with a single value."""
    parts: list[float] = []
    for name, distribution in space.distributions.items():
        value = parameters.get(name)
        if isinstance(distribution, CategoricalDistribution):
            # One-hot vectors scaled so that two different ones are at distance 1.
            parts += [np.sqrt(0.5) * (value == choice) for choice in distribution.choices]
        elif value is None or distribution.single():
            parts.append(0.0)
        else:
            scale = np.log if distribution.log else float
            low, high = scale(distribution.low), scale(distribution.high)
            parts.append((scale(value) - low) / (high - low))
    return np.array(parts, dtype=float)


def neighbour_agreement(curves: Curves) -> float:
    """How well a neighbour stands for a configuration: the rank correlation (Spearman) between the
    final losses of configurations and of their nearest neighbours, the mean over groups."""
    finals, found = curves.finals(), []
    for group in curves.space.groups:
        rows = np.flatnonzero(curves.groups == group)
        offsets = curves.points[rows, None] - curves.points[None, rows]
        distances = np.square(offsets).sum(-1) + np.diag(np.full(len(rows), np.inf))
        pair = np.stack([finals[rows], finals[rows][distances.argmin(1)]])
        found.append(np.corrcoef(pair.argsort(1).argsort(1))[0, 1])
    return float(np.mean(found))
