"""Training a network of the user's own: its terms of the loss, recorded after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from models.data.prepared import PreparedData
from models.networks.own import OwnConfig, try_batch
from models.training.contrast import Projection
from models.training.loop import TRAINING_ONLY, TrainingConfig, TrainingRun
from models.training.reconstruction import Probe, Reconstruction

PREFIX = "loss_"  # of the terms in a record


def own_run(
    model: OwnConfig, training: TrainingConfig, data: PreparedData, probe: Probe | None = None
) -> TrainingRun:
    """A training of a new network of the user's own; `probe` measures its codes after each
    epoch."""
    objective = OwnReconstruction(training, try_batch(model), probe)
    return TrainingRun(partial(_build, model, training), objective, training, data)


def _build(model: OwnConfig, training: TrainingConfig) -> Any:
    """A new network. What only its training needs is in the submodule TRAINING_ONLY."""
    network = model.build()
    if training.contrastive_weight:
        parts = nn.ModuleDict({"projection": Projection(model.latent_size)})
        network.add_module(TRAINING_ONLY, parts)
    return network


@dataclass(frozen=True)
class OwnReconstruction:
    """An `Objective`: the sum of the network's own terms, plus what `Reconstruction` asks of the
    codes. A record has the metrics of `Reconstruction`, and each term on training images without
    noise. A network without terms has the loss of `Reconstruction`."""

    training: TrainingConfig
    terms: tuple[str, ...]
    probe: Probe | None = None

    @cached_property
    def _usual(self) -> Reconstruction:
        return Reconstruction(self.training, self.probe)

    @property
    def metrics(self) -> tuple[str, ...]:
        return (*self._usual.metrics, *(f"{PREFIX}{term}" for term in self.terms))

    def loss(self, network: Any, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        if not self.terms:
            return self._usual.loss(network, images, labels, generator)
        seen = self._usual.view(images, generator)
        loss = torch.stack(list(network.losses(seen, images).values())).sum()
        if not (self.training.l1 or self.training.contrastive_weight):
            return loss
        return self._usual.penalised(loss, network, images, network.encode(seen), generator)

    def measure(self, network: Any, data: PreparedData) -> dict[str, float | Tensor]:
        found = self._usual.measure(network, data)
        if not self.terms:
            return found
        images = data.batch(data.reference)
        devices = [data.device] if data.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):  # a term may sample; a resume must repeat it
            torch.manual_seed(0)
            terms = network.losses(images, images)
        return {**found, **{f"{PREFIX}{name}": terms[name].mean() for name in self.terms}}
