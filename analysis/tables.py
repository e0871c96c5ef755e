"""The report's tables: one frame of plain numbers each, and how a row is printed.

The CSV holds the numbers in full; the Markdown rounds them. What is not known is nan in the frame,
empty in the CSV and "-" in the Markdown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.runs import PARAMETERS, PresetResult, Run, Winner, preset_results, winners
from analysis.seed_report import BEST_TEST_LOSS, MODELS, reported

Row = Mapping[str, Any]

_STATE_MEANINGS = {
    "complete": "reached the last epoch of the budget",
    "pruned": "stopped early, because others did better at the same epoch",
    "diverged": "loss became infinite or not a number; left out of every choice",
    "error": "raised an error; its traceback is in the run folder",
    "running": "not done when this was written",
}


@dataclass(frozen=True)
class Column:
    title: str
    show: Callable[[Row], str]
    numeric: bool = True  # set right


@dataclass(frozen=True)
class Table:
    """`frame` holds the numbers, `columns` say how a row of it is printed."""

    name: str  # of its CSV file
    frame: pd.DataFrame
    columns: tuple[Column, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.frame.to_dict("records")

    def markdown(self) -> str:
        """The table in GitHub's Markdown, without a newline at its end."""
        head = [escape(column.title) for column in self.columns]
        rule = ["--:" if column.numeric else "---" for column in self.columns]
        body = [[cell(column.show(row)) for column in self.columns] for row in self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *body])

    def csv(self) -> str:
        """The numbers as CSV with a header, eight digits."""
        return self.frame.to_csv(index=False, lineterminator="\n", float_format="%.8g")


def best_per_code_size(run: Run) -> Table:
    """Best configuration per code size beside PCA, the mean image and the seed report."""
    chosen = winners(run)
    rows = [_best_row(run, size, chosen.get(size)) for size in run.latent_sizes]
    return Table(
        "best",
        pd.DataFrame(rows, columns=_BEST_KEYS),
        (
            Column("code size", lambda row: str(row["latent_size"])),
            Column("configuration", lambda row: row["configuration"] or "-", numeric=False),
            Column("validation MSE", lambda row: _spread(row, "validation")),
            Column("test MSE", lambda row: _spread(row, "test", seeds=True)),
            Column("PCA, as many components", lambda row: mse(row["pca_test_mse"])),
            Column("mean image", lambda row: mse(row["mean_image_test_mse"])),
            Column("seed report", lambda row: mse(row["seed_report_test_loss"])),
            Column("test / PCA", lambda row: short(row["test_over_pca"])),
        ),
    )


def presets_beside_report(run: Run) -> Table:
    """Every preset beside the seed report's row, then the floors.

    `train_loss` is as optimised (noise, dropout and penalties included), `train_mse` is measured
    with noise and dropout off.
    """
    found = preset_results(run)
    names = [model.preset for model in MODELS]
    absent = [PresetResult(name) for name in names if name not in {r.preset for r in found}]
    rank = {name: place for place, name in enumerate(names)}
    results = sorted(found + absent, key=lambda result: rank.get(result.preset, len(rank)))
    states = dict(zip(run.trials["id"], run.trials["state"], strict=True))
    rows = [_preset_row(result, states.get(result.trial, "")) for result in results]
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


def states(run: Run) -> Table:
    """How many trials ended in each state."""
    rows = [
        {"state": state, "trials": trials, "meaning": _STATE_MEANINGS.get(state, "")}
        for state, trials in run.counts.items()
    ]
    return Table(
        "states",
        pd.DataFrame(rows),
        (
            Column("state", lambda row: row["state"], numeric=False),
            Column("trials", lambda row: str(row["trials"])),
            Column("meaning", lambda row: row["meaning"] or "-", numeric=False),
        ),
    )


def in_words(preset: str, parameters: Mapping[str, Any]) -> str:
    """A configuration as a reader would say it: what is off is left out.

    >>> in_words("sampled", {"depth": 5, "width": 32, "noise": "none", "l1": 1e-05, "l2": 0})
    'sampled: depth 5, width 32, L1 1e-05'
    """
    order = [*PARAMETERS, *(key for key in parameters if key not in PARAMETERS)]
    known = {key: parameters[key] for key in order if _says_something(parameters.get(key))}
    noise = known.pop("noise", "none")
    level = known.pop("noise_level", 0)
    parts = [
        f"{_PARAMETER_WORDS.get(key, key.replace('_', ' '))} {short(value)}"
        for key, value in known.items()
        if key not in ("activation", "latent_size")
    ]
    if noise != "none":
        parts.append(f"{noise} noise {short(level)} on the input")
    if known.get("activation"):
        parts.append(str(known["activation"]))
    name = preset if preset == "sampled" else f"`{preset}`"
    return f"{name}: {', '.join(parts)}" if parts else name


def mse(value: float) -> str:
    """Five decimals, as the seed report prints; fewer digits say too little below 0.0001.

    >>> mse(0.02097), mse(1.2e-5), mse(0.0), mse(float("nan"))
    ('0.02097', '1.2e-05', '0', '-')
    """
    if not math.isfinite(value):
        return "-"
    if abs(value) < 1e-9:
        return "0"
    return f"{value:.5f}" if 1e-4 <= abs(value) < 1e3 else f"{value:.2g}"


