"""The shortest way to train a network: it takes configs and a data set, and yields records."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from models.data import ImageData
from models.data.prepared import prepare
from models.networks.autoencoder import AutoencoderConfig
from models.networks.classifier import ClassifierConfig
from models.training.classification import classifier_run
from models.training.loop import TrainingConfig
from models.training.reconstruction import autoencoder_run


def train(
    model: AutoencoderConfig | ClassifierConfig,
    training: TrainingConfig,
    data: ImageData,
    device: torch.device | str = "cpu",
) -> Iterator[dict[str, float]]:
    """Train a new network; yield a record after each epoch.

    A record has `epoch`, `train_loss`, `images_per_s` and the metrics of `Reconstruction` or
    `Classification`, measured on the training and the validation split. `autoencoder_run` and
    `classifier_run` give the run itself, which has the weights and can be saved and resumed.
    """
    prepared = prepare(data, device)
    if isinstance(model, ClassifierConfig):
        yield from classifier_run(model, training, prepared).epochs()
    else:
        yield from autoencoder_run(model, training, prepared).epochs()
