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

STATES = ("complete", "pruned", "diverged", "error", "running")
PIXELS = 28 * 28
FAILED = ("diverged", "error")  # in no choice
_LEADING = ("complete", "pruned", "running")  # the full budget first, as the search chooses
_SIZES = ("latent_size",)  # groups that are numbers; any other is of names
NO_PARAMETERS = (
    "id",
    "number",
    "state",
    "preset",
    "epochs",
    "best_epoch",
    "failures",
    "reason",
    "spared_at",
    "seconds",
)
"""Columns of trials.csv that are no parameters, besides best and last values."""

Group = int | str
"""What a search has one winner of: a code size, or the name of a model."""


class RunError(ValueError):
    """A folder or file that cannot be reported; the message is one line that names the fault."""


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
    entry: Mapping[str, Any] = field(default_factory=dict)  # all that final.json says of it

    @property
    def seeds(self) -> int:
        return len(self.runs)

    def own(self, metric: str) -> float:
        """What the search's own network reached."""
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

    def value(self, metric: str) -> float:
        return self.metrics.get(metric, math.nan)

    @property
    def exact(self) -> bool:
        """PCA with as many components as pixels loses nothing (to float precision)."""
        return self.components >= PIXELS and not self.value("test_mse") > 1e-7


@dataclass(frozen=True)
class Final:
    """`final.json`: the only place with test figures."""

    seeds: tuple[int, ...]
    refit_on: str
    floors: Mapping[str, Any]
    winners: tuple[Result, ...]
    presets: tuple[Result, ...]
    entry: Mapping[str, Any] = field(default_factory=dict)  # all of the file


@dataclass(frozen=True)
class Run:
    """One run folder. `trials` has a row per trial, `epochs` one per trial and epoch, both with
    every column of their file: numbers where all of it are numbers, else words."""

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
    def task(self) -> tuple[str, str, str]:
        """Command, data set and split: runs that differ here answer different questions."""
        return self.command, self.data["name"], text(self.data.get("split"))

    @property
    def question(self) -> tuple[str, str, str, str]:
        """The task and the metric: of runs that agree here the newest answers best."""
        return *self.task, self.metric

    @property
    def settings(self) -> Mapping[str, Any]:
        return mapping(self.info.get("settings"))

    @property
    def finished(self) -> bool:
        return self.info.get("state") == "finished"

    @property
    def metric(self) -> str:
        return text(self.info.get("metric"))

    @property
    def group(self) -> str:
        """The parameter that each have a winner: a column of trials.csv."""
        return _group_name(self.info)

    @property
    def groups(self) -> list[Group]:
        """What was searched a winner for: code sizes, largest first, or names."""
        listed = self.info.get("groups", self.info.get(f"{self.group}s"))
        found = [*listed] if isinstance(listed, list) else []
        found += list(self.trials[self.group])
        found += [winner.group for winner in self.final.winners] if self.final else []
        groups = {group for one in found if (group := _as_group(one, self.group)) is not None}
        sizes = sorted((group for group in groups if isinstance(group, int)), reverse=True)
        return [*sizes, *sorted(group for group in groups if isinstance(group, str))]

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state: as run.json counts them, else counted in trials.csv."""
        listed = mapping(self.info.get("counts"))
        source = listed or self.trials["state"].value_counts().to_dict()
        names = [*STATES, *sorted(set(source) - set(STATES))]
        return {name: int(_finite(source.get(name), 0)) for name in names}

    def floor(self, *names: str) -> Floor:
        """A floor by its place in final.json, as ("mean_image") or ("pca", "32")."""
        entry = self.final.floors if self.final else {}
        for name in names:
            entry = mapping(entry.get(name))
        return Floor(_numbers(entry), int(_finite(entry.get("components"), 0)))


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
    group = _group_name(info)
    return Run(
        folder,
        info,
        _start(info),
        _read_trials(folder / "trials.csv", group),
        _read_epochs(folder / "epochs.csv"),
        _final(_read_json(final), group) if final.exists() else None,
    )


def newest(runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """The newest run of each command, data set, split and metric, and the others, both in a fixed
    order."""
    by_age = sorted(runs, key=lambda run: (run.start, run.name))
    chosen = {run.question: run for run in by_age}
    older = [run for run in by_age if chosen[run.question] is not run]
    return [chosen[key] for key in sorted(chosen)], older


def winners(run: Run) -> dict[Group, Result]:
    """The winner of each group, in their order: as final.json says, else the trial that leads.

    A trial short of the full budget leads only where none had it; one that diverged or raised
    never does. Groups without any measured trial are absent.
    """
    known = {winner.group: winner for winner in run.final.winners} if run.final else {}
    found = {group: known.get(group) or _leader(run, group) for group in run.groups}
    return {group: winner for group, winner in found.items() if winner}


def preset_results(run: Run) -> list[Result]:
    """The presets with test figures from final.json, else with the best epoch of trials.csv."""
    known = {result.trial for result in run.final.presets} if run.final else set()
    found = list(run.final.presets) if run.final else []
    rows = run.trials[~run.trials["preset"].isin(["sampled", ""])].sort_values("number")
    return found + [
        _result_of_trial(run, row) for row in rows.to_dict("records") if row["id"] not in known
    ]


def read_examples(run: Run, group: Group) -> Examples:
    """Pictures of a group's winner. Raises `RunError` if missing, broken or pickled."""
    name = f"best/{group}/examples.npz"
    return Examples(*read_images(run, name, ("inputs", "noised", "reconstructions")))


