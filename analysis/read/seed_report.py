"""The numbers of the report this project grows from, as data.

All are as printed there. Of its autoencoders the report names neither the data set nor the loss;
mean squared error on pixels in [0, 1] fits its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class ReportedModel:
    """A row of the report's tables; nan and a few words where it prints no number."""

    preset: str
    description: str
    train_loss: float = nan
    test_loss: float = nan
    train_words: str = "-"
    test_words: str = "-"


MODELS = (
    ReportedModel(
        "dae-l1",
        "simple denoising autoencoder with L1 on the code",
        train_words="plot only",
        test_words='"worse" than the plain one',
    ),
    ReportedModel("deeper-dae", "denoising, 8 blocks, dropout 0.3", 0.08134, 0.04816),
    ReportedModel("even-deeper-dae", "denoising, more than 8 blocks", 0.0884, 0.05229),
    ReportedModel("deeper-dae-0.2", "denoising, 8 blocks, dropout 0.2", 0.05714, 0.03146),
    ReportedModel("sae", "sparse, 9 blocks and 8 back, code 1024", 0.02008, 0.02097),
    ReportedModel("deeper-sae", "sparse, more blocks", 0.03732, 0.03040),
)

SIMPLE_DAE, DAE, DEEP_DAE, WEAK_DAE, SAE, DEEP_SAE = (model.preset for model in MODELS)

SAE_MISPRINT = 0.2097
"""The SAE's test loss in one table of the report; a later table and the text say 0.02097."""

BEST_TEST_LOSS = {1024: 0.02097}
"""Best test loss by code size. The report states a code size for its SAE only."""


@dataclass(frozen=True)
class ReportedClassifier:
    """A row of the report's table of Omniglot classifiers (Task 3)."""

    preset: str
    train_loss: float
    test_accuracy: float


CLASSIFIERS = (
    ReportedClassifier("naive", 0.2055, 0.62),
    ReportedClassifier("another-naive", 0.2157, 0.60),  # the same model, trained again
    ReportedClassifier("corrected-naive", 0.0941, 0.65),  # with the activation that was missing
)

NAIVE, ANOTHER, CORRECTED = (model.preset for model in CLASSIFIERS)

TEST_ACCURACY = {"mnist": (0.995, 0.995), "mnist5k": (0.995, 0.995), "omniglot": (0.60, 0.65)}
"""Lowest and highest test accuracy by data set: of MNIST, which mnist5k is a part of (Task 2), and
of Omniglot (Task 3)."""

PROBE_ACCURACY = {"mlp": 0.45}
"""Best test accuracy of Omniglot's characters by a classifier of an autoencoder's codes."""

PROBE_WORDS = {
    "random-forest": "no usable accuracy",
    "extra-trees": "no usable accuracy",
    "catboost": "no usable accuracy",
}
"""What the report says of its forests and its boosting on codes, where it prints no number."""


def reported(preset: str) -> ReportedModel:
    """The report's row for a preset; one without numbers for a name the report lacks."""
    return next((model for model in MODELS if model.preset == preset), ReportedModel(preset, ""))
