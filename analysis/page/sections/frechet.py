"""The report's part on Frechet classifier distances, which final.json has of each winner."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.page import blocks
from analysis.page.blocks import Block, known
from analysis.read.runs import Group, Result, Run, mapping, number, text
from analysis.tables.frames import Column, Row, Table, accuracy, count, escape, short

SETS = {
    "reconstructions": "reconstructions",
    "gaussian": "Gaussian samples",
    "gaussian_mixture": "mixture samples",
    "floor": "floor: training images",
}
"""What was compared with test images, by its name in final.json, and its words."""

_NUMBERS = ("frechet", "low", "high", "kernel", "kernel_std")


@dataclass(frozen=True)
class Distances:
    """What final.json says of one winner; `classifier` is the one in whose features it is."""

    size: Group
    classifier: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        return any(math.isfinite(number(one.get("frechet"))) for one in self.sets.values())


def distances(run: Run, chosen: Mapping[Group, Result]) -> Iterator[Block]:
    """What was measured, the table, and what keeps its numbers from being compared."""
    found = [_read(size, winner) for size, winner in chosen.items()]
    measured = [one for one in found if one.known]
    if not measured:
        yield f"Not measured in this run; `{blocks.resume_command(run)}` measures it."
        return
    yield (
        "How far images are from test images in the features of a classifier: of the test images' "
        "own reconstructions, of samples decoded from one Gaussian and from a mixture of "
        "Gaussians fitted to the codes, and of training images, the floor that a perfect "
        "generator would reach. Of the search's own network of each code size; [ ] is an interval "
        "of about 95 % from a bootstrap of the images. The distance is too large by an amount that "
        "shrinks like 1 / N: compare at equal N, and beside the floor. **This is not FID**: the "
        "features are those of our own MNIST classifier, so the numbers compare neither with an "
        "Inception FID nor with those of another classifier. The seed report computed an FID with "
        "its MNIST classifier (Task 2) but prints no number to set beside ours."
    )
    yield distance_table(found)
    missing = ", ".join(str(one.size) for one in found if not one.known)
    notes = [*_classifier_notes(measured), *_warnings(measured)]
    if missing:
        notes.append(f"Code {missing}: not measured; `{blocks.resume_command(run)}` measures it.")
    yield from blocks.bullets(notes)


def distance_table(found: list[Distances]) -> Table:
    """A row per code size; the CSV also has the kernel distances."""
    return Table(
        "frechet",
        pd.DataFrame([_row(one) for one in found]),
        (
            Column("code size", lambda row: str(row["latent_size"])),
            *(
                Column(words, lambda row, name=name: _interval(row, name))
                for name, words in SETS.items()
            ),
            Column("N", lambda row: count(row["images"])),
            Column("rank of dimensions", _rank),
        ),
    )


def _read(size: Group, winner: Result) -> Distances:
    about = mapping(winner.entry.get("frechet_classifier_distance"))
    sets = mapping(about.get("distances"))
    return Distances(
        size, mapping(about.get("classifier")), {name: mapping(sets.get(name)) for name in SETS}
    )


def _row(one: Distances) -> dict[str, Any]:
    row: dict[str, Any] = {"latent_size": one.size}
    for name, numbers in one.sets.items():
        row |= {f"{name}_{key}": number(numbers.get(key)) for key in _NUMBERS}
    for key in ("images", "rank", "dimensions"):
        values = [number(numbers.get(key)) for numbers in one.sets.values()]
        row[key] = min((value for value in values if math.isfinite(value)), default=math.nan)
    row["classifier"] = text(one.classifier.get("source"))
    row["classifier_sha256"] = text(one.classifier.get("sha256"))
    return row


def _interval(row: Row, name: str) -> str:
    value, low, high = (row[f"{name}_{key}"] for key in ("frechet", "low", "high"))
    if not math.isfinite(value):
        return "-"
    return f"{short(value)} [{short(low)}, {short(high)}]"


def _rank(row: Row) -> str:
    if not math.isfinite(row["rank"]):
        return "-"
    return f"{count(row['rank'])} of {count(row['dimensions'])}"


def _classifier_notes(measured: list[Distances]) -> Iterator[str]:
    by_sum: dict[str, list[Distances]] = {}
    for one in measured:
        by_sum.setdefault(text(one.classifier.get("sha256")), []).append(one)
    if len(by_sum) > 1:
        yield (
            "**The code sizes were measured in different classifiers, so these rows do not "
            "compare with each other.**"
        )
    for alike in by_sum.values():
        which = f"of code {', '.join(str(one.size) for one in alike)} " if len(by_sum) > 1 else ""
        yield f"The classifier {which}is {_classifier(alike[0].classifier)}"


def _classifier(classifier: Mapping[str, Any]) -> str:
    return (
        f"{known(classifier.get('source'))}, trained on "
        f"{known(classifier.get('data'))}, validation accuracy "
        f"{accuracy(number(classifier.get('validation_accuracy')))} "
        f"(sha256 {known(text(classifier.get('sha256'))[:12])})."
    )


def _warnings(measured: list[Distances]) -> Iterator[str]:
    """Each warning once, with all that it is about."""
    about: dict[str, list[str]] = {}
    for one in measured:
        for name, numbers in one.sets.items():
            if warning := text(numbers.get("warning")):
                about.setdefault(warning, []).append(f"code {one.size} {SETS[name]}")
    for warning, places in about.items():
        yield f"Warning ({', '.join(places)}): {escape(warning)}."
