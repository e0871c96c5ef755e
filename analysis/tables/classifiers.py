"""Tables of a search of classifiers of images."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.measure.presets import Presets
from analysis.read.runs import Group, Result, Run, winners
from analysis.read.seed_report import CLASSIFIERS, TEST_ACCURACY, ReportedClassifier
from analysis.tables.writing.configurations import CONFIGURATION, configuration
from analysis.tables.writing.formats import accuracy, count, mse, printed, short, spread
from analysis.tables.writing.table import Column, Table

FLOORS = {
    "most_frequent": "most frequent class",
    "nearest_mean": "nearest class mean",
    "1-nn": "1-nearest neighbour",
}
"""What needs no network, by its name in final.json, and its words."""


def best_classifier(run: Run) -> Table:
    """The best classifier beside the seed report and the floors."""
    chosen = winners(run)
    return Table(
        "best",
        pd.DataFrame([_best_row(run, group, chosen.get(group)) for group in run.groups or [""]]),
        (
            CONFIGURATION,
            Column("validation accuracy", lambda row: _spread(row, "validation")),
            Column("test accuracy", lambda row: _spread(row, "test", count_seeds=True)),
            Column(
                "seed report",
                lambda row: printed(row["seed_report_lowest"], row["seed_report_highest"]),
            ),
            *(
                Column(words, lambda row, name=name: accuracy(row[floor_key(name)]))
                for name, words in FLOORS.items()
            ),
        ),
    )


def classifiers_beside_report(run: Run) -> Table:
    """The report's three classifiers, ours beside theirs: of the search's own run, and over the
    seeds of those that were trained again."""
    ours = Presets.of(run)
    return Table(
        "presets",
        pd.DataFrame([_preset_row(theirs, ours.get(theirs.preset)) for theirs in CLASSIFIERS]),
        (
            Column("model", lambda row: f"`{row['model']}`", numeric=False),
            Column("epochs", lambda row: count(row["epochs"])),
            Column("train loss, ours", lambda row: _loss(row["train_loss"])),
            Column("train loss, theirs", lambda row: _loss(row["seed_report_train_loss"])),
            Column("train accuracy, ours", lambda row: accuracy(row["train_accuracy"])),
            Column("test accuracy, ours (one seed)", lambda row: accuracy(row["test_accuracy"])),
            Column(
                "test accuracy, theirs",
                lambda row: printed(*[row["seed_report_test_accuracy"]] * 2),
            ),
            Column(
                "test accuracy, ours, retrained",
                lambda row: _spread(row, "retrained_test", count_seeds=True),
            ),
        ),
    )


def floor_key(name: str) -> str:
    """The column of a floor's test accuracy."""
    return f"{name.replace('-', '_')}_test_accuracy"


def _best_row(run: Run, group: Group, winner: Result | None) -> dict[str, Any]:
    reached = winner or Result()
    theirs = TEST_ACCURACY.get(run.data["name"], (math.nan, math.nan))
    return {
        "model": group,
        **configuration(winner),
        "validation_accuracy": reached.value("validation_accuracy"),
        "validation_std": reached.deviation("validation_accuracy"),
        "test_accuracy": reached.value("test_accuracy"),
        "test_std": reached.deviation("test_accuracy"),
        "seed_report_lowest": theirs[0],
        "seed_report_highest": theirs[1],
        **{floor_key(name): run.floor(name).value("test_accuracy") for name in FLOORS},
    }


def _preset_row(theirs: ReportedClassifier, ours: Result) -> dict[str, Any]:
    return {
        "model": theirs.preset,
        "trial": ours.trial,
        "epochs": ours.epochs,
        "train_loss": ours.own("train_loss"),
        "seed_report_train_loss": theirs.train_loss,
        "train_accuracy": ours.own("train_accuracy"),
        "validation_accuracy": ours.own("validation_accuracy"),
        "test_accuracy": ours.own("test_accuracy"),
        "seed_report_test_accuracy": theirs.test_accuracy,
        "seeds": ours.seeds,
        "retrained_test_accuracy": ours.mean.get("test_accuracy", math.nan),
        "retrained_test_std": ours.deviation("test_accuracy"),
    }


def _spread(row: dict[str, Any], which: str, count_seeds: bool = False) -> str:
    value, std = row[f"{which}_accuracy"], row[f"{which}_std"]
    return spread(value, std, row["seeds"], accuracy, count_seeds)


def _loss(value: float) -> str:
    """Four decimals, as the report prints.

    >>> _loss(0.2055), _loss(6.36995), _loss(2e-5), _loss(float("nan"))
    ('0.2055', '6.3700', '2e-05', '-')
    """
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e3 else mse(value) if value else short(value)
