"""Training a classifier: cross-entropy of the class of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from models.data.prepared import PreparedData
from models.networks.classifier import Classifier, ClassifierConfig
from models.training.loop import TrainingConfig, TrainingRun, autocast, evaluation_batch
from models.training.noise import corrupt


def classifier_run(
    model: ClassifierConfig, training: TrainingConfig, data: PreparedData
) -> TrainingRun:
    """A training of a new classifier, which takes the size of its images from `data`."""
    model = replace(model, image_side=data.side, image_channels=data.channels)
    return TrainingRun(partial(Classifier, model), Classification(training), training, data)


@dataclass(frozen=True)
class Classification:
    """An `Objective`: cross-entropy in nats. Training uses noise and label smoothing, the metrics
    use neither. Accuracies are fractions."""

    training: TrainingConfig
    metrics: tuple[str, ...] = ("train_accuracy", "validation_loss", "validation_accuracy")

    def loss(
        self, network: Classifier, images: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor:
        training = self.training
        noised = corrupt(images, training.noise, training.noise_level, generator)
        with autocast(images.device):
            logits = network(noised)
        return F.cross_entropy(logits.float(), labels, label_smoothing=training.label_smoothing)

    def measure(self, network: Classifier, data: PreparedData) -> dict[str, float | Tensor]:
        train = predict(network, data, data.reference)
        validation = predict(network, data, data.validation)
        wanted = data.labels[data.validation]
        loss = F.cross_entropy(validation, wanted).double()
        values = (accuracy(train, data.labels[data.reference]), loss, accuracy(validation, wanted))
        nan = torch.full_like(loss, math.nan)
        return {
            name: torch.where(loss.isfinite(), value, nan)
            for name, value in zip(self.metrics, values, strict=True)
        }


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The fraction of rows of logits (N, classes) whose largest value is at the label (N,), as a
    float64 tensor without dimensions."""
    return (logits.argmax(1) == labels).double().mean()


@torch.no_grad()
def predict(network: Classifier, data: PreparedData, indices: Tensor) -> Tensor:
    """Logits (N, classes), float32, of the images at `indices`. Puts the network in evaluation
    mode."""
    network.eval()
    with autocast(data.device):
        return torch.cat(
            [
                network(data.batch(rows)).float()
                for rows in indices.split(evaluation_batch(data.device))
            ]
        )