def read_images(run: Run, name: str, keys: Iterable[str]) -> list[np.ndarray]:
    """Arrays (N, 28, 28) in [0, 1] of one N from a file of the run folder.

    Raises `RunError` if it is missing, broken or pickled, or holds arrays of other shapes.
    """
    try:
        with np.load(run.folder / name, allow_pickle=False) as archive:
            arrays = [_images(archive[key], key) for key in keys]
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
    return arrays


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column as floats: nan where it has no number, everywhere if there is no such column."""
    raw = frame[name] if name in frame else pd.Series(math.nan, frame.index, dtype=float)
    return pd.to_numeric(raw, errors="coerce").astype(float)


def number(value: Any) -> float:
    """`value` as a float; nan for anything that is no number."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        return float(value) if usable else math.nan
    except OverflowError:  # JSON's integers have no end
        return math.nan


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def entries(content: Mapping[str, Any], key: str, kind: type = dict) -> list[Any]:
    """What of `kind` the list `content[key]` holds; nothing where there is no such list."""
    listed = content.get(key)
    return [one for one in listed if isinstance(one, kind)] if isinstance(listed, list) else []


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _finite(value: Any, default: float) -> float:
    found = number(value)
    return found if math.isfinite(found) else default


def _group_name(info: Mapping[str, Any]) -> str:
    return text(info.get("group")) or "latent_size"  # older runs are all of autoencoders


