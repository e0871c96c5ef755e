"""What `python -m probes.autopsy` measured, as its `autopsy.json` holds it: rows of accuracies, and
what is lost between two of them.

The file is written as the autopsy goes: what is not measured yet is nan, or is not there.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.page import blocks
from analysis.read.runs import RunError, Skipped, entries, mapping, number, one_line, text
from analysis.tables.frames import escape

FILE = "autopsy.json"
PROBES = {
    "extra-trees": "extra-trees",
    "random-forest": "random forest",
    "catboost": "CatBoost",
    "lda": "LDA",
    "logistic": "logistic",
    "1-nn": "1-NN",
    "mlp": "perceptron",
}
TREES = ("extra-trees", "random-forest")
LEAST = 1.0  # points; what is smaller is no cause of a failure
ONE_SEED = 3.0  # points that one seed alone must show: 400 drawings of 200 classes scatter by 1.5


@dataclass(frozen=True)
class Row:
    """A probe's accuracy at one level of one factor, all others held; nan for a hole."""

    question: str
    factor: str
    level: str
    baseline: bool
    probe: str
    accuracy: float
    std: float
    train: float
    seconds: float
    note: str
    runs: tuple[Mapping[str, Any], ...]
    l2: float
    l2_kind: str
    batch_norm: bool

    @property
    def by_seed(self) -> dict[float, float]:
        found = {number(run.get("seed")): number(run.get("accuracy")) for run in self.runs}
        return {seed: value for seed, value in found.items() if math.isfinite(seed + value)}


@dataclass(frozen=True)
class Cost:
    """Points of accuracy lost; `noise` is what chance could do, two standard errors."""

    points: float
    noise: float

    @property
    def real(self) -> bool:
        return self.points > max(LEAST, self.noise)


@dataclass(frozen=True)
class Autopsy:
    """One `autopsy.json`; of a probe measured twice at one level, the later row."""

    name: str
    info: Mapping[str, Any]
    start: datetime
    rows: tuple[Row, ...]

    def of(self, question: str) -> list[Row]:
        return [row for row in self.rows if row.question == question]

    def at(self, factor: str, level: str, probe: str) -> Row | None:
        """A measured row of the question why trees fail."""
        return next((row for row in self._measured(factor, probe) if row.level == level), None)

    def baseline(self, factor: str, probe: str) -> Row | None:
        """The factor's own baseline; where it has none, that of any factor, for it is the same."""
        for rows in (self._measured(factor, probe), self._measured(None, probe)):
            if found := next((row for row in rows if row.baseline), None):
                return found
        return None

    def levels(self, factor: str, probe: str) -> list[Row]:
        """What was measured of a factor beside its baseline."""
        return [row for row in self._measured(factor, probe) if not row.baseline]

    def _measured(self, factor: str | None, probe: str) -> list[Row]:
        return [
            row
            for row in self.of("trees")
            if row.probe == probe and factor in (None, row.factor) and math.isfinite(row.accuracy)
        ]

    @property
    def factors(self) -> list[str]:
        return list(dict.fromkeys(row.factor for row in self.of("trees")))

    @property
    def lead(self) -> str:
        """The kind of forest that the text is about; empty where none has a baseline."""
        return next((probe for probe in TREES if self.baseline("", probe)), "")

    @property
    def classes(self) -> float:
        """Of the baseline; the formulations of boosting have all that the data set has."""
        return number(self.info.get("classes"))

    @property
    def all_classes(self) -> float:
        return number(_data(self.info).get("classes"))

    @property
    def forest_on_all(self) -> Row | None:
        """What a forest reaches on as many classes as the formulations of boosting."""
        base = self.baseline("", self.lead)
        rows = self._measured("classes", self.lead)
        found = next((row for row in rows if size(row.level) == self.all_classes), None)
        return found or (base if self.classes == self.all_classes else None)


def find_autopsies(folder: Path) -> tuple[list[Autopsy], list[Skipped]]:
    """Read the `autopsy.json` of `folder`, or of each folder in it; the newest comes first."""
    folders = [folder.resolve()]
    if not (folder / FILE).is_file():
        folders = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    found: list[Autopsy] = []
    skipped: list[Skipped] = []
    for path in folders:
        if (path / FILE).is_file():
            try:
                found.append(read_autopsy(path))
            except RunError as error:
                skipped.append(Skipped(path.name, str(error)))
    return sorted(found, key=lambda one: (one.start, one.name), reverse=True), skipped


