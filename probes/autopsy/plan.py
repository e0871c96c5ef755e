"""How much the autopsy measures, and what a single fit depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    dataset: str
    data_dir: str
    out: Path
    seeds: int
    classes: int  # in the baseline
    epochs: int  # to train each autoencoder
    seconds: float  # time limit of boosting
    forest_seconds: float  # time limit of a forest
    formulation_seconds: float  # time limit of each formulation of boosting
    jobs: int  # number of processes


@dataclass(frozen=True)
class Setting:
    """All that a fit depends on, apart from the classifier and the seed. The defaults are the
    baseline."""

    centred: bool = True
    autoencoder: str = "affine and masking"
    code: int = 128  # units
    rotation: str = "as it is"
    classes: int = 200
    drawings: int = 14  # of each class, at most
    views: int = 1
    min_samples_leaf: int = 1
    max_features: float | str = "sqrt"
    depth: int = 6  # of CatBoost's trees
    leaf_estimation: str = "Newton"
    mistake: str = ""
