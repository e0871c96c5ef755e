"""What the seed report's text claims of how fast its autoencoders learn, beside a run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.page.findings.verdicts import AGREES, DAE, DIFFERS, SAE, WEAK_DAE, Presets, change
from analysis.read.runs import column, number
from analysis.tables.frames import count, mse, plural

QUICK, SLOW = 0.02, 0.03
"""Errors that the report times: of its sparse autoencoder, and of its denoising one."""

QUICK_EPOCHS, SLOW_EPOCHS, UNCHANGED_EPOCHS = 20, 100, 40


def speed_finding(ours: Presets) -> Iterator[str]:
    claim = (
        f"The sparse one learns faster: the report's had {QUICK:g} on test after {QUICK_EPOCHS} "
        f"epochs, unchanged {UNCHANGED_EPOCHS} epochs later, its denoising one {SLOW:g} only "
        f"after {SLOW_EPOCHS}"
    )
    measured = {name: column(ours.curve(name), "validation_mse") for name in (SAE, DAE, WEAK_DAE)}
    names = [name for name, values in measured.items() if np.isfinite(values).any()]
    if SAE not in names or len(names) < 2:
        return
    told = "; ".join(f"`{name}` {_reached(ours.curve(name))}" for name in names)
    images = number(ours.run.data.get("train"))
    epoch = f" (an epoch is {count(images)} images)" if math.isfinite(images) else ""
    yield (
        f"{claim}; validation MSE of ours{epoch}: {told}{_later(ours.curve(SAE))}: "
        f"{_faster(ours, names[1:])}."
    )


def _reached(curve: pd.DataFrame) -> str:
    """When validation first fell below the two errors that the report times."""
    told = []
    for bound in (SLOW, QUICK):
        epoch = _first_below(curve, bound)
        if not math.isfinite(epoch):
            told.append(f"not below {bound:g} in {plural(_last(curve), 'epoch')}")
            break
        told.append(f"below {bound:g} from epoch {count(epoch)}")
    return ", ".join(told)


def _last(curve: pd.DataFrame) -> int:
    return int(curve["epoch"].max())


def _later(curve: pd.DataFrame) -> str:
    """How much changes in the 40 epochs after the 20th, where a run is so long."""
    values = pd.Series(column(curve, "validation_mse").to_numpy(), curve["epoch"].to_numpy())
    ends = [values.get(QUICK_EPOCHS + more, math.nan) for more in (0, UNCHANGED_EPOCHS)]
    if not np.isfinite(ends).all():
        return ""
    return (
        f"; `{SAE}` goes from {mse(ends[0])} in epoch {QUICK_EPOCHS} to {mse(ends[1])} "
        f"{UNCHANGED_EPOCHS} epochs later ({change(*ends)})"
    )


def _faster(ours: Presets, denoising: Sequence[str]) -> str:
    """By the epoch of the lower error, or of the higher one where none gets to that."""
    for bound in (QUICK, SLOW):
        sparse, *others = (_first_below(ours.curve(name), bound) for name in (SAE, *denoising))
        first = min((epoch for epoch in others if math.isfinite(epoch)), default=math.inf)
        if math.isfinite(sparse) and sparse == first:
            return "ours shows **neither**, for both get there in the same epoch"
        if math.isfinite(sparse) or math.isfinite(first):
            return AGREES if sparse < first else DIFFERS
    return "none gets there, so ours cannot say"


def _first_below(curve: pd.DataFrame, bound: float) -> float:
    """The first epoch with a validation MSE below `bound`; nan if there is none."""
    return float(curve.loc[column(curve, "validation_mse") < bound, "epoch"].min())