def without_autopsies(folder: Path, skipped: Iterable[Skipped]) -> list[Skipped]:
    """Of what was skipped in `folder` as no run, that which is no autopsy either."""
    if _is_autopsy_alone(folder):
        return []
    return [entry for entry in skipped if not _is_autopsy_alone(folder / entry.name)]


def read_autopsy(folder: Path) -> Autopsy:
    """Raises `RunError` with one line where the file is broken; holes in it are none."""
    try:
        info = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{FILE} cannot be read ({one_line(error)})") from None
    if not isinstance(info, dict) or not isinstance(info.get("rows"), list):
        raise RunError(f"{FILE} holds no list of rows")
    try:
        start = datetime.fromisoformat(text(info.get("start")))
    except ValueError:
        raise RunError(f"{FILE} has no start time") from None
    rows = [_row(entry) for entry in entries(info, "rows")]
    distinct = {(row.question, row.factor, row.level, row.probe): row for row in rows}
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    return Autopsy(folder.name, info, start, tuple(distinct.values()))


def where(autopsy: Autopsy) -> str:
    """Its data set and split, as a heading names them."""
    data = _data(autopsy.info)
    named = escape(text(data.get("name")) or "unknown data")
    split = text(data.get("split"))
    return f"{named} (split {escape(split)})" if split else named


def provenance(autopsy: Autopsy) -> Iterator[str]:
    """What it takes to repeat it."""
    info, data = autopsy.info, _data(autopsy.info)
    known = blocks.known
    command = " ".join(text(info.get("command")).replace("`", "'").split()) or "unknown"
    sizes = ", ".join(f"{known(data.get(name))} {name}" for name in ("train", "validation", "test"))
    yield (
        f"Data set {known(data.get('name'))} (split {known(data.get('split'))}: {sizes} images of "
        f"{known(data.get('classes'))} classes; sha256 {known(text(data.get('sha256'))[:12])}). "
        "Accuracies are of the validation split, by drawers whom no training has seen; the test "
        "split is not read. "
        f"{blocks.duration(number(info.get('seconds')))}, started {known(info.get('start'))}, "
        f"commit {known(text(info.get('git_commit'))[:12])}. "
        f"Command: `{command}`."
    )


def lost(good: Row, bad: Row) -> Cost:
    """Paired by seed, which chooses autoencoder and classes; of the means where no seed is
    shared."""
    better, worse = good.by_seed, bad.by_seed
    losses = [100 * (better[seed] - worse[seed]) for seed in sorted(better.keys() & worse.keys())]
    if not losses:
        return Cost(100 * (good.accuracy - bad.accuracy), 0.0)
    if len(losses) == 1:
        return Cost(losses[0], ONE_SEED)
    return Cost(statistics.fmean(losses), 2 * statistics.stdev(losses) / math.sqrt(len(losses)))


def size(level: str) -> float:
    """The first number of a level; a level without any is the largest.

    >>> size("964"), size("10 views"), size("1,024")
    (964.0, 10.0, 1024.0)
    """
    found = re.search(r"\d[\d,]*(\.\d+)?", level)
    return float(found[0].replace(",", "")) if found else math.inf


def _is_autopsy_alone(folder: Path) -> bool:
    return (folder / FILE).is_file() and not (folder / "run.json").exists()


def _data(info: Mapping[str, Any]) -> dict[str, Any]:
    return mapping(info.get("data"))


def _row(entry: Mapping[str, Any]) -> Row:
    """Means are computed where the file has runs but no mean yet."""
    runs = tuple(entries(entry, "runs"))
    seeds = _finite(runs, "accuracy")
    accuracy, std = number(entry.get("accuracy")), number(entry.get("std"))
    if not math.isfinite(accuracy):
        accuracy = _mean(seeds)
    if not math.isfinite(std) and len(seeds) > 1:
        std = statistics.stdev(seeds)
    return Row(
        text(entry.get("question")),
        text(entry.get("factor")),
        text(entry.get("level")),
        entry.get("baseline") is True,
        text(entry.get("probe")) or "unknown",
        accuracy,
        std,
        _mean(_finite(runs, "train_accuracy")),
        _mean(_finite(runs, "seconds")),
        text(entry.get("note")),
        runs,
        number(entry.get("l2")),
        text(entry.get("l2_kind")),
        entry.get("batch_norm") is True,
    )


def _finite(runs: Iterable[Mapping[str, Any]], key: str) -> list[float]:
    return [value for run in runs if math.isfinite(value := number(run.get(key)))]


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan
