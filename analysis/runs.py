"""Run folders, read into plain data.

A fault in what a run cannot do without (`run.json`, the two CSV files) is a `RunError` of one
line. A value that is merely absent becomes nan or an empty string, because an interrupted search
leaves such holes and its report is still wanted. Nothing that is read here is unpickled.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

METRICS = (
    "train_loss",
    "train_mse",
    "validation_mse",
    "probe_accuracy",
    "active_fraction",
    "effective_rank",
    "images_per_s",
)
STATES = ("complete", "pruned", "diverged", "error", "running")
PIXELS = 28 * 28
_LEADING = ("complete", "pruned", "running")  # the full budget first, as the search chooses

_TRIAL_TEXT = ("id", "state", "preset", "noise", "activation")
_TRIAL_NUMBERS = (
    "number",
    "latent_size",
    "depth",
    "decoder_depth",
    "width",
    "dropout",
    "noise_level",
    "l1",
    "l2",
    "affine",
    "learning_rate",
    "epochs",
    "best_epoch",
    "failures",
    "seconds",
    *(f"{end}_{m}" for end in ("best", "last") for m in METRICS),
)
PARAMETERS = (
    "depth",
    "decoder_depth",
    "width",
    "dropout",
    "noise",
    "noise_level",
    "l1",
    "l2",
    "affine",
    "learning_rate",
    "activation",
)


class RunError(ValueError):
    """A folder or file that cannot be reported; the message is one line that names the fault."""


@dataclass(frozen=True)
class Winner:
    """The configuration chosen for a code size.

    `mean` and `std` are over the `seeds` retrained networks; with `seeds` 0 nothing was
    retrained, both are empty and only `searched`, the search's own metrics, is known.
    """

    latent_size: int
    trial: str
    preset: str  # a preset's name or "sampled"
    state: str
    epochs: float
    parameters: Mapping[str, Any]
    searched: Mapping[str, float]
    seeds: int = 0
    mean: Mapping[str, float] = field(default_factory=dict)
    std: Mapping[str, float] = field(default_factory=dict)

    @property
    def validation_mse(self) -> float:
        """Mean over the seeds, or of the search where nothing was retrained."""
        return (self.mean if self.seeds else self.searched).get("validation_mse", math.nan)

    @property
    def test_mse(self) -> float:
        return self.mean.get("test_mse", math.nan)


@dataclass(frozen=True)
class PresetResult:
    """A preset as the search trained it, with its errors per pixel; nan where unknown."""

    preset: str
    trial: str = ""
    latent_size: float = math.nan
    epochs: float = math.nan
    train_loss: float = math.nan
    train_mse: float = math.nan
    validation_mse: float = math.nan
    test_mse: float = math.nan


@dataclass(frozen=True)
class Floor:
    """What a method without any network reaches; mean squared error per pixel."""

    validation_mse: float = math.nan
    test_mse: float = math.nan
    components: int = 0  # of PCA; 0 for the mean image

    @property
    def exact(self) -> bool:
        """PCA with as many components as pixels loses nothing (to float precision)."""
        return self.components >= PIXELS and not self.test_mse > 1e-7


@dataclass(frozen=True)
class Final:
    """`final.json`: the only place with test figures."""

    seeds: tuple[int, ...]
    mean_image: Floor
    pca: Mapping[int, Floor]  # by code size
    winners: tuple[Winner, ...]
    presets: tuple[PresetResult, ...]


@dataclass(frozen=True)
class Run:
    """One run folder. `trials` has a row per trial, `epochs` one per trial and epoch."""

    folder: Path
    info: Mapping[str, Any]  # run.json
    start: datetime
    trials: pd.DataFrame
    epochs: pd.DataFrame
    final: Final | None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def command(self) -> str:
        return self.info["command"]

    @property
    def data(self) -> Mapping[str, Any]:
        return self.info["data"]

    @property
    def settings(self) -> Mapping[str, Any]:
        return mapping(self.info.get("settings"))

    @property
    def finished(self) -> bool:
        return self.info.get("state") == "finished"

    @property
    def metric(self) -> str:
        return text(self.info.get("metric")) or "validation_mse"

    @property
    def latent_sizes(self) -> list[int]:
        """Code sizes that were searched, largest first."""
        listed = self.info.get("latent_sizes")
        found = [number(size) for size in listed] if isinstance(listed, list) else []
        found += list(self.trials["latent_size"])
        found += [winner.latent_size for winner in self.final.winners] if self.final else []
        return sorted({int(size) for size in found if math.isfinite(size)}, reverse=True)

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state: as run.json counts them, else counted in trials.csv."""
        listed = mapping(self.info.get("counts"))
        source = listed or self.trials["state"].value_counts().to_dict()
        names = [*STATES, *sorted(set(source) - set(STATES))]
        return {name: int(_finite(source.get(name), 0)) for name in names}

    @property
    def mean_image(self) -> Floor:
        return self.final.mean_image if self.final else Floor()

    def pca(self, latent_size: int) -> Floor:
        return self.final.pca.get(latent_size, Floor()) if self.final else Floor()


