"""The table of the seed report's autoencoders."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.measure.presets import Presets
from analysis.read.runs import Result, Run
from analysis.read.seed_report import MODELS, reported
from analysis.tables.writing.formats import count, mse, signed
from analysis.tables.writing.table import Column, Row, Table


def autoencoders_beside_report(run: Run) -> Table:
    """Each of the seed report's models beside its row, then the floors.

    `train_loss` is as optimised (noise, dropout and penalties included), `train_mse` is measured
    with noise and dropout off.
    """
    ours = Presets.of(run)
    states = dict(zip(run.trials["id"], run.trials["state"], strict=True))
    rows = []
    for model in MODELS:
        result = ours.get(model.preset)
        rows.append(_row(model.preset, result, states.get(result.trial, "")))
    return Table(
        "presets",
        pd.DataFrame([*rows, *_floor_rows(run)]),
        (
            Column(
                "model",
                lambda row: f"`{row['model']}`" if row["kind"] == "preset" else row["model"],
                numeric=False,
            ),
            Column("code", lambda row: count(row["latent_size"])),
            Column("epochs", lambda row: count(row["epochs"])),
            Column("train loss, ours", lambda row: mse(row["train_loss"])),
            Column("train loss, theirs", lambda row: _theirs(row, "train")),
            Column("train MSE, noise and dropout off, ours", lambda row: mse(row["train_mse"])),
            Column("validation MSE, ours", lambda row: mse(row["validation_mse"])),
            Column("test MSE, ours", lambda row: mse(row["test_mse"])),
            Column("test loss, theirs", lambda row: _theirs(row, "test")),
            Column("test - train loss, ours", lambda row: signed(row["gap"])),
            Column("test - train loss, theirs", lambda row: signed(row["seed_report_gap"])),
        ),
    )


def _row(name: str, result: Result, state: str = "", kind: str = "preset") -> dict[str, Any]:
    theirs = reported(name)
    train, test = result.own("train_loss"), result.own("test_mse")
    return {
        "kind": kind,
        "model": name,
        "trial": result.trial,
        "state": state,
        "latent_size": math.nan if result.group is None else result.group,
        "epochs": result.epochs,
        "train_loss": train,
        "seed_report_train_loss": theirs.train_loss,
        "train_mse": result.own("train_mse"),
        "validation_mse": result.own("validation_mse"),
        "test_mse": test,
        "seed_report_test_loss": theirs.test_loss,
        "gap": test - train,
        "seed_report_gap": theirs.test_loss - theirs.train_loss,
    }


def _floor_rows(run: Run) -> list[dict[str, Any]]:
    """The floors as rows without a network: only their own two errors are known."""
    floors = {"mean image": (None, run.floor("mean_image"))}
    for size in run.groups:
        pca = run.floor("pca", str(size))
        if pca.components:
            floors[f"PCA, {pca.components} components"] = size, pca
    return [
        _row(label, Result(group=size, searched=floor.metrics), kind="floor")
        for label, (size, floor) in floors.items()
    ]


def _theirs(row: Row, which: str) -> str:
    value = row[f"seed_report_{which}_loss"]
    if math.isfinite(value):
        return mse(value)
    model = reported(row["model"])
    return model.train_words if which == "train" else model.test_words
