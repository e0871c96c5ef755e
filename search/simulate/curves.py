"""Recorded learning curves, read from a file and looked up.

A file of curves is a gzipped CSV with a row per trial and epoch: number, every hyperparameter,
epoch, validation_mse (six significant digits). `recording.record` makes it from a run folder.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import zlib
from collections.abc import Collection, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from search.autoencoders.space import autoencoder_space
from search.task.settings import UsageError
from search.task.space import Space

METRIC, GROUP = "validation_mse", "latent_size"
PROJECT_CURVES = Path(__file__).parent / "curves.csv.gz"


def add_curves_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--curves",
        type=Path,
        default=PROJECT_CURVES,
        help="a file of recorded curves (default: the curves of this project)",
    )


@dataclass(frozen=True, eq=False)
class Curves:
    """Recorded configurations and their metric per epoch, nan once training has diverged."""

    space: Space
    parameters: tuple[dict, ...]  # of each configuration, with its code size
    values: np.ndarray  # (configurations, epochs)
    points: np.ndarray  # (configurations, coordinates): see `coordinates`
    groups: np.ndarray  # (configurations,): code sizes

    @property
    def max_epochs(self) -> int:
        return self.values.shape[1]

    def nearest(self, parameters: dict, used: Set[int] = frozenset()) -> int:
        """The row of the nearest recorded configuration of the same code size: one that is not in
        `used`, or any if all are."""
        rows = np.flatnonzero(self.groups == parameters[GROUP])
        rows = rows[fresh] if (fresh := ~np.isin(rows, list(used))).any() else rows
        offsets = self.points[rows] - coordinates(self.space, parameters)
        return int(rows[np.square(offsets).sum(1).argmin()])

    def finals(self) -> np.ndarray:
        """What each configuration reaches with all epochs: its best, or inf if it diverged."""
        best = np.where(np.isnan(self.values), np.inf, self.values).min(1)
        return np.where(np.isnan(self.values[:, -1]), np.inf, best)


def searched_space(latent_sizes: tuple[int, ...]) -> Space:
    """The space that configurations are recorded in: that of the quick budget."""
    return autoencoder_space(latent_sizes, full=False, for_probes=False)


def load_curves(path: Path) -> Curves:
    """Read what `record` wrote. Raises UsageError if the file is nothing of that kind.

    A file that is older than a parameter of the search is replayed without that parameter, in the
    space it was recorded in."""
    try:
        with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        sizes = tuple(sorted({int(row[GROUP]) for row in rows}, reverse=True))
        space = _recorded_space(sizes, rows[0].keys())
        configurations, curves = {}, {}
        for row in rows:
            number = int(row["number"])
            configurations[number] = _parse(space, row)
            curves.setdefault(number, {})[int(row["epoch"])] = float(row[METRIC])
        epochs = max(max(curve) for curve in curves.values())
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error})") from error
    except (ValueError, LookupError, TypeError, EOFError, zlib.error) as error:
        raise UsageError(
            f"{path} holds no curves of this search space (--record makes a file of "
            f"them from a run folder): {error!r}"
        ) from error
    values = [[curves[n].get(epoch, np.nan) for epoch in range(1, epochs + 1)] for n in curves]
    parameters = tuple(configurations[number] for number in curves)
    return Curves(
        space,
        parameters,
        np.array(values),
        np.array([coordinates(space, p) for p in parameters]),
        np.array([p[GROUP] for p in parameters]),
    )


def _recorded_space(sizes: tuple[int, ...], columns: Collection[str]) -> Space:
    """`searched_space` without the parameters that `columns` lack. Raises LookupError if none is
    left."""
    space = searched_space(sizes)
    recorded = {name: d for name, d in space.distributions.items() if name in columns}
    if not recorded:
        raise LookupError("no column of a hyperparameter")
    return replace(space, distributions=recorded)


def _parse(space: Space, row: dict[str, str]) -> dict:
    return {
        name: _typed(distribution, row[name])
        for name, distribution in space.all_distributions().items()
    }


def _typed(distribution: BaseDistribution, text: str):
    if isinstance(distribution, CategoricalDistribution):
        return {str(choice): choice for choice in distribution.choices}[text]
    return int(text) if isinstance(distribution, IntDistribution) else float(text)


def coordinates(space: Space, parameters: dict) -> np.ndarray:
    """A point in the unit cube of the parameters, on a log scale where the distribution is;
    another value of a categorical parameter is at distance 1."""
    parts = []
    for name, distribution in space.distributions.items():
        value = parameters[name]
        if isinstance(distribution, CategoricalDistribution):
            # One-hot vectors scaled so that two different ones are at distance 1.
            parts += [np.sqrt(0.5) * (value == choice) for choice in distribution.choices]
        else:
            scale = np.log if distribution.log else float
            low, high = scale(distribution.low), scale(distribution.high)
            parts.append((scale(value) - low) / (high - low))
    return np.array(parts, dtype=float)


def neighbour_agreement(curves: Curves) -> float:
    """How far a replay can be trusted: the mean over code sizes of the rank correlation (Spearman)
    between what a recorded configuration reaches and what its nearest other one reaches."""
    finals, found = curves.finals(), []
    for group in curves.space.groups:
        rows = np.flatnonzero(curves.groups == group)
        offsets = curves.points[rows, None] - curves.points[None, rows]
        distances = np.square(offsets).sum(-1) + np.diag(np.full(len(rows), np.inf))
        pair = np.stack([finals[rows], finals[rows][distances.argmin(1)]])
        found.append(np.corrcoef(pair.argsort(1).argsort(1))[0, 1])
    return float(np.mean(found))
