"""The training loss of the sparse autoencoder and of the deeper one, by optimiser step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.measure.presets import Presets
from analysis.read.runs import Run
from analysis.read.seed_report import DEEP_SAE, SAE
from analysis.read.values import RunError, mapping, number, read_json

NAMES = (SAE, DEEP_SAE)


@dataclass(frozen=True)
class RunningLoss:
    """Training loss by epoch, a series per preset that has one."""

    data: str
    curves: Mapping[str, pd.Series]
    steps: float  # of an epoch; nan where the run does not tell


def running_loss(run: Run) -> RunningLoss:
    """Positive losses only: a log axis has no place for others."""
    ours = Presets.of(run)
    curves = {name: ours.any_curve(name, "train_loss") for name in NAMES}
    curves = {name: curve[curve > 0] for name, curve in curves.items()}
    return RunningLoss(
        run.data["name"],
        {name: curve for name, curve in curves.items() if len(curve)},
        _steps_of_an_epoch(run),
    )


def _steps_of_an_epoch(run: Run) -> float:
    """Batches of the training split; nan where its size or theirs is not known."""
    images, sizes = number(run.data.get("train")), [_batch_size(run, name) for name in NAMES]
    size = next((size for size in sizes if size >= 1), math.nan)
    return float(math.ceil(images / size)) if images > 0 and math.isfinite(size) else math.nan


def _batch_size(run: Run, preset: str) -> float:
    try:
        config = read_json(run.folder / "best" / preset / "config.json")
    except RunError:  # the curves are drawn without it, by epoch
        return math.nan
    return number(mapping(config.get("training")).get("batch_size"))
