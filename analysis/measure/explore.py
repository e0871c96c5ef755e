"""The trials of a run as plain data, for the part of the page that a reader sorts and filters."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis.read.commands import base_command
from analysis.read.runs import FAILED, Run, winners
from analysis.read.values import column, mapping, text
from search.record.schema import SAMPLED

NUMBER, LOG, CHOICE = "number", "log", "choice"
"""How a column is drawn: on a linear scale, on a logarithmic one, or as choices."""

MOST = 2000
"""The most trials that a browser draws without a delay; if there are more, the best are taken."""

_DIGITS = 5  # of measured values: more are noise, and weigh


def explored(run: Run) -> dict[str, Any]:
    """`columns`, and per trial a row of `rows` with a value of each and a curve of `curves`.

    A column has a `key`, a `kind` (`number`, `log` or `choice`) and whether it is a
    `parameter`; the group comes first among these, and the searched metric is `best`. A curve is
    the values of the searched metric, epoch by epoch from the first; where epochs are missing, a
    pair of epochs and values. A hole is None. `command` begins the command that trains one trial
    alone, and `fixed` are the parameters that it takes by `--set`. Of more than `MOST` trials the
    best are taken; `trials` counts them all.
    """
    trials = _taken(run).sort_values("number", kind="stable")
    searched = _searched(run)
    parameters = [run.group, *(n for n in run.parameters(dict.fromkeys(trials)) if n != run.group)]
    columns = [
        _column("number", NUMBER),
        _column("state", CHOICE),
        _column("reason", CHOICE),
        _column("preset", CHOICE),
        _column("best", _metric_kind(run)),
        *(_column(name, _kind(trials[name], searched.get(name)), True) for name in parameters),
        _column("epochs", NUMBER),
        _column("seconds", LOG),
    ]
    shown = trials.assign(
        best=run.best().loc[trials.index].map(_rounded),
        seconds=column(trials, "seconds").map(_rounded),
        preset=trials["preset"].replace("", SAMPLED),
    )
    return {
        "name": run.name,
        "trials": len(run.trials),
        "metric": run.metric,
        "maximised": run.maximised,
        "group": run.group,
        "columns": columns,
        "rows": [
            [_plain(row[each["key"]]) for each in columns] for row in shown.to_dict("records")
        ],
        "curves": _curves(run, trials["id"]),
        "failed": list(FAILED),
        "winners": sorted(_numbers(run, [each.trial for each in winners(run).values()])),
        "command": base_command(run),
        "fixed": _fixed(run, parameters),
    }


def _taken(run: Run) -> pd.DataFrame:
    by_value = (run.sign * run.best()).sort_values(kind="stable")  # holes come last
    return run.trials.loc[by_value.index[:MOST]]


def _column(key: str, kind: str, parameter: bool = False) -> dict[str, Any]:
    return {"key": key, "kind": kind, "parameter": parameter}


def _searched(run: Run) -> dict[str, Mapping[str, Any]]:
    """The attributes of each parameter's distribution, as run.json records them."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, words in mapping(mapping(run.info.get("space")).get("distributions")).items():
        try:
            found[name] = mapping(mapping(json.loads(text(words))).get("attributes"))
        except ValueError:
            continue
    return found


def _kind(values: pd.Series, searched: Mapping[str, Any] | None) -> str:
    if values.dtype.kind != "f" or "choices" in (searched or {}):
        return CHOICE
    return LOG if searched and searched.get("log") is True else NUMBER


def _metric_kind(run: Run) -> str:
    known = run.best().dropna()
    return NUMBER if run.maximised or not (known > 0).all() else LOG


def _fixed(run: Run, parameters: Iterable[str]) -> list[str]:
    """The parameters without a flag of their own: not the group, `latent_size` and `probe`."""
    flags = {run.group, "latent_size", "probe"}
    return [name for name in parameters if name not in flags]


def _curves(run: Run, ids: Iterable[str]) -> list[Any]:
    epochs = run.epochs.assign(value=column(run.epochs, run.metric))
    found = {
        trial: (curve["epoch"].astype(int).tolist(), curve["value"].map(_rounded).map(_plain))
        for trial, curve in epochs.groupby("id", sort=False)
    }
    return [_curve(*found[trial]) if trial in found else None for trial in ids]


def _curve(epochs: list[int], values: Iterable[float | None]) -> list[Any]:
    listed = list(values)
    whole = epochs == list(range(1, len(epochs) + 1))
    return listed if whole else [epochs, listed]


def _numbers(run: Run, ids: Iterable[str]) -> list[int]:
    rows = run.trials.loc[run.trials["id"].isin(list(ids)), "number"]
    return [int(number) for number in rows if math.isfinite(number)]


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else math.nan


def _plain(value: Any) -> Any:
    """A value as JSON has it: a whole number without its point, a hole as None."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if value is None or value == "":
        return None
    return value if isinstance(value, (bool, str)) else str(value)
