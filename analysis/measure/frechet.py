"""Frechet classifier distances of a run's winners, as final.json has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from analysis.read.runs import Group, Result
from analysis.read.values import mapping, number, text

SETS = ("reconstructions", "gaussian", "gaussian_mixture", "floor")
"""What is compared with test images: their reconstructions, samples decoded from one Gaussian and
from a mixture of Gaussians, and training images."""


@dataclass(frozen=True)
class Distance:
    """Of one set of images: the Frechet distance with its bootstrap interval, the kernel distance
    with its standard deviation, and what they were computed from."""

    frechet: float = math.nan
    low: float = math.nan
    high: float = math.nan
    kernel: float = math.nan
    kernel_std: float = math.nan
    images: float = math.nan
    rank: float = math.nan  # of the features' covariances
    dimensions: float = math.nan  # of the features
    warning: str = ""


@dataclass(frozen=True)
class Classifier:
    """The classifier in whose features distances are."""

    source: str = ""
    data: str = ""
    validation_accuracy: float = math.nan
    sha256: str = ""


@dataclass(frozen=True)
class Distances:
    """Of one winner, by the names of `SETS`."""

    size: Group
    classifier: Classifier
    sets: Mapping[str, Distance]

    @property
    def known(self) -> bool:
        return any(math.isfinite(each.frechet) for each in self.sets.values())

    def smallest(self, count: str) -> float:
        """The smallest number of images, rank or dimensions of the sets; nan if none is known."""
        values = [getattr(each, count) for each in self.sets.values()]
        return min((value for value in values if math.isfinite(value)), default=math.nan)


@dataclass(frozen=True)
class Frechet:
    """Of all winners of a run."""

    found: tuple[Distances, ...]

    @property
    def measured(self) -> list[Distances]:
        return [each for each in self.found if each.known]

    @property
    def missing(self) -> list[Group]:
        return [each.size for each in self.found if not each.known]

    @property
    def by_classifier(self) -> dict[Classifier, list[Group]]:
        """Code sizes by the classifier; only sizes of one classifier compare."""
        sizes: dict[Classifier, list[Group]] = {}
        for each in self.measured:
            sizes.setdefault(each.classifier, []).append(each.size)
        return sizes

    @property
    def warnings(self) -> dict[str, list[tuple[Group, str]]]:
        """Each warning once, with the code sizes and sets that it is about."""
        about: dict[str, list[tuple[Group, str]]] = {}
        for each in self.measured:
            for name, distance in each.sets.items():
                if distance.warning:
                    about.setdefault(distance.warning, []).append((each.size, name))
        return about


def frechet(chosen: Mapping[Group, Result]) -> Frechet:
    """Of the winners of a run; holes where nothing was measured."""
    return Frechet(tuple(_distances(size, winner) for size, winner in chosen.items()))


def _distances(size: Group, winner: Result) -> Distances:
    entry = mapping(winner.entry.get("frechet_classifier_distance"))
    sets = mapping(entry.get("distances"))
    classifier = mapping(entry.get("classifier"))
    return Distances(
        size,
        Classifier(
            text(classifier.get("source")),
            text(classifier.get("data")),
            number(classifier.get("validation_accuracy")),
            text(classifier.get("sha256")),
        ),
        {name: _distance(mapping(sets.get(name))) for name in SETS},
    )


def _distance(entry: Mapping[str, Any]) -> Distance:
    names = [each.name for each in fields(Distance) if each.name != "warning"]
    numbers = {name: number(entry.get(name)) for name in names}
    return Distance(**numbers, warning=text(entry.get("warning")))
