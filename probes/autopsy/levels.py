"""What the autopsy varies: each level changes one factor of the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from probes.autopsy.codes import AUTOENCODERS, LDA_COMPONENTS
from probes.autopsy.formulations import BOOSTING
from probes.autopsy.plan import Setting

CONTROLS = ("lda", "logistic", "1-nn")
FORESTS = ("extra-trees", "random-forest")
ALL = (*FORESTS, "catboost", *CONTROLS)


@dataclass(frozen=True)
class Level:
    """One row of the table: a factor at one of its levels, for some classifiers."""

    factor: str
    name: str
    setting: Setting
    probes: tuple[str, ...]
    question: str = "trees"  # or "boosting", "l2"
    extra: Mapping[str, Any] = field(default_factory=dict)  # options of the fit, also recorded


def all_levels(base: Setting, all_classes: int) -> list[Level]:
    """The levels of all three questions, for a set of `all_classes` classes."""
    return [
        *factor_levels(base, all_classes),
        *formulation_levels(base, all_classes),
        *l2_levels(base),
    ]


def factor_levels(base: Setting, all_classes: int) -> Iterator[Level]:
    """Why do trees fail? Each factor has the baseline among its levels."""
    few = [n for n in (10, 50, 200) if n < all_classes and n != base.classes]
    counts = sorted({*few, base.classes, all_classes})
    vary: dict[str, list[tuple[str, dict[str, Any], tuple[str, ...]]]] = {
        "registration": [("centred", {}, ALL), ("not centred", {"centred": False}, ALL)],
        "autoencoder": [
            (name, {"autoencoder": name}, ALL)
            for name in AUTOENCODERS
            if name not in ("strong L1", "untrained")
        ],
        "code size": [(str(n), {"code": n}, ALL) for n in (32, 128, 1024)],
        "rotation of the code": [
            (name, {"rotation": name}, ALL)
            for name in ("as it is", "random rotation", "PCA", f"LDA({LDA_COMPONENTS})")
        ],
        "classes": [(str(n), {"classes": n}, ALL) for n in counts],
        "drawings per class": [
            # LDA needs the spread within a class, which a single drawing does not have.
            (str(n), {"drawings": n}, tuple(p for p in ALL if n > 1 or p != "lda"))
            for n in (1, 3, 7, 14)
        ],
        "views": [(str(n), {"views": n}, ("extra-trees", *CONTROLS)) for n in (1, 10)],
        "leaf size": [(str(n), {"min_samples_leaf": n}, FORESTS) for n in (1, 3, 7)],
        "features per split": [(str(n), {"max_features": n}, FORESTS) for n in ("sqrt", 0.3, 1.0)],
        "CatBoost": [
            ("depth 6, Newton", {}, ("catboost",)),
            ("depth 3", {"depth": 3}, ("catboost",)),
            ("leaves by gradient", {"leaf_estimation": "Gradient"}, ("catboost",)),
        ],
        "mistakes": [
            ("none", {}, ALL),
            ("two sets' labels collide", {"mistake": "labels collide"}, ALL),
            ("test set numbered anew", {"mistake": "labels renumbered"}, ALL),
            ("scaling fitted on test", {"mistake": "scaling on test"}, ALL),
            ("untrained encoder", {"autoencoder": "untrained"}, ALL),
            ("code collapsed by L1", {"autoencoder": "strong L1"}, ALL),
        ],
    }
    for factor, levels in vary.items():
        for name, changes, probes in levels:
            yield Level(factor, name, replace(base, **changes), probes)


def formulation_levels(base: Setting, all_classes: int) -> Iterator[Level]:
    """Does boosting fail in other formulations too? Each has all classes and the same time."""
    setting = replace(base, classes=all_classes)
    for name in BOOSTING:
        yield Level("formulation", name, setting, (name,), "boosting")


def l2_levels(base: Setting) -> Iterator[Level]:
    """Why does stronger L2 make a perceptron worse?"""
    for kind in ("coupled", "decoupled"):
        for norm in (False, True):
            for l2 in (0.0, 1e-4, 1e-3, 1e-2, 1e-1):
                name = f"{kind}, {l2:g}{' + batch norm' if norm else ''}"
                extra = {"l2": l2, "l2_kind": kind, "batch_norm": norm}
                yield Level("L2", name, base, ("mlp",), "l2", extra)


def group_alike(levels: list[Level], seeds: int, known: set) -> list[tuple[list[Level], int]]:
    """Groups of levels that share a setting, each with a seed, so that equal fits are made once.
    All groups of a seed come before the next seed. `known` has the (question, factor, name,
    seed) that are already measured."""
    found: dict[tuple, list[Level]] = {}
    for seed in range(seeds):
        for level in levels:
            if (level.question, level.factor, level.name, seed) not in known:
                formulation = level.probes if level.question == "boosting" else ()
                key = seed, level.question, level.setting, formulation, *level.extra.items()
                found.setdefault(key, []).append(level)
    return [(alike, key[0]) for key, alike in found.items()]
