"""Training a network of the user's own: its terms of the loss, recorded after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from models.data.prepared import PreparedData
from models.networks.own import OwnConfig, try_batch
from models.training.loop import TrainingConfig, TrainingRun
from models.training.reconstruction import Probe, Reconstruction

PREFIX = "loss_"  # of the terms in a record


def own_run(
    model: OwnConfig, training: TrainingConfig, data: PreparedData, probe: Probe | None = None
) -> TrainingRun:
    """A training of a new network of one's own; `probe` measures its codes after each epoch."""
    objective = OwnReconstruction(training, try_batch(model), probe)
    return TrainingRun(model.build, objective, training, data)


@dataclass(frozen=True)
class OwnReconstruction:
    """An `Objective`: the sum of the network's own terms, plus the L1 penalty on the code. A record
    has the metrics of `Reconstruction`, and each term on training images without noise. A network
    without terms has the loss of `Reconstruction`."""

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
        if self.training.l1:
            loss = loss + self.training.l1 * network.encode(seen).abs().mean()
        return loss

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
