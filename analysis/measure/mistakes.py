"""The errors of the best classifier of a search: accuracy by class, and confused classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.read.pictures import read_images
from analysis.read.runs import Result, Run, Skipped
from analysis.read.values import RunError, entries, number, numbers, text


@dataclass(frozen=True)
class Confused:
    """A class that was taken for another, `times` of `of` times over all seeds."""

    wanted: str
    taken_for: str
    times: float
    of: float

    @property
    def share(self) -> float:
        return self.times / self.of if self.of else math.nan


@dataclass(frozen=True)
class Mistakes:
    """The mistakes of the retrained networks of one configuration on test images.

    `by_kind` has the accuracy of each class or alphabet, the worst first; it is empty, and
    `confused` is None, where nothing was retrained. `images` are three arrays (pairs, *image) in
    [0, 1]: an image that was mistaken, one of its class, and one of the class it was taken for.
    """

    kind: str  # "class" or "alphabet"
    overall: float
    by_kind: tuple[tuple[str, float], ...]
    confused: tuple[Confused, ...] | None
    images: Sequence[np.ndarray] | Skipped


def mistakes(run: Run, best: Result) -> Mistakes:
    confused = None
    if isinstance(best.entry.get("confused"), list):
        confused = tuple(
            Confused(
                text(entry.get("class")),
                text(entry.get("taken_for")),
                number(entry.get("times")),
                number(entry.get("of")),
            )
            for entry in entries(best.entry, "confused")
        )
    accuracies = numbers(best.entry.get("accuracy_by"))
    known = [(name, value) for name, value in accuracies.items() if math.isfinite(value)]
    return Mistakes(
        kind_of(run),
        best.value("test_accuracy"),
        tuple(sorted(known, key=lambda entry: (entry[1], entry[0]))),
        confused,
        _images(run, best, len(confused or ())),
    )


def kind_of(run: Run) -> str:
    """What accuracies are given for: each alphabet of Omniglot, else each class."""
    return "alphabet" if run.data["name"] == "omniglot" else "class"


def _images(run: Run, best: Result, pairs: int) -> Sequence[np.ndarray] | Skipped:
    """The pictures of a winner's folder, or why they cannot be shown."""
    file = f"best/{best.group}/confusions.npz"
    try:
        images = read_images(run, file, ("mistaken", "class", "taken_for")) if pairs else []
    except RunError as error:
        return Skipped("confusions.png", str(error))
    if images and len(images[0]) != pairs:
        reason = f"{file} holds {len(images[0])} pairs, final.json {pairs}"
        return Skipped("confusions.png", reason)
    return images
