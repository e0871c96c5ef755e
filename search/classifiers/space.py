"""What a search of classifiers samples."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.task.space import Space

MODEL = "classifier"  # the only group


def classifier_space(full: bool) -> Space:
    """The space of a search; the full budget affords larger networks."""
    distributions = {
        "depth": IntDistribution(2, 12 if full else 6),
        "width": IntDistribution(16, 96 if full else 32, step=8),
        "stem": IntDistribution(0, 32 if full else 16, step=16),
        "residual": CategoricalDistribution((True, False)),
        "hidden": IntDistribution(64, 1024 if full else 512, step=64),
        "dropout": FloatDistribution(0.0, 0.6, step=0.1),
        "label_smoothing": FloatDistribution(0.0, 0.2, step=0.05),
        "hidden_norm": CategoricalDistribution((True, False)),
        "affine": FloatDistribution(0.0, 2.0, step=0.25),
        "elastic": FloatDistribution(0.0, 1.5, step=0.25),
        "noise_level": FloatDistribution(0.0, 0.2, step=0.05),
        "l2": FloatDistribution(1e-4, 1e-1, log=True),
        "learning_rate": FloatDistribution(3e-4, 5e-3, log=True),
        "activation": CategoricalDistribution(("relu", "gelu", "silu")),
    }
    constants = {"hidden_activation": True, "noise": "block", "seed_offset": 0}
    return Space(distributions, "model", (MODEL,), constants)
