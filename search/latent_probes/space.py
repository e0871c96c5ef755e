"""What a search of probes samples: the parameters of each kind of probe, and of the steps before
it."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

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
