"""Tables of any section: a frame of plain numbers each, and how a row and a number are printed.

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

from analysis.read.runs import Result, Run, number
from analysis.tables.formats import (  # noqa: F401
    accuracy,
    count,
    escape,
    mse,
    plural,
    points,
    short,
    signed,
    spread,
)

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
    printed: int | None = None  # rows of the Markdown; None for all

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.frame.to_dict("records")

    def markdown(self) -> str:
        """The table in GitHub's Markdown, without a newline at its end."""
        head = [escape(column.title) for column in self.columns]
        rule = ["--:" if column.numeric else "---" for column in self.columns]
        rows = self.rows[: self.printed]
        body = [[cell(column.show(row)) for column in self.columns] for row in rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *body])

    def csv(self) -> str:
        """The numbers as CSV with a header, eight digits."""
        return self.frame.to_csv(index=False, lineterminator="\n", float_format="%.8g")


@dataclass(frozen=True)
class WideTable(Table):
    """A row per pair of `down` and `across` in the CSV; in the Markdown a row per `down`, with the
    pairs under "cells" by their `across`, and for the rest what the first pair says."""

    down: str = ""
    across: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        found: dict[Any, dict[str, Any]] = {}
        for row in super().rows:
            first = found.setdefault(row[self.down], {**row, "cells": {}})
            first["cells"][row[self.across]] = row
        return list(found.values())


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


def configuration(winner: Result | None) -> dict[str, Any]:
    """What a row of winners says of one beside its metrics; holes where there is none."""
    return {
        "configuration": in_words(winner.preset, winner.parameters) if winner else "",
        "preset": winner.preset if winner else "",
        "trial": winner.trial if winner else "",
        "state": winner.state if winner else "",
        "epochs": winner.epochs if winner else math.nan,
        "seeds": winner.seeds if winner else 0,
        "parameters": json.dumps(winner.parameters, sort_keys=True, default=str) if winner else "",
    }


CONFIGURATION = Column("configuration", lambda row: row["configuration"] or "-", numeric=False)


def in_words(preset: str, parameters: Mapping[str, Any]) -> str:
    """A configuration as a reader would say it: what is off is left out.

    >>> in_words("sampled", {"depth": 5, "width": 32, "noise": "none", "l1": 1e-05, "l2": 0})
    'sampled: depth 5, width 32, L1 1e-05'
    >>> in_words("naive", {"hidden": 128, "residual": True, "hidden_activation": False})
    '`naive`: residual blocks, hidden units 128, no activation between the dense layers'
    """
    order = [*_ORDER, *(key for key in parameters if key not in _ORDER)]
    known = {key: parameters[key] for key in order if _says_something(parameters.get(key))}
    noise, level = known.pop("noise", ""), known.pop("noise_level", 0)
    parts = [_part(key, value) for key, value in known.items() if key not in _UNSAID]
    if parameters.get("hidden_activation") is False:
        parts.append("no activation between the dense layers")
    if noise and level:
        parts.append(f"{noise} noise {short(level)} on the input")
    if known.get("activation"):
        parts.append(str(known["activation"]))
    name = preset if preset == "sampled" else f"`{preset}`"
    return f"{name}: {', '.join(parts)}" if parts else name


def cell(words: str) -> str:
    """Text that may hold markup of ours, safe inside a table's row."""
    return " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")


_ORDER = (
    "views",
    "scaling",
    "pca",
    "lda",
    "shrinkage",
    "blocks",
    "depth",
    "decoder_depth",
    "width",
    "stem",
    "residual",
    "input_norm",
    "hidden",
    "hidden_norm",
    "dropout",
    "noise",
    "noise_level",
    "l1",
    "l2",
    "l2_kind",
    "l2_later",
    "label_smoothing",
    "affine",
    "elastic",
    "learning_rate",
)
_UNSAID = ("activation", "hidden_activation", "latent_size", "model", "probe")
"""Said elsewhere, or by a rule."""

_PARAMETER_WORDS = {
    "l1": "L1",
    "l2": "L2",
    "l2_kind": "L2",
    "l2_later": "L2 later",
    "l2_leaf_reg": "L2 of leaves",
    "inverse_l2": "inverse L2",
    "scaling": "units scaled",
    "pca": "PCA",
    "lda": "LDA",
    "lda_shrinkage": "LDA shrinkage",
    "ranker_lda": "LDA of the ranker",
    "input_norm": "norm of the input",
    "min_samples_leaf": "leaves of at least",
    "residual": "residual blocks",
    "hidden": "hidden units",
    "hidden_norm": "norm between the dense layers",
}


def parameter_words(key: str) -> str:
    """A parameter's column name as words.

    >>> parameter_words("l2"), parameter_words("learning_rate")
    ('L2', 'learning rate')
    """
    return _PARAMETER_WORDS.get(key, key.replace("_", " "))


def _part(key: str, value: Any) -> str:
    words = parameter_words(key)
    return words if value is True else f"{words} {short(value)}"


def _says_something(value: Any) -> bool:
    """Not absent, zero or switched off."""
    if isinstance(value, (int, float)):
        return value is True or (value != 0 and math.isfinite(number(value)))
    return bool(value) and value != "none" and isinstance(value, str)