def _as_group(value: Any, name: str) -> Group | None:
    if name in _SIZES:
        return int(value) if math.isfinite(number(value)) else None
    return text(value) or None


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
    """Every column of the file, and all of `words` and `numbers` whether there or not."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise RunError(f"{path.name} is missing") from None
    except pd.errors.EmptyDataError:  # no trial, or no epoch of any trial, was done yet
        frame = pd.DataFrame(columns=list(needed), dtype=str)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise RunError(f"{path.name} cannot be read ({one_line(error)})") from None
    missing = [name for name in needed if name not in frame]
    if missing:
        raise RunError(f"{path.name} has no column {', '.join(missing)}")
    frame = frame.fillna("")
    columns = {word: frame.get(word, pd.Series("", frame.index, dtype=str)) for word in words}
    columns |= {name: column(frame, name) for name in numbers}
    columns |= {name: _typed(frame[name]) for name in frame if name not in columns}
    return pd.DataFrame(columns)


def _typed(words: pd.Series) -> pd.Series:
    """Numbers or truth values if all are that are not empty, else words as they stand: the noise
    "none" is one."""
    said = words[words != ""]
    if len(said) and said.isin(["True", "False"]).all():
        return words.map({"True": True, "False": False})
    numbers = pd.to_numeric(words, errors="coerce").astype(float)
    unread = numbers.isna() & ~words.str.lower().isin(["", "nan"])
    return words if unread.any() else numbers


def _read_trials(path: Path, group: str) -> pd.DataFrame:
    words, numbers = ("id", "state", "preset"), ("number",)
    if group in _SIZES:
        numbers = (*numbers, group)
    else:
        words = (*words, group)
    return _read_csv(path, ("id", "state", group), words, numbers)


def _read_epochs(path: Path) -> pd.DataFrame:
    """A resumed trial may have written an epoch twice; the last row counts."""
    frame = _read_csv(path, ("id", "epoch"), ("id",), ("number", "epoch"))
    frame = frame[(frame["epoch"] >= 1) & np.isfinite(frame["epoch"])].drop_duplicates(
        ["id", "epoch"], keep="last"
    )
    return frame.sort_values(["id", "epoch"], ignore_index=True)


def _final(content: Mapping[str, Any], group: str) -> Final:
    winners = tuple(_result(entry, group) for entry in entries(content, "winners"))
    if any(winner.group is None for winner in winners):
        raise RunError(f"final.json has a winner without {group}")
    return Final(
        seeds=tuple(entries(content, "seeds", int)),
        refit_on=text(content.get("refit_on")) or "train",
        floors=mapping(content.get("floors")),
        winners=winners,
        presets=tuple(_result(entry, group) for entry in entries(content, "presets")),
        entry=content,
    )


def _result(entry: Mapping[str, Any], group: str) -> Result:
    """An entry of final.json. A preset has the metrics of the search's own network at its top
    level, tested; a winner has those that were searched only, under "searched"."""
    return Result(
        text(entry.get("trial")),
        text(entry.get("preset")) or "sampled",
        _as_group(entry.get(group), group),
        text(entry.get("state")),
        number(entry.get("epochs")),
        mapping(entry.get("parameters")),
        _numbers(entry.get("searched", entry)),
        tuple(_numbers(run) for run in entries(entry, "runs")),
        _numbers(entry.get("mean")),
        _numbers(entry.get("std")),
        entry,
    )


def _numbers(entry: Any) -> dict[str, float]:
    return {key: number(value) for key, value in mapping(entry).items()}


def _result_of_trial(run: Run, row: Mapping[str, Any]) -> Result:
    best = {name.removeprefix("best_"): row[name] for name in row if name.startswith("best_")}
    return Result(
        row["id"],
        row["preset"] or "sampled",
        _as_group(row[run.group], run.group),
        row["state"],
        number(row.get("epochs")),
        {
            name: value
            for name, value in row.items()
            if name not in NO_PARAMETERS and not name.startswith(("best_", "last_"))
        },
        _numbers(best),
    )


def _leader(run: Run, group: Group) -> Result | None:
    trials = run.trials.assign(value=column(run.trials, f"best_{run.metric}"))
    usable = trials[
        (trials[run.group] == group) & np.isfinite(trials["value"]) & trials["state"].isin(_LEADING)
    ]
    if usable.empty:
        return None
    sign = -1 if run.info.get("mode") == "max" else 1
    ranked = usable.assign(rank=usable["state"].map(_LEADING.index), value=sign * usable["value"])
    first = ranked.sort_values(["rank", "value", "number"]).index[:1]
    return _result_of_trial(run, run.trials.loc[first].to_dict("records")[0])


def _images(array: np.ndarray, key: str) -> np.ndarray:
    if array.ndim != 3 or array.shape[1:] != (28, 28) or not len(array):
        raise ValueError(f"{key} has shape {array.shape}, not (N, 28, 28)")
    scale = 255 if array.dtype == np.uint8 else 1
    return np.clip(np.nan_to_num(array.astype(np.float64) / scale, nan=0.0), 0, 1)
