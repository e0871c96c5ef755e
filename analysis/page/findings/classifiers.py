"""What the seed report's text claims of classifiers of images (Tasks 2 and 3) beside what a run
shows: a sentence per claim."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from analysis.page.findings.verdicts import (
    AGREES,
    DIFFERS,
    Presets,
    accuracy_of,
    agreement,
    differs_to,
    judgements,
    or_zero,
)
from analysis.read.runs import Result, Run, number, winners
from analysis.read.seed_report import CLASSIFIERS, TEST_ACCURACY
from analysis.tables.frames import accuracy, count, escape, mse

_ALL_IMAGES = 50_000  # of MNIST that are for training

NAIVE, ANOTHER, CORRECTED = (model.preset for model in CLASSIFIERS)


def classifier_findings(run: Run) -> Iterator[str]:
    """The claims of Task 3 (Omniglot) and, of a run on MNIST, of Task 2."""
    ours, names = Presets.of(run), (NAIVE, ANOTHER, CORRECTED)
    digits = run.data["name"] in ("mnist", "mnist5k")
    claims = {"accuracy on MNIST": _mnist(ours)} if digits else {}
    if run.data["name"] == "omniglot":
        claims["accuracy on Omniglot"] = _range(ours, names)
    claims |= {
        "the activation and train loss": _activation_loss(ours, names),
        "the activation and accuracy": _activation_accuracy(ours, names),
    }
    yield from judgements(claims, lambda left: ours.gap(left, names))


def _mnist(ours: Presets) -> Iterator[str]:
    run = ours.run
    theirs = TEST_ACCURACY[run.data["name"]][0]
    claim = f"The first convolutional network by the book reaches about {theirs:g} on MNIST"
    reached = {
        name: result.value("test_accuracy")
        for name in (NAIVE, CORRECTED)
        if ours.known(name) and math.isfinite((result := ours.results[name]).value("test_accuracy"))
    }
    best = next(iter(winners(run).values()), Result())
    if not reached:
        return
    test, images = number(run.data.get("test")), number(run.data.get("train"))
    error = 2 * math.sqrt(theirs * (1 - theirs) / test) if test > 0 else math.nan
    nearest = max(reached.values())
    gap = nearest - theirs
    verdict = AGREES if abs(gap) <= max(or_zero(error), 0.0005) else differs_to(gap)
    if verdict != AGREES and gap < 0 and images < _ALL_IMAGES:
        verdict += f", with {count(images)} of {_ALL_IMAGES} training images"
    told = ", ".join(f"`{name}` {accuracy(value)}" for name, value in reached.items())
    found = f", the best of the search {accuracy_of(best)}" if best.seeds else ""
    within = (
        f" (of {count(test)} test images ± {100 * error:.2f} points are chance)"
        if math.isfinite(error)
        else ""
    )
    yield (
        f"{claim}; ours, after {count(images)} training images: {told}{found}{within}: {verdict}."
    )


def _range(ours: Presets, names: Sequence[str]) -> Iterator[str]:
    low, high = TEST_ACCURACY["omniglot"]
    theirs = ", ".join(f"`{model.preset}` {model.test_accuracy:.2f}" for model in CLASSIFIERS)
    claim = f"The same architecture reaches {low:.2f} to {high:.2f} on Omniglot ({theirs})"
    split, found = _accuracies(ours, names)
    if not found:
        return
    told = ", ".join(
        f"`{name}` {accuracy(value)}" for name, value in zip(names, found, strict=True)
    )
    outside = [value for value in found if not low - 0.005 <= value <= high + 0.005]
    verdict = f"{DIFFERS}, {len(outside)} of {len(found)} lie outside" if outside else AGREES
    if outside and (min(found) > high or max(found) < low):
        verdict = differs_to(min(found) - high)
    yield (
        f"{claim}, on a split that it does not name; ours has {split} {told} on the split "
        f"{escape(str(ours.run.data.get('split')))}: {verdict}."
    )


def _activation_loss(ours: Presets, names: Sequence[str]) -> Iterator[str]:
    losses = [ours.own(name, "train_loss") for name in names]
    if np.isfinite(losses).all():
        told = [f"{model.train_loss:.4f}" for model in CLASSIFIERS]
        yield (
            "Without the activation between the dense layers the train loss is higher (the "
            f"report's {told[0]} and {told[1]} against {told[2]}{_other_data(ours.run)}); ours has "
            f"{mse(losses[0])} and {mse(losses[1])} against {mse(losses[2])}: "
            f"{_beyond_twins(losses, lower=True)}."
        )


def _activation_accuracy(ours: Presets, names: Sequence[str]) -> Iterator[str]:
    split, found = _accuracies(ours, names)
    if found:
        told = [f"{model.test_accuracy:.2f}" for model in CLASSIFIERS]
        yield (
            f"The activation makes accuracy slightly better (the report's {told[2]} against "
            f"{told[0]} and {told[1]}{_other_data(ours.run)}); ours, each trained once, has "
            f"{split} {accuracy(found[2])} against {accuracy(found[0])} and {accuracy(found[1])}: "
            f"{_beyond_twins(found, lower=False)}."
        )


def _beyond_twins(values: Sequence[float], lower: bool) -> str:
    """Whether the third lies beyond the first two, which are one model with two seeds, by more
    than these differ."""
    one, other, third = (-value if lower else value for value in values)
    return agreement(
        third - (max(one, other) if third > (one + other) / 2 else min(one, other)),
        abs(one - other),
    )


def _accuracies(ours: Presets, names: Sequence[str]) -> tuple[str, list[float]]:
    """Of the search's own networks on test, or on validation where one is not tested."""
    for split in ("test", "validation"):
        values = [ours.own(name, f"{split}_accuracy") for name in names]
        if np.isfinite(values).all():
            return f"{split} accuracy", values
    return "", []


def _other_data(run: Run) -> str:
    """What keeps the report's classifiers from being compared in numbers; nothing on Omniglot."""
    return (
        ""
        if run.data["name"] == "omniglot"
        else f", of Omniglot, ours of {escape(run.data['name'])}"
    )
