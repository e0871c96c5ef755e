"""What the seed report says of classifiers of images (Tasks 2 and 3), judged on a run of
`search.classifiers`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from analysis.measure.claims.claim import Claim, decided, judged, matched, missing
from analysis.measure.noise import chance, t_interval
from analysis.measure.presets import Presets
from analysis.read.runs import Result, Run, winners
from analysis.read.seed_report import ANOTHER, CLASSIFIERS, CORRECTED, NAIVE, TEST_ACCURACY
from analysis.read.values import number

_ROUNDING = 0.005
"""Of the accuracies that the report prints with two digits."""

_MNIST_ROUNDING = 0.0005

_NAMES = (NAIVE, ANOTHER, CORRECTED)
_THEIR_LOSS = {model.preset: model.train_loss for model in CLASSIFIERS}
_THEIR_ACCURACY = {model.preset: model.test_accuracy for model in CLASSIFIERS}


def classifier_claims(run: Run) -> tuple[Claim, ...]:
    """The claims of Task 3 and, of a run on digits, of Task 2."""
    ours, data = Presets.of(run), run.data["name"]
    mnist = [_mnist(ours)] if data in ("mnist", "mnist5k") else []
    omniglot = [_omniglot(ours)] if data == "omniglot" else []
    return (*mnist, *omniglot, _activation_loss(ours), _activation(ours))


def _mnist(ours: Presets) -> Claim:
    """The report's first convolutional network, trained again, reaches the report's accuracy."""
    run = ours.run
    theirs = TEST_ACCURACY[run.data["name"]][0]
    reached = {
        name: ours.get(name).value("test_accuracy")
        for name in (NAIVE, CORRECTED)
        if ours.trained(name) and math.isfinite(ours.get(name).value("test_accuracy"))
    }
    if not reached:
        return missing("mnist", *ours.untrained(NAIVE, CORRECTED))
    best = next(iter(winners(run).values()), Result())
    by_chance = chance(theirs, run)
    return matched(
        "mnist",
        max(reached.values()) - theirs,
        max(by_chance, _MNIST_ROUNDING) if math.isfinite(by_chance) else _MNIST_ROUNDING,
        theirs={NAIVE: theirs},
        ours=reached,
        metric="test_accuracy",
        numbers={
            "best": best,
            "train": number(run.data.get("train")),  # images
            "test": number(run.data.get("test")),
        },
    )


def _omniglot(ours: Presets) -> Claim:
    """The same architecture reaches the report's range, each preset trained once."""
    metric, found = ours.tested(_NAMES, "accuracy")
    if not found:
        return missing("omniglot", *ours.untrained(*_NAMES))
    low, high = (
        end + side
        for end, side in zip(TEST_ACCURACY["omniglot"], (-_ROUNDING, _ROUNDING), strict=True)
    )
    outside = [name for name, value in found.items() if not low <= value <= high]
    difference = math.nan  # where some lie above and some below
    if min(found.values()) > high:
        difference = min(found.values()) - high
    elif max(found.values()) < low:
        difference = max(found.values()) - low
    return decided(
        "omniglot",
        not outside,
        noise=_ROUNDING,
        theirs=_THEIR_ACCURACY,
        ours=found,
        metric=metric,
        numbers={"outside": outside, "difference": difference},
    )


def _activation_loss(ours: Presets) -> Claim:
    """Without the activation between the dense layers the train loss is higher."""
    losses = {name: ours.own(name, "train_loss") for name in _NAMES}
    if not np.isfinite([*losses.values()]).all():
        return missing("activation_loss", *ours.untrained(*_NAMES))
    gain, noise = _beyond_twins({name: -loss for name, loss in losses.items()})
    return judged(
        "activation_loss", gain, noise, theirs=_THEIR_LOSS, ours=losses, metric="train_loss"
    )


def _activation(ours: Presets) -> Claim:
    """The activation makes accuracy better. Judged in pairs over the seeds with which both were
    trained again; without two such seeds, by the difference of the two naive models."""
    metric, found = ours.tested(_NAMES, "accuracy")
    naive, corrected = (_test_by_seed(ours.get(name)) for name in (NAIVE, CORRECTED))
    gains = [corrected[seed] - naive[seed] for seed in sorted(naive.keys() & corrected.keys())]
    if len(gains) > 1:
        mean, low, high = t_interval(gains)
        gain, noise, interval = mean, (high - low) / 2, (low, high)
    elif found:
        (gain, noise), interval = _beyond_twins(found), None
    else:
        return missing("activation", *ours.untrained(*_NAMES))
    epochs = {ours.get(name).epochs for name in (NAIVE, CORRECTED)}
    return judged(
        "activation",
        gain,
        noise,
        theirs=_THEIR_ACCURACY,
        ours=found,
        metric=metric,
        numbers={
            "interval": interval,
            "seeds": len(gains),
            "epochs": sorted(epoch for epoch in epochs if math.isfinite(epoch)),
            "deviation": ours.get(NAIVE).deviation("test_accuracy"),
        },
    )


def _beyond_twins(values: Mapping[str, float]) -> tuple[float, float]:
    """How far the third value lies beyond the first two, which are one model with two seeds, and
    how far these two differ."""
    one, other, third = (values[name] for name in _NAMES)
    nearer = max(one, other) if third > (one + other) / 2 else min(one, other)
    return third - nearer, abs(one - other)


def _test_by_seed(result: Result) -> dict[float, float]:
    found = {run.get("seed", math.nan): run.get("test_accuracy", math.nan) for run in result.runs}
    return {seed: value for seed, value in found.items() if math.isfinite(seed + value)}