@dataclass(frozen=True)
class Examples:
    """Pictures of one winner: float arrays (N, 28, 28) in [0, 1], ink bright."""

    inputs: np.ndarray
    noised: np.ndarray
    reconstructions: np.ndarray


@dataclass(frozen=True)
class Skipped:
    """Something that could not be reported, and why, in one line."""

    name: str
    reason: str


def find_runs(folder: Path) -> tuple[list[Run], list[Skipped]]:
    """Read `folder` if it is a run folder, else each folder in it, by name.

    Hidden folders are passed over. Raises `RunError` if `folder` is no folder.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder")
    single = (folder / "run.json").exists()
    folders = (
        [folder.resolve()]
        if single
        else sorted(
            path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
        )
    )
    runs: list[Run] = []
    skipped: list[Skipped] = []
    for path in folders:
        try:
            runs.append(read_run(path))
        except RunError as error:
            skipped.append(Skipped(path.name, str(error)))
    return runs, skipped


def read_run(folder: Path) -> Run:
    """Read one run folder. Raises `RunError` naming the file that is missing or broken."""
    if not (folder / "run.json").exists():
        raise RunError("not a run folder (no run.json)")
    info = _read_json(folder / "run.json")
    if not isinstance(info.get("command"), str) or not text(mapping(info.get("data")).get("name")):
        raise RunError("run.json names no command or no data set")
    final = folder / "final.json"
    return Run(
        folder,
        info,
        _start(info),
        _read_trials(folder / "trials.csv"),
        _read_epochs(folder / "epochs.csv"),
        _final(_read_json(final)) if final.exists() else None,
    )


def newest(runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """The newest run of each command and data set, and the others, both in a fixed order."""
    by_age = sorted(runs, key=lambda run: (run.start, run.name))
    chosen = {(run.command, run.data["name"]): run for run in by_age}
    older = [run for run in by_age if chosen[run.command, run.data["name"]] is not run]
    return [chosen[key] for key in sorted(chosen)], older


def winners(run: Run) -> dict[int, Winner]:
    """The winner of each code size, largest first: as final.json says, else the trial that leads.

    A trial short of the full budget leads only where none had it; one that diverged or raised
    never does. Sizes without any measured trial are absent.
    """
    known = {winner.latent_size: winner for winner in run.final.winners} if run.final else {}
    found = {size: known.get(size) or _leader(run, size) for size in run.latent_sizes}
    return {size: winner for size, winner in found.items() if winner}


def preset_results(run: Run) -> list[PresetResult]:
    """The presets with test figures from final.json, else with the best epoch of trials.csv."""
    known = {result.trial for result in run.final.presets} if run.final else set()
    found = list(run.final.presets) if run.final else []
    rows = run.trials[~run.trials["preset"].isin(["sampled", ""])].sort_values("number")
    return found + [
        _preset_of_trial(row) for row in rows.to_dict("records") if row["id"] not in known
    ]


def read_examples(run: Run, latent_size: int) -> Examples:
    """Pictures of a code size's winner. Raises `RunError` if missing, broken or pickled."""
    name = f"best/{latent_size}/examples.npz"
    try:
        with np.load(run.folder / name, allow_pickle=False) as archive:
            arrays = [_images(archive[key], key) for key in ("inputs", "noised", "reconstructions")]
    except FileNotFoundError:
        raise RunError(f"{name} is missing") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise RunError(f"{name} cannot be read ({one_line(error)})") from None
    if len({len(array) for array in arrays}) != 1:
        raise RunError(f"{name} holds arrays of different lengths")
    return Examples(*arrays)


def number(value: Any) -> float:
    """`value` as a float; nan for anything that is no number."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if usable else math.nan


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _finite(value: Any, default: float) -> float:
    found = number(value)
    return found if math.isfinite(found) else default


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path.name} cannot be read ({one_line(error)})") from None
    if not isinstance(content, dict):
        raise RunError(f"{path.name} holds no JSON object")
    return content


def _start(info: Mapping[str, Any]) -> datetime:
    try:
        start = datetime.fromisoformat(text(info.get("start")))
    except ValueError:
        raise RunError("run.json has no start time") from None
    return start if start.tzinfo else start.replace(tzinfo=UTC)


def _read_csv(
    path: Path, needed: tuple[str, ...], words: tuple[str, ...], numbers: tuple[str, ...]
) -> pd.DataFrame:
    """Words as they stand (so that the noise "none" is not read as absent), numbers or nan."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise RunError(f"{path.name} is missing") from None
    except pd.errors.EmptyDataError:  # no trial, or no epoch of any trial, was done yet
        frame = pd.DataFrame(columns=list(needed), dtype=str)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise RunError(f"{path.name} cannot be read ({one_line(error)})") from None
    missing = [column for column in needed if column not in frame]
    if missing:
        raise RunError(f"{path.name} has no column {', '.join(missing)}")
    columns = {word: frame.get(word, pd.Series("", frame.index)).fillna("") for word in words}
    for name in numbers:
        raw = frame.get(name, pd.Series(math.nan, frame.index, dtype=float))
        columns[name] = pd.to_numeric(raw, errors="coerce").astype(float)
    return pd.DataFrame(columns)


