"""Tables of the best configurations: of all runs, and of a search of autoencoders."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from analysis.measure.best import Best
from analysis.read.results import EXACT
from analysis.read.runs import Result, Run
from analysis.read.values import text
from analysis.tables.writing.configurations import CONFIGURATION, configuration
from analysis.tables.writing.formats import (
    accuracy,
    count,
    data_words,
    escape,
    mse,
    printed,
    short,
    spread,
)
from analysis.tables.writing.table import Column, Row, Table
from search.record.schema import SAMPLED

TASKS = {
    "autoencoders": "autoencoder",
    "classifiers": "classifier",
    "latent_probes": "classifier of codes",
}
"""Words for what a command searches."""

_SIZE = Column("code size", lambda row: count(row["latent_size"]))
_RATIO = Column("test / PCA", lambda row: short(row["test_over_pca"]))


def answer_table(found: Iterable[Best]) -> Table:
    """A row per task, data set and code size."""
    return Table(
        "answer",
        pd.DataFrame([_row(each) for each in found]),
        (
            Column("task", lambda row: row["task"], numeric=False),
            Column("data", _data, numeric=False),
            _SIZE,
            Column("test", _marked),
            Column("seed report", _theirs),
            Column("without a network", _floors, numeric=False),
            _RATIO,
            Column("best configuration", _named, numeric=False),
        ),
    )


def best_table(found: Iterable[Best]) -> Table:
    """A row per code size of one search of autoencoders."""
    listed = [*found]
    probe = Column("probe accuracy", lambda row: _spread(row, "probe_accuracy", accuracy))
    return Table(
        "best",
        pd.DataFrame([_row(each) for each in listed]),
        (
            _SIZE,
            CONFIGURATION,
            *([probe] if any(each.by_probe for each in listed) else []),
            Column("validation MSE", lambda row: _spread(row, "validation", mse)),
            Column("test MSE", lambda row: _spread(row, "test", mse, count_seeds=True)),
            Column("PCA, as many components", lambda row: mse(row["pca_test_mse"])),
            Column("mean image", lambda row: mse(row["mean_image_test_mse"])),
            Column("seed report", lambda row: mse(row["seed_report_lowest"])),
            _RATIO,
        ),
    )


def run_words(run: Run) -> str:
    """A run as a sentence begins with it."""
    data = data_words(run.data["name"], text(run.data.get("split")))
    by = ", by probe accuracy" if run.metric == "probe_accuracy" else ""
    return f"{TASKS[run.command].capitalize()} on {data}{by}"


def _row(best: Best) -> dict[str, Any]:
    run, winner = best.run, best.winner
    metric = "mse" if best.draws else "accuracy"
    return {
        "task": TASKS[run.command] + (", by probe accuracy" if best.by_probe else ""),
        "data": run.data["name"],
        "split": text(run.data.get("split")),
        "stand_in": bool(text(run.data.get("note"))) and not text(run.data.get("source")),
        "latent_size": math.nan if best.size is None else best.size,
        "probe": best.probe,
        **configuration(winner),
        "metric": metric,
        **_measured(winner, "validation", f"validation_{metric}"),
        **_measured(winner, "test", f"test_{metric}"),
        **_measured(winner, "probe_accuracy", "probe_accuracy"),
        **_measured(winner, "test_probe_accuracy", "test_probe_accuracy"),
        "seed_report_lowest": best.theirs[0],
        "seed_report_highest": best.theirs[1],
        "pca_components": best.pca.components or math.nan,
        "pca_test_mse": best.pca.value("test_mse"),
        "mean_image_test_mse": best.mean_image,
        "pixels_1_nn_test_accuracy": best.nearest,
        "test_over_pca": best.ratio,
        "short_of_budget": best.short_of_budget,
        "run": run.name,
        "ended": run.ended,
    }


def _measured(winner: Result, name: str, metric: str) -> dict[str, float]:
    return {name: winner.value(metric), f"{name}_std": winner.deviation(metric)}


def _spread(row: Row, name: str, show: Callable[[float], str], count_seeds: bool = False) -> str:
    return spread(row[name], row[f"{name}_std"], row["seeds"], show, count_seeds)


def _data(row: Row) -> str:
    return data_words(row["data"], row["split"]) + (" (a stand-in)" if row["stand_in"] else "")


def _marked(row: Row) -> str:
    """The test figure, or the one of validation where there is none, with marks for its limits."""
    split = "test" if row["seeds"] else "validation"
    shown = _spread(row, split, mse if row["metric"] == "mse" else accuracy)
    if shown == "-":
        return shown
    if row["task"].endswith("by probe accuracy"):
        name = "test_probe_accuracy" if row["seeds"] else "probe_accuracy"
        shown += f"; probe {_spread(row, name, accuracy)}" if math.isfinite(row[name]) else ""
    return f"{shown} {'†' * row['short_of_budget']}{'‡' * (not row['ended'])}".rstrip()


def _theirs(row: Row) -> str:
    ends = row["seed_report_lowest"], row["seed_report_highest"]
    return mse(ends[0]) if row["metric"] == "mse" else printed(*ends)


def _floors(row: Row) -> str:
    exact = row["pca_components"] > 0 and row["pca_test_mse"] <= EXACT
    floors = [
        ("PCA", "0 (exact)" if exact else mse(row["pca_test_mse"])),
        ("mean image", mse(row["mean_image_test_mse"])),
        ("1-NN", accuracy(row["pixels_1_nn_test_accuracy"])),
    ]
    return ", ".join(f"{name} {shown}" for name, shown in floors if shown != "-") or "-"


def _named(row: Row) -> str:
    """Which configuration it is; the table of its search has all settings, and so has the CSV."""
    if not row["configuration"]:
        return "-"
    name = f"sampled, {escape(row['trial'])}" if row["preset"] == SAMPLED else f"`{row['preset']}`"
    return f"{escape(row['probe'])}, {name}" if row["probe"] else name