def signed(value: float) -> str:
    """A difference of two errors, with its sign.

    >>> signed(0.002), signed(-0.0331), signed(float("nan"))
    ('+0.00200', '-0.03310', '-')
    """
    return f"{value:+.5f}" if math.isfinite(value) else "-"


def short(value: Any) -> str:
    """A number in three digits, anything else as it is.

    >>> short(0.00214159), short(float("nan")), short("silu")
    ('0.00214', '-', 'silu')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.3g}" if math.isfinite(value) and not _whole(value) else count(value)


def count(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "-"


def escape(words: str) -> str:
    """Words from a file as Markdown text: no markup, no HTML, one line."""
    plain = " ".join(words.split())
    for mark in "\\*_[]|`":
        plain = plain.replace(mark, "\\" + mark)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cell(words: str) -> str:
    """Text that may hold markup of ours, safe inside a table's row."""
    return " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")


_PARAMETER_WORDS = {"l1": "L1", "l2": "L2"}
_BEST_KEYS = [
    "latent_size",
    "configuration",
    "preset",
    "trial",
    "state",
    "epochs",
    "validation_mse",
    "validation_std",
    "test_mse",
    "test_std",
    "seeds",
    "pca_components",
    "pca_test_mse",
    "mean_image_test_mse",
    "seed_report_test_loss",
    "test_over_pca",
    "parameters",
]


def _best_row(run: Run, size: int, winner: Winner | None) -> dict[str, Any]:
    pca = run.pca(size)
    row = {
        "latent_size": size,
        "pca_components": pca.components or math.nan,
        "pca_test_mse": pca.test_mse,
        "mean_image_test_mse": run.mean_image.test_mse,
        "seed_report_test_loss": BEST_TEST_LOSS.get(size, math.nan),
    }
    if winner is None:
        numbers = (
            "epochs",
            "validation_mse",
            "validation_std",
            "test_mse",
            "test_std",
            "test_over_pca",
        )
        return {
            **row,
            **dict.fromkeys(numbers, math.nan),
            "seeds": 0,
            "configuration": "",
            "preset": "",
            "trial": "",
            "state": "",
            "parameters": "",
        }
    return {
        **row,
        "configuration": in_words(winner.preset, winner.parameters),
        "preset": winner.preset,
        "trial": winner.trial,
        "state": winner.state,
        "epochs": winner.epochs,
        "seeds": winner.seeds,
        "validation_mse": winner.validation_mse,
        "test_mse": winner.test_mse,
        "validation_std": winner.std.get("validation_mse", math.nan),
        "test_std": winner.std.get("test_mse", math.nan),
        "test_over_pca": math.nan if pca.exact else _ratio(winner.test_mse, pca.test_mse),
        "parameters": json.dumps(winner.parameters, sort_keys=True, default=str),
    }


def _preset_row(result: PresetResult, state: str) -> dict[str, Any]:
    theirs = reported(result.preset)
    return {
        "kind": "preset",
        "model": result.preset,
        "trial": result.trial,
        "state": state,
        "latent_size": result.latent_size,
        "epochs": result.epochs,
        "train_loss": result.train_loss,
        "seed_report_train_loss": theirs.train_loss,
        "train_mse": result.train_mse,
        "validation_mse": result.validation_mse,
        "test_mse": result.test_mse,
        "seed_report_test_loss": theirs.test_loss,
        "gap": result.test_mse - result.train_loss,
        "seed_report_gap": theirs.test_loss - theirs.train_loss,
    }


def _floor_rows(run: Run) -> list[dict[str, Any]]:
    """The floors as rows without a network: only their own two errors are known."""
    floors = [("mean image", math.nan, run.mean_image)]
    floors += [
        (f"PCA, {floor.components} components", size, floor)
        for size in run.latent_sizes
        if (floor := run.pca(size)).components
    ]
    return [
        {
            **_preset_row(PresetResult("", latent_size=size), ""),
            "kind": "floor",
            "model": label,
            "validation_mse": floor.validation_mse,
            "test_mse": floor.test_mse,
        }
        for label, size, floor in floors
    ]


def _theirs(row: Row, which: str) -> str:
    value = row[f"seed_report_{which}_loss"]
    if math.isfinite(value):
        return mse(value)
    model = reported(row["model"])
    return model.train_words if which == "train" else model.test_words


def _spread(row: Row, which: str, seeds: bool = False) -> str:
    """Mean and deviation; the number of seeds where it belongs to the reading."""
    value, std = row[f"{which}_mse"], row[f"{which}_std"]
    shown = mse(value)
    if shown == "-" or not row["seeds"]:
        return shown if shown == "-" else f"{shown} (search)"
    if row["seeds"] > 1 and math.isfinite(std):
        shown += f" ± {mse(std)}"
    return shown + (f" ({row['seeds']} seed{'s' * (row['seeds'] > 1)})" if seeds else "")


def _ratio(value: float, floor: float) -> float:
    return value / floor if floor > 0 else math.nan


def _whole(value: float) -> bool:
    return float(value).is_integer() and abs(value) < 1e6


def _says_something(value: Any) -> bool:
    """Not absent, zero or switched off."""
    if isinstance(value, (int, float)):
        return bool(value) and math.isfinite(value)
    return bool(value) and value != "none" and isinstance(value, str)
