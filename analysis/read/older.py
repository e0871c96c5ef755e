"""What run folders of earlier versions lack, filled in once, so that the rest reads one form.

They have no `decision` in epochs.csv, a free text as `reason` in trials.csv, and in run.json no
rungs and no state `ended by its time budget`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.read.values import column, finite, mapping, number, text
from search.record.schema import (
    CONTINUE,
    DIVERGED,
    ERROR,
    LAST,
    NOT_FINITE,
    PROMOTE,
    PRUNED,
    REASON_DIVERGED,
    REASON_EXCEPTION,
    REASON_MEMORY,
    REASON_SCHEDULER,
    REASON_STUCK,
    REASON_TIME,
    REASON_WORKER,
    REASONS,
    SAMPLED,
    SEARCH_INTERRUPTED,
    SEARCH_OUT_OF_TIME,
    SPARE,
    STOP,
    TIME_LIMIT,
)

REDUCTION_FACTOR = 3  # of every search before run.json recorded it

_WORDS_OF = (  # of a free text, and its reason code
    ("it took ", REASON_TIME),
    ("others did better", REASON_SCHEDULER),
    ("ProbeTooLarge", REASON_MEMORY),
    ("no progress for", REASON_STUCK),
    ("worker process has died", REASON_WORKER),
)
_REASON_OF = {PRUNED: REASON_SCHEDULER, DIVERGED: REASON_DIVERGED, ERROR: REASON_EXCEPTION}


def complete_info(info: Mapping[str, Any], retrained: bool) -> dict[str, Any]:
    """run.json with its rungs, and with the state that an end by the time budget has today;
    `retrained`: whether final.json has winners."""
    settings, found = mapping(info.get("settings")), dict(info)
    budget = finite(settings.get("time_budget_s"), math.inf)
    in_time = finite(info.get("seconds"), 0.0) < budget
    if text(info.get("state")) == SEARCH_INTERRUPTED and retrained and not in_time:
        found["state"] = SEARCH_OUT_OF_TIME
    if "rungs" not in info:
        factor = finite(info.get("reduction_factor"), REDUCTION_FACTOR)
        found["rungs"] = _rungs(settings, int(factor))
    return found


def _rungs(settings: Mapping[str, Any], factor: int) -> list[int]:
    """As Ray sets them: grace, 3 grace, 9 grace, ... below the last epoch, where nothing is
    decided. None where the settings do not say grace and last epoch."""
    grace, last = (number(settings.get(f"{name}_epochs")) for name in ("grace", "max"))
    if not (grace >= 1 and last < math.inf and factor > 1):
        return []
    found = [int(grace)]
    while found[-1] < last:
        found.append(found[-1] * factor)
    return found[:-1]


def complete_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """trials.csv with reason codes, and the texts as details."""
    texts = trials["reason"]
    known = texts.isin(REASONS)
    codes = trials["state"].map(_REASON_OF).fillna("")
    for words, code in _WORDS_OF:
        codes = codes.mask(texts.str.contains(words, regex=False), code)
    details = trials["detail"].mask((trials["detail"] == "") & ~known, texts)
    return trials.assign(reason=codes.mask(known, texts), detail=details)


def complete_epochs(
    epochs: pd.DataFrame, trials: pd.DataFrame, info: Mapping[str, Any]
) -> pd.DataFrame:
    """epochs.csv with a decision after each epoch that has none recorded, worked out as ASHA made
    it: sampled trials are judged at rungs, and a control trial is outside of them once spared."""
    known = trials.drop_duplicates("id").set_index("id")
    state, reason, preset = (
        epochs["id"].map(known[name]) for name in ("state", "reason", "preset")
    )
    spared_at = epochs["id"].map(column(known, "spared_at")).astype(float)  # also of no epochs
    ended = epochs["epoch"] == epochs.groupby("id")["epoch"].transform("max")
    finite = np.isfinite(column(epochs, text(info.get("metric"))))
    if "train_loss" in epochs:
        finite &= np.isfinite(column(epochs, "train_loss"))
    last = number(mapping(info.get("settings")).get("max_epochs"))
    rung = epochs["epoch"].isin(info["rungs"]) & preset.isin([SAMPLED, ""])
    decisions = np.select(
        [
            epochs["decision"] != "",
            ~finite,
            epochs["epoch"] >= last,
            ended & (state == PRUNED) & (reason == REASON_TIME),
            ended & (state == PRUNED),
            rung & (epochs["epoch"] == spared_at),
            rung & ~(epochs["epoch"] > spared_at),
        ],
        [epochs["decision"], NOT_FINITE, LAST, TIME_LIMIT, STOP, SPARE, PROMOTE],
        CONTINUE,
    )
    return epochs.assign(decision=decisions)
