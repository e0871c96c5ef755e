"""Recorded learning curves: made from a run folder, kept in one small file, looked up.

What search/simulate.py replays. A file of curves is a gzipped CSV with a row per trial and epoch:
number, every hyperparameter, epoch, validation_mse (six significant digits).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from search.autoencoders.task import AutoencoderTask
from search.record.schema import COMPLETE, DIVERGED, PRUNED, SAMPLED
from search.store.files import FolderError, write_atomically
from search.store.folder import RunFolder
from search.task.settings import UsageError
from search.task.space import Space

METRIC, GROUP = "validation_mse", "latent_size"
RECORDED_BUDGET = "quick"  # whose space the recorded configurations are drawn from


@dataclass(frozen=True, eq=False)
class Curves:
    """Recorded configurations and their metric per epoch; nan from where training diverged."""

    space: Space
    parameters: tuple[dict, ...]  # of each configuration, its code size among them
    values: np.ndarray  # (configurations, epochs)
    points: np.ndarray  # (configurations, coordinates): see `coordinates`
    groups: np.ndarray  # (configurations,): code sizes

    @property
    def max_epochs(self) -> int:
        return self.values.shape[1]

    def nearest(self, parameters: dict, used: Set[int] = frozenset()) -> int:
        """The row of the recorded configuration of the same code size nearest to these, among
        those not in `used` while there are any."""
        rows = np.flatnonzero(self.groups == parameters[GROUP])
        rows = rows[fresh] if (fresh := ~np.isin(rows, list(used))).any() else rows
        offsets = self.points[rows] - coordinates(self.space, parameters)
        return int(rows[np.square(offsets).sum(1).argmin()])

    def finals(self) -> np.ndarray:
        """What each configuration reaches with all epochs: its best, or inf if it diverged."""
        best = np.where(np.isnan(self.values), np.inf, self.values).min(1)
        return np.where(np.isnan(self.values[:, -1]), np.inf, best)


def load_curves(path: Path) -> Curves:
    """Read what `record` wrote. Raises UsageError if it is not that.

    A file from before a parameter was added to the search is replayed in the space that it was
    recorded in, without that parameter."""
    try:
        with gzip.open(path, "rt", newline="") as file:
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
    """The search's space without what `columns` lack. Raises LookupError if nothing is left."""
    space = AutoencoderTask(sizes, 1, RECORDED_BUDGET).space()
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


def record(run: Path, out: Path) -> int:
    """Write the curves of a run folder's sampled trials to `out`; return how many there are.

    Raises FolderError unless the run is a random search of autoencoders, over the space that
    curves are replayed in, which stopped no trial early."""
    folder = RunFolder(run)
    try:
        about = json.loads(folder.run_json.read_text())
        trials = _rows(folder.trials_csv)
        epochs = _rows(folder.epochs_csv)
    except (OSError, ValueError) as error:
        raise FolderError(f"{run} is not the folder of a search: {error}") from error
    _refuse_unfit(run, about, trials)
    space = AutoencoderTask(tuple(about["latent_sizes"]), 1, RECORDED_BUDGET).space()
    names = tuple(space.all_distributions())
    kept = {row["number"]: row for row in trials if _is_curve(row)}
    lines = [
        {
            "number": row["number"],
            **{name: _short(kept[row["number"]][name]) for name in names},
            "epoch": row["epoch"],
            METRIC: _short(row[METRIC]),
        }
        for row in epochs
        if row["number"] in kept
    ]
    if not lines:
        raise FolderError(f"{run} holds no finished trial that was sampled")
    _write_csv_gz(out, lines)
    return len(kept)


def _refuse_unfit(run: Path, about: dict, trials: list[dict]) -> None:
    sizes = tuple(about.get("latent_sizes") or ())
    space = AutoencoderTask(sizes, 1, RECORDED_BUDGET).space() if sizes else None
    if space is None or about.get("space") != space.as_json():
        raise FolderError(f"{run} did not search autoencoders over the {RECORDED_BUDGET} space")
    if about["settings"].get("sampler") != "random":
        raise FolderError(f"{run} was not made with --sampler random")
    if any(row["state"] == PRUNED for row in trials):
        raise FolderError(
            f"{run} stopped trials early: make it with --grace-epochs as large as --max-epochs"
        )


def _is_curve(row: dict) -> bool:
    return row["preset"] == SAMPLED and row["state"] in (COMPLETE, DIVERGED)


def _rows(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _short(text: str) -> str:
    """A number with 6 significant digits; other text, and whole numbers, as they are."""
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.6g}"
    except ValueError:
        return text


def _write_csv_gz(path: Path, rows: list[dict]) -> None:
    """The same rows give the same bytes: no time and no name in the header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    packed = gzip.compress(text.getvalue().encode(), mtime=0)
    write_atomically(path, lambda file: file.write(packed))
