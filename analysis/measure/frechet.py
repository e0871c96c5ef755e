"""Frechet classifier distances of a run's winners, read from final.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.read.runs import Group, Result
from analysis.read.values import mapping, number, text

SETS = ("reconstructions", "gaussian", "gaussian_mixture", "floor")
"""The images that are compared with test images: their reconstructions, samples decoded from one
Gaussian and from a mixture of Gaussians, and training images."""

_NUMBERS = ("frechet", "low", "high", "kernel", "kernel_std")
_COUNTS = ("images", "rank", "dimensions")


@dataclass(frozen=True)
class Frechet:
    """`frame` has a row per code size: for each of SETS the distance with its bootstrap interval
    and the kernel distance (`floor_frechet`, `floor_low`, ...), the smallest number of images and
    rank, and the classifier in whose features distances are. `warnings` has the code sizes and sets
    that each warning is about."""

    frame: pd.DataFrame
    warnings: Mapping[str, list[tuple[Group, str]]]

    @property
    def measured(self) -> pd.DataFrame:
        return self.frame.dropna(subset=["images"]) if len(self.frame) else self.frame

    @property
    def missing(self) -> list[Group]:
        return [*self.frame.drop(self.measured.index).get("latent_size", ())]

    @property
    def by_classifier(self) -> list[list[dict[str, Any]]]:
        """The measured rows of each classifier; only rows of one classifier compare."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in self.measured.to_dict("records"):
            groups.setdefault(row["classifier_sha256"], []).append(row)
        return [*groups.values()]


def frechet(chosen: Mapping[Group, Result]) -> Frechet:
    """Of the winners of a run; holes where nothing was measured."""
    rows, warnings = [], dict[str, list[tuple[Group, str]]]()
    for size, winner in chosen.items():
        entry = mapping(winner.entry.get("frechet_classifier_distance"))
        known = mapping(entry.get("distances"))
        sets = {name: mapping(known.get(name)) for name in SETS}
        rows.append(_row(size, mapping(entry.get("classifier")), sets))
        for name, each in sets.items():
            if warning := text(each.get("warning")):
                warnings.setdefault(warning, []).append((size, name))
    return Frechet(pd.DataFrame(rows), warnings)


def _row(
    size: Group, classifier: Mapping[str, Any], sets: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    measured = [each for each in sets.values() if math.isfinite(number(each.get("frechet")))]
    return {
        "latent_size": size,
        **{f"{name}_{key}": number(sets[name].get(key)) for name in SETS for key in _NUMBERS},
        **{
            key: min((number(each.get(key)) for each in measured), default=math.nan)
            for key in _COUNTS
        },
        "classifier": text(classifier.get("source")),
        "classifier_data": text(classifier.get("data")),
        "classifier_accuracy": number(classifier.get("validation_accuracy")),
        "classifier_sha256": text(classifier.get("sha256")),
    }