def _read_trials(path: Path) -> pd.DataFrame:
    return _read_csv(path, ("id", "state", "latent_size"), _TRIAL_TEXT, _TRIAL_NUMBERS)


def _read_epochs(path: Path) -> pd.DataFrame:
    """A resumed trial may have written an epoch twice; the last row counts."""
    frame = _read_csv(path, ("id", "epoch"), ("id",), ("number", "epoch", *METRICS))
    frame = frame[frame["epoch"] >= 1].drop_duplicates(["id", "epoch"], keep="last")
    return frame.sort_values(["id", "epoch"], ignore_index=True)


def _final(content: Mapping[str, Any]) -> Final:
    floors = mapping(content.get("floors"))
    pca = mapping(floors.get("pca"))
    return Final(
        seeds=tuple(seed for seed in _listed(content, "seeds", int)),
        mean_image=_floor(floors.get("mean_image")),
        pca={int(size): _floor(floor) for size, floor in pca.items() if size.isdecimal()},
        winners=tuple(_winner(entry) for entry in _listed(content, "winners", dict)),
        presets=tuple(_preset(entry) for entry in _listed(content, "presets", dict)),
    )


def _listed(content: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    listed = content.get(key)
    return [one for one in listed if isinstance(one, kind)] if isinstance(listed, list) else []


def _floor(entry: Any) -> Floor:
    entry = mapping(entry)
    return Floor(
        number(entry.get("validation_mse")),
        number(entry.get("test_mse")),
        int(_finite(entry.get("components"), 0)),
    )


def _winner(entry: Mapping[str, Any]) -> Winner:
    size = number(entry.get("latent_size"))
    if not math.isfinite(size):
        raise RunError("final.json has a winner without latent_size")
    return Winner(
        int(size),
        text(entry.get("trial")),
        text(entry.get("preset")) or "sampled",
        text(entry.get("state")),
        number(entry.get("epochs")),
        mapping(entry.get("parameters")),
        _numbers(entry.get("searched")),
        len(_listed(entry, "runs", dict)),
        _numbers(entry.get("mean")),
        _numbers(entry.get("std")),
    )


def _numbers(entry: Any) -> dict[str, float]:
    return {key: number(value) for key, value in mapping(entry).items()}


def _preset(entry: Mapping[str, Any]) -> PresetResult:
    names = ("latent_size", "epochs", "train_loss", "train_mse", "validation_mse", "test_mse")
    return PresetResult(
        text(entry.get("preset")),
        text(entry.get("trial")),
        **{name: number(entry.get(name)) for name in names},
    )


def _preset_of_trial(row: Mapping[str, Any]) -> PresetResult:
    return PresetResult(
        row["preset"],
        row["id"],
        row["latent_size"],
        row["epochs"],
        row["best_train_loss"],
        row["best_train_mse"],
        row["best_validation_mse"],
    )


def _leader(run: Run, latent_size: int) -> Winner | None:
    column = f"best_{run.metric}"
    if column not in run.trials:
        return None
    trials = run.trials
    usable = trials[
        (trials["latent_size"] == latent_size)
        & np.isfinite(trials[column])
        & trials["state"].isin(_LEADING)
    ]
    if usable.empty:
        return None
    sign = -1 if run.info.get("mode") == "max" else 1
    ranked = usable.assign(rank=usable["state"].map(_LEADING.index), value=sign * usable[column])
    row = ranked.sort_values(["rank", "value", "number"]).iloc[0].to_dict()
    return Winner(
        latent_size,
        row["id"],
        row["preset"] or "sampled",
        row["state"],
        row["epochs"],
        {name: row[name] for name in PARAMETERS},
        {metric: row[f"best_{metric}"] for metric in METRICS},
    )


def _images(array: np.ndarray, key: str) -> np.ndarray:
    if array.ndim != 3 or array.shape[1:] != (28, 28) or not len(array):
        raise ValueError(f"{key} has shape {array.shape}, not (N, 28, 28)")
    return np.clip(np.nan_to_num(array.astype(np.float64), nan=0.0), 0, 1)
