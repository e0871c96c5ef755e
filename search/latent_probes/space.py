"""What a search of probes samples: the parameters of each kind of probe, and of the steps before
it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from models.networks.autoencoder import ACTIVATIONS
from probes.classifiers.fitting import projection_config
from search.latent_probes.presets import DEFAULTS, group
from search.task.space import Space

_LDA_SHRINKAGE = FloatDistribution(1e-4, 0.5, log=True)
_FOREST = {
    "max_features": FloatDistribution(0.05, 1.0),
    "min_samples_leaf": IntDistribution(1, 4),
}
_SAMPLED: Mapping[str, Mapping[str, BaseDistribution]] = {
    "nearest-mean": {},
    "knn": {
        "neighbours": IntDistribution(1, 40),
        "temperature": FloatDistribution(0.01, 0.5, log=True),
    },
    "lda": {"lda_shrinkage": _LDA_SHRINKAGE},
    "logistic": {"inverse_l2": FloatDistribution(1e-3, 1e2, log=True)},
    "mlp": {
        "blocks": IntDistribution(1, 6),
        "width": IntDistribution(256, 1024, step=256),
        "dropout": FloatDistribution(0.0, 0.6, step=0.1),
        "input_norm": CategoricalDistribution((True, False)),
        "label_smoothing": FloatDistribution(0.0, 0.2, step=0.05),
        "l2": FloatDistribution(1e-5, 1e-1, log=True),
        "learning_rate": FloatDistribution(5e-4, 5e-3, log=True),
    },
    "random-forest": _FOREST,
    "extra-trees": _FOREST,
    "catboost": {
        "candidates": IntDistribution(5, 20, step=5),
        "tree_depth": IntDistribution(3, 7),
        "boosting_rate": FloatDistribution(0.02, 0.3, log=True),
        "l2_leaf_reg": FloatDistribution(1.0, 30.0, log=True),
        "ranker_lda": CategoricalDistribution((48, 96)),
        "lda_shrinkage": _LDA_SHRINKAGE,
    },
}
_ABOVE_0, _BELOW_1 = math.nextafter(0, 1), math.nextafter(1, 0)
_POSSIBLE: Mapping[str, tuple[float, float]] = {
    "neighbours": (1, math.inf),
    "temperature": (_ABOVE_0, math.inf),
    "lda_shrinkage": (0, 1),
    "inverse_l2": (_ABOVE_0, math.inf),
    "blocks": (1, math.inf),
    "width": (1, math.inf),
    "dropout": (0, _BELOW_1),
    "label_smoothing": (0, _BELOW_1),
    "l2": (0, math.inf),
    "l2_later": (0, math.inf),
    "learning_rate": (_ABOVE_0, math.inf),
    "max_features": (_ABOVE_0, 1),
    "min_samples_leaf": (1, math.inf),
    "candidates": (2, math.inf),
    "tree_depth": (1, 16),  # CatBoost's own limit
    "boosting_rate": (_ABOVE_0, 1),
    "l2_leaf_reg": (0, math.inf),
    "ranker_lda": (0, math.inf),
}
"""The lowest and the highest value that a fit can take."""
_NAMED: Mapping[str, tuple[str, ...]] = {
    "activation": tuple(ACTIVATIONS),
    "l2_kind": ("decoupled", "coupled"),
}
_HAVE_LDA = ("lda", "catboost")  # these contain an LDA: another one before them adds nothing


def probe_space(probes: tuple[str, ...], latent_sizes: tuple[int, ...], most_views: int) -> Space:
    """A family for each kind of probe, and a group, with its own winner, for each kind and code
    size."""
    meaning = {
        group(probe, size): {"probe": probe, "latent_size": size}
        for size in latent_sizes
        for probe in probes
    }
    families = tuple(_family(probe, latent_sizes, most_views) for probe in probes)
    return Space.of_families(families, tuple(meaning), meaning)


def check_parameters(parameters: Mapping, most_views: int) -> None:
    """Raise ValueError for a value that no fit can take. There are codes of `most_views` views of
    each drawing."""
    projection_config(parameters)
    for name, (low, high) in {**_POSSIBLE, "views": (1, most_views)}.items():
        value = parameters.get(name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} must be in [{low:.3g}, {high:.3g}], got {value}")
    for name, known in _NAMED.items():
        if name in parameters and parameters[name] not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {parameters[name]}")


def _family(probe: str, latent_sizes: tuple[int, ...], most_views: int) -> Space:
    steps: dict[str, BaseDistribution] = {
        "views": IntDistribution(1, most_views),
        "scaling": CategoricalDistribution((True, False)),
        "pca": CategoricalDistribution((0, 64, 128, 256)),
    }
    if probe not in _HAVE_LDA:
        steps["lda"] = CategoricalDistribution((0, 48, 96, 192))
        steps["shrinkage"] = FloatDistribution(1e-3, 0.5, log=True)
    distributions = {**steps, **_SAMPLED[probe]}
    constants = {k: v for k, v in DEFAULTS[probe].items() if k not in distributions}
    groups = tuple(group(probe, size) for size in latent_sizes)
    return Space(distributions, "model", groups, constants, name=probe)
