"""What the seed report says of how fast its autoencoders learn, judged on a run."""

from __future__ import annotations

import math

import pandas as pd

from analysis.measure.claims.claim import (
    AGREES,
    DIFFERS,
    NOT_REACHED,
    TIE,
    UNKNOWN,
    Claim,
    missing,
)
from analysis.measure.presets import Presets
from analysis.read.seed_report import DAE, SAE, WEAK_DAE
from analysis.read.values import number

QUICK, SLOW = 0.02, 0.03
"""Errors that the report gives a time for: of its sparse, and of its denoising autoencoder."""

QUICK_EPOCHS, SLOW_EPOCHS, UNCHANGED_EPOCHS = 20, 100, 40
"""The epochs that they took, and for how many more epochs the sparse autoencoder did not change."""


def speed(ours: Presets) -> Claim:
    """The sparse model learns faster: judged by the epoch in which validation MSE first falls below
    the lower of the two errors, or below the higher error if no model reaches the lower."""
    curves = {name: ours.curve(name, "validation_mse") for name in (SAE, DAE, WEAK_DAE)}
    curves = {name: curve for name, curve in curves.items() if len(curve)}
    if SAE not in curves or len(curves) < 2:
        return missing("speed", *ours.untrained(SAE, DAE, WEAK_DAE))
    reached = {
        bound: {name: _first_below(curve, bound) for name, curve in curves.items()}
        for bound in (SLOW, QUICK)
    }
    verdict, why = _faster(reached)
    sparse = curves[SAE]
    return Claim(
        "speed",
        theirs={SAE: QUICK_EPOCHS, DAE: SLOW_EPOCHS},
        ours=reached[QUICK],
        metric="epochs",
        verdict=verdict,
        why_unknown=why,
        numbers={
            "reached": reached,
            "epochs": {name: int(curve.index[-1]) for name, curve in curves.items()},
            "images": number(ours.run.data.get("train")),  # of an epoch
            "later": [
                float(sparse.get(epoch, math.nan))
                for epoch in (QUICK_EPOCHS, QUICK_EPOCHS + UNCHANGED_EPOCHS)
            ],
        },
    )


def _faster(reached: dict[float, dict[str, float]]) -> tuple[str, str]:
    """Verdict, and why there is none."""
    for bound in (QUICK, SLOW):
        epochs = {name: e for name, e in reached[bound].items() if math.isfinite(e)}
        sparse = epochs.pop(SAE, math.inf)
        first = min(epochs.values(), default=math.inf)
        if math.isfinite(min(sparse, first)):
            if sparse == first:
                return UNKNOWN, TIE
            return (AGREES if sparse < first else DIFFERS), ""
    return UNKNOWN, NOT_REACHED


def _first_below(curve: pd.Series, bound: float) -> float:
    """The first epoch with a value below `bound`; nan if there is none."""
    return float(curve.index[curve < bound].min())
