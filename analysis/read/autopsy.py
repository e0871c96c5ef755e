"""What `python -m probes.autopsy` measured, read from its `autopsy.json` into plain data.

The file is written as the autopsy goes: what is not measured yet is nan, or is not there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis.read.runs import Skipped
from analysis.read.values import (
    RunError,
    entries,
    mapping,
    number,
    read_json,
    start_time,
    text,
)

FILE = "autopsy.json"
FORESTS, BOOSTING, L2 = "trees", "boosting", "l2"  # its questions


@dataclass(frozen=True)
class Measurement:
    """A probe's accuracy at one level of one factor, all others held; nan for a hole.

    `accuracy` and `std` are over the seeds, `train` (accuracy) and `seconds` are means, `by_seed`
    holds the accuracy of each seed, `runs` all that the file says of each.
    """

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
    by_seed: Mapping[float, float]
    runs: tuple[Mapping[str, Any], ...]
    l2: float
    l2_kind: str
    batch_norm: bool


@dataclass(frozen=True)
class Autopsy:
    """One `autopsy.json`. Of a probe measured twice at one level, the later row counts."""

    name: str
    info: Mapping[str, Any]
    start: datetime
    rows: tuple[Measurement, ...]

    @property
    def data(self) -> Mapping[str, Any]:
        return mapping(self.info.get("data"))

    @property
    def finished(self) -> bool:
        return self.info.get("finished") is True

    @property
    def classes(self) -> float:
        """Of the baseline."""
        return number(self.info.get("classes"))

    @property
    def all_classes(self) -> float:
        """Of the data set: as many as boosting was measured on."""
        return number(self.data.get("classes"))

    def measured(self, question: str) -> list[Measurement]:
        """The rows of a question that have an accuracy."""
        return [
            row for row in self.rows if row.question == question and math.isfinite(row.accuracy)
        ]


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
    return sorted(found, key=lambda autopsy: (autopsy.start, autopsy.name), reverse=True), skipped


def without_autopsies(folder: Path, skipped: Iterable[Skipped]) -> list[Skipped]:
    """Leave out the folders that hold an autopsy: `find_runs` skips them, but they are no fault."""
    if _is_autopsy(folder):
        return []
    return [entry for entry in skipped if not _is_autopsy(folder / entry.name)]


def read_autopsy(folder: Path) -> Autopsy:
    """Raises `RunError` with one line where the file is broken; a hole in it is no fault."""
    info = read_json(folder / FILE)
    if not isinstance(info.get("rows"), list):
        raise RunError(f"{FILE} holds no list of rows")
    start = start_time(info, FILE)
    rows = [_measurement(entry) for entry in entries(info, "rows")]
    distinct = {(row.question, row.factor, row.level, row.probe): row for row in rows}
    return Autopsy(folder.name, info, start, tuple(distinct.values()))


def _is_autopsy(folder: Path) -> bool:
    return (folder / FILE).is_file() and not (folder / "run.json").exists()


def _measurement(entry: Mapping[str, Any]) -> Measurement:
    runs = tuple(entries(entry, "runs"))
    by_seed = {number(run.get("seed")): number(run.get("accuracy")) for run in runs}
    return Measurement(
        question=text(entry.get("question")),
        factor=text(entry.get("factor")),
        level=text(entry.get("level")),
        baseline=entry.get("baseline") is True,
        probe=text(entry.get("probe")) or "unknown",
        accuracy=number(entry.get("accuracy")),
        std=number(entry.get("std")),
        train=_mean(runs, "train_accuracy"),
        seconds=_mean(runs, "seconds"),
        note=text(entry.get("note")),
        by_seed={seed: value for seed, value in by_seed.items() if math.isfinite(seed + value)},
        runs=runs,
        l2=number(entry.get("l2")),
        l2_kind=text(entry.get("l2_kind")),
        batch_norm=entry.get("batch_norm") is True,
    )


def _mean(runs: Iterable[Mapping[str, Any]], key: str) -> float:
    values = [value for run in runs if math.isfinite(value := number(run.get(key)))]
    return statistics.fmean(values) if values else math.nan
