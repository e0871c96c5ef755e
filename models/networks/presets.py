"""The networks of the seed report (docs/seed-report.md), as data.

Of autoencoders it gives the number of blocks, the dropout of its denoising models, and the code
size of the sparse model. What it leaves out (width, learning rate, strength of the penalties, how
many "more layers" are) is chosen here, the same for all models of a family. Where the report says
"denoising" without a noise, the noise drops each pixel of the input with the same probability as
the channels between the blocks.
"""

from __future__ import annotations

from types import MappingProxyType

_COMMON = {
    "decoder_depth": None,
    "width": 16,
    "latent_size": 1024,
    "dropout": 0.0,
    "activation": "relu",
    "linear_path": False,
    "learning_rate": 2e-3,
    "l1": 0.0,
    "l2": 0.0,
    "noise": "none",
    "noise_level": 0.0,
    "affine": 0.0,
    "warp": 0.0,
    "code_activation": "linear",
    "kept_units": 64,
    "auxk": 0.0,
    "contrastive_weight": 0.0,
    "contrast": "nt-xent",
    "temperature": 0.1,
}


def _denoising(depth: int, dropout: float, l1: float = 0.0) -> MappingProxyType:
    return MappingProxyType(
        {
            **_COMMON,
            "depth": depth,
            "dropout": dropout,
            "l1": l1,
            "noise": "dropout",
            "noise_level": dropout,
        }
    )


def _sparse(depth: int) -> MappingProxyType:
    return MappingProxyType({**_COMMON, "depth": depth, "l1": 1e-4})


AUTOENCODER_PRESETS = MappingProxyType(
    {
        "dae-l1": _denoising(depth=3, dropout=0.3, l1=1e-4),
        "deeper-dae": _denoising(depth=8, dropout=0.3),
        "even-deeper-dae": _denoising(depth=12, dropout=0.3),
        "deeper-dae-0.2": _denoising(depth=8, dropout=0.2),
        "sae": _sparse(depth=9),  # 9 blocks in the encoder, hence 8 in the decoder
        "deeper-sae": _sparse(depth=13),
    }
)
"""Name -> every parameter of AutoencoderConfig and TrainingConfig that the model sets."""

SPARSE_PRESETS = MappingProxyType(
    {
        "sae-relu": MappingProxyType({**_sparse(9), "code_activation": "relu"}),
        "top-k": MappingProxyType(
            {**_COMMON, "depth": 9, "code_activation": "topk", "auxk": 0.03125}
        ),
    }
)
"""The same for sparse models that the report lacks: its `sae` with units that L1 makes zero, and a
code of which the 64 largest units stay (`auxk` is 1/32, the weight of Gao et al. 2024)."""

_UNWARPING = {
    **_COMMON,
    "depth": 6,
    "width": 32,
    "activation": "silu",
    "noise": "block",
    "noise_level": 0.2,
    "affine": 0.5,
    "warp": 1.0,
}

AUTOENCODER_STARTS = MappingProxyType(
    {
        "linear-path": MappingProxyType(
            {**_COMMON, "depth": 4, "width": 32, "activation": "silu", "linear_path": True}
        ),
        "unwarping": MappingProxyType(_UNWARPING),
        "contrastive": MappingProxyType(
            {**_UNWARPING, "contrastive_weight": 0.2, "batch_size": 256}
        ),
    }
)
"""The same for good starts of a search that are not in the report: `linear-path` for a low error,
`unwarping` and `contrastive` for codes that a classifier can read. A search sets the code size
itself."""

_REPORTED_CLASSIFIER = {
    "depth": 3,
    "width": 32,
    "stem": 0,
    "residual": False,
    "hidden": 128,
    "hidden_norm": False,
    "hidden_activation": True,
    "dropout": 0.3,
    "activation": "relu",
    "learning_rate": 1e-3,
    "l2": 0.0,
    "label_smoothing": 0.0,
    "affine": 0.0,
    "elastic": 0.0,
    "noise": "none",
    "noise_level": 0.0,
    "seed_offset": 0,
}

CLASSIFIER_PRESETS = MappingProxyType(
    {
        "naive": MappingProxyType({**_REPORTED_CLASSIFIER, "hidden_activation": False}),
        "another-naive": MappingProxyType(
            {**_REPORTED_CLASSIFIER, "hidden_activation": False, "seed_offset": 1000}
        ),
        "corrected-naive": MappingProxyType(_REPORTED_CLASSIFIER),
    }
)
"""Name -> every parameter of ClassifierConfig (except `classes`) and TrainingConfig that the model
sets, and what is added to the seed. The report's classifiers of Omniglot have a few blocks, and two
fully connected layers with dropout between them. The naive models have no activation there.
"""

_AUGMENTED = {
    **_REPORTED_CLASSIFIER,
    "stem": 16,
    "hidden_norm": True,
    "activation": "silu",
    "l2": 0.05,
}

CLASSIFIER_STARTS = MappingProxyType(
    {
        "augmented": MappingProxyType(
            {
                **_AUGMENTED,
                "depth": 4,
                "hidden": 256,
                "learning_rate": 2e-3,
                "label_smoothing": 0.05,
                "affine": 0.5,
            }
        ),
        "residual": MappingProxyType(
            {
                **_AUGMENTED,
                "depth": 6,
                "residual": True,
                "hidden": 512,
                "dropout": 0.2,
                "learning_rate": 1.5e-3,
                "label_smoothing": 0.1,
                "affine": 1.0,
                "elastic": 1.0,
            }
        ),
    }
)
"""The same for accurate starts of a search that are not in the report: `augmented` for few classes
with thousands of images each, `residual` for many classes with a dozen."""
