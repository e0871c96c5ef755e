"""What a search of autoencoders samples."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from models.networks.code_activation import CODE_ACTIVATIONS
from models.training.contrast import CONTRASTS
from models.training.noise import NOISES
from search.task.space import Space


def autoencoder_space(latent_sizes: tuple[int, ...], full: bool, for_probes: bool) -> Space:
    """The space of a search at these code sizes.

    full: with the full budget, which affords larger networks. for_probes: whether the search
    improves what a classifier can read from the code, and not the image.

    Every regulariser can be off: zero is a step of its grid, or the low end of its log scale is
    as good as zero."""
    distributions = {
        "depth": IntDistribution(2, 14 if full else 9),
        "width": IntDistribution(16, 96 if full else 32, step=8),
        "dropout": FloatDistribution(0.0, 0.3, step=0.05),
        "noise": CategoricalDistribution(NOISES),
        "noise_level": FloatDistribution(0.0, 0.3, step=0.05),
        "l1": FloatDistribution(1e-8, 1e-2, log=True),
        "l2": FloatDistribution(1e-6, 1e-1, log=True),
        "affine": FloatDistribution(0.0, 1.0, step=0.25),
        "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
        "activation": CategoricalDistribution(("relu", "gelu", "silu")),
        "linear_path": CategoricalDistribution((False, True)),
        "code_activation": CategoricalDistribution(CODE_ACTIVATIONS),
        "kept_units": IntDistribution(4, 128, log=True),  # of topk alone
        "auxk": FloatDistribution(0.0, 0.5, step=0.03125),  # of topk alone
    }
    constants: dict = {"decoder_depth": None}
    if for_probes:
        distributions |= {
            "warp": FloatDistribution(0.0, 1.5, step=0.25),
            "contrastive_weight": FloatDistribution(0.0, 0.5, step=0.05),
            "contrast": CategoricalDistribution(CONTRASTS),
            "temperature": FloatDistribution(0.05, 0.5, log=True),
            "batch_size": IntDistribution(50, 400, log=True),  # the term compares within a batch
        }
    else:  # both can only raise the error
        constants |= {"warp": 0.0, "contrastive_weight": 0.0}
    return Space(distributions, "latent_size", latent_sizes, constants)
