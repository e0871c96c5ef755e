"""Training an autoencoder: the error of its output against the image without noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from models.data.prepared import PreparedData
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.augmentation import warp
from models.training.code_statistics import active_fraction, effective_rank
from models.training.loop import TrainingConfig, TrainingRun, autocast, evaluation_batch
from models.training.noise import corrupt

# Takes codes, labels, validation codes and validation labels; returns the validation accuracy
Probe = Callable[[Tensor, Tensor, Tensor, Tensor], float]


def autoencoder_run(
    model: AutoencoderConfig,
    training: TrainingConfig,
    data: PreparedData,
    probe: Probe | None = None,
) -> TrainingRun:
    """A training of a new autoencoder; `probe` measures its codes after each epoch."""
    return TrainingRun(partial(Autoencoder, model), Reconstruction(training, probe), training, data)


@dataclass(frozen=True)
class Reconstruction:
    """An `Objective`: mean squared error per pixel against the image without noise and warp, plus
    the L1 penalty on the code. The metrics are measured without noise and dropout; `effective_rank`
    and `active_fraction` are those of `code_statistics`."""

    training: TrainingConfig
    probe: Probe | None = None  # None: `probe_accuracy` is nan
    metrics: tuple[str, ...] = (
        "train_mse",
        "validation_mse",
        "probe_accuracy",
        "active_fraction",
        "effective_rank",
    )

    def loss(
        self, network: Autoencoder, images: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor:
        training = self.training
        warped = warp(images, training.warp, generator)
        noised = corrupt(warped, training.noise, training.noise_level, generator)
        with autocast(images.device):
            outputs, codes = network(noised)
        loss = F.mse_loss(outputs, images)
        if training.l1:
            loss = loss + training.l1 * codes.float().abs().mean()
        return loss

    def measure(self, network: Autoencoder, data: PreparedData) -> dict[str, float | Tensor]:
        train_mse, _ = evaluate(network, data, data.reference)
        validation_mse, codes = evaluate(network, data, data.validation)
        values = (
            train_mse,
            validation_mse,
            torch.full_like(validation_mse, self._probe_accuracy(network, data, codes)),
            active_fraction(codes),
            effective_rank(codes),
        )
        finite = validation_mse.isfinite()
        nan = torch.full_like(validation_mse, math.nan)
        return {
            name: torch.where(finite, value, nan)
            for name, value in zip(self.metrics, values, strict=True)
        }

    def _probe_accuracy(
        self, network: Autoencoder, data: PreparedData, validation_codes: Tensor
    ) -> float:
        if self.probe is None:
            return math.nan
        chosen = data.probe_validation
        return self.probe(
            encode(network, data, data.probe_train),
            data.labels[data.probe_train],
            validation_codes[chosen],
            data.labels[data.validation[chosen]],
        )


@torch.no_grad()
def evaluate(network: Autoencoder, data: PreparedData, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error per pixel of the images at `indices`, a float64 tensor of no dimension,
    and their codes (N, D), float32.

    Puts the network in evaluation mode.
    """
    network.eval()
    squares, codes = [], []
    for rows in indices.split(evaluation_batch(data.device)):
        images = data.batch(rows)
        with autocast(data.device):
            outputs, code = network(images)
        squares.append((outputs - images).square().sum())
        codes.append(code.float())
    pixels = len(indices) * data.images[0].numel()
    return torch.stack(squares).double().sum() / pixels, torch.cat(codes)


@torch.no_grad()
def encode(network: Autoencoder, data: PreparedData, indices: Tensor) -> Tensor:
    """Codes (N, D), float32, of the images at `indices`."""
    network.eval()
    with autocast(data.device):
        return torch.cat(
            [
                network.encode(data.batch(rows)).float()
                for rows in indices.split(evaluation_batch(data.device))
            ]
        )
