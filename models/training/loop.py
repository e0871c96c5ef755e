"""How one network is trained: a generator that yields a record per epoch.

    data = prepare(load("mnist5k", "data"), device="cpu")
    run = autoencoder_run(AutoencoderConfig(depth=4, latent_size=32), TrainingConfig(), data)
    for record in run.epochs():
        print(record["epoch"], record["validation_mse"])

The caller stops it by leaving the loop. `run.state_dict()` between two records holds all that a
new `TrainingRun` needs to go on to the same curve; `run.weights()` the weights that were measured.
What the network is trained for is an `Objective`: `models.reconstruction`, `models.classification`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.training.corruption import Affine, NoiseName, augment

EVALUATION_BATCH = 512
WARMUP_STEPS = 50
CONSTANT_STEPS = 1000
AVERAGE_POWER = 12  # the average spans about the last 7 % of the steps taken so far


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained. Two equal configs on equal data give equal curves."""

    max_epochs: int = 20
    batch_size: int = 50
    learning_rate: float = 2e-3
    l1: float = 0.0  # weight of the mean absolute code unit in an autoencoder's loss
    l2: float = 0.0  # decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101)
    noise: NoiseName = "none"  # on the input, after the augmentation
    noise_level: float = 0.0
    label_smoothing: float = 0.0  # of a classifier (Szegedy et al. 2016, arXiv:1512.00567)
    affine: float = 0.0  # strength of the augmentation, see Affine.of_strength
    elastic: float = 0.0  # deviation in pixels of its bending, see models.corruption.augment
    warp: float = 0.0  # of an autoencoder's input, not of its target; see models.corruption.warp
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.max_epochs, self.batch_size) < 1:
            raise ValueError("max_epochs and batch_size must be at least 1")
        strengths = (self.l1, self.l2, self.noise_level, self.affine, self.elastic, self.warp)
        if self.learning_rate <= 0 or min(strengths) < 0:
            raise ValueError("learning_rate must be positive; penalties, noise, warps not negative")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")


class Objective(Protocol):
    """What a network is trained for, and how it is measured."""

    metrics: tuple[str, ...]  # the keys that `measure` gives

    def loss(
        self, network: nn.Module, images: Tensor, labels: Tensor, generator: Generator
    ) -> Tensor:
        """The loss to minimise on augmented images (B, 1, 28, 28) with labels (B,)."""

    def measure(self, network: nn.Module, data: TrainingData) -> dict[str, float]:
        """The metrics of a network in evaluation mode; all nan where they are not finite."""


class TrainingData(Protocol):
    """What a network is trained on; `models.prepared.PreparedData` is one."""

    labels: Tensor  # int64 (N,)
    train: Tensor  # indices of the training examples
    reference: Tensor  # those of them that batch-norm statistics are taken on

    @property
    def device(self) -> torch.device: ...
    def batch(self, indices: Tensor) -> Tensor: ...
    def epoch(self, generator: Generator) -> Tensor:
        """Indices of the examples of one epoch, in the order of training."""


class TrainingRun:
    """One network on its way through its epochs.

    Learning rate and fairness to stopped runs. ASHA compares runs before their end, and a
    schedule that must know the end (cosine, one-cycle) shows every one of them at a half-annealed
    rate, where a large rate looks worse than it will prove. Here nothing depends on `max_epochs`:
    the rate warms up, stays constant for `CONSTANT_STEPS` and then falls with the inverse square
    root of the step (Zhai et al. 2022, arXiv:2106.04560, "infinite" schedule), and every
    measurement is taken of the average of the weights over the last part of the steps so far
    (power-function average, Karras et al. 2024, arXiv:2312.02696, eq. 5), which does what
    annealing would. So a run stopped after e epochs *is* a full run of e epochs: the numbers that
    ASHA compares are final numbers of that budget, and a longer run passes through them.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        objective: Objective,
        training: TrainingConfig,
        data: TrainingData,
    ):
        """`build` makes the network, its first weights drawn from torch's own random state."""
        self.objective, self.training, self.data = objective, training, data
        with _seeded(training.seed, 0, data.device):
            self.network = build().to(device=data.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=training.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=training.l2,
            fused=True,
        )
        self.epoch = self.step = 0

    def epochs(self) -> Iterator[dict[str, float]]:
        """Train on; yield the record of each epoch until `max_epochs`."""
        while self.epoch < self.training.max_epochs:
            start = time.perf_counter()
            train_loss = self._train_epoch()
            seconds = time.perf_counter() - start
            self.epoch += 1
            yield {
                "epoch": self.epoch,
                "train_loss": train_loss,
                **self._measure(train_loss),
                "images_per_s": len(self.data.train) / seconds,
            }

    def state_dict(self) -> dict:
        """Everything the next epoch and `weights` depend on; tensors and plain containers only."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        self.epoch, self.step = state["epoch"], state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights of the last record, on the CPU: a state dict of the network."""
        return {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in self.average.state_dict().items()
        }

    def _train_epoch(self) -> float:
        """One pass over the training split; the mean loss as optimised."""
        training, data = self.training, self.data
        affine = Affine.of_strength(training.affine)
        losses = []
        with _seeded(training.seed, self.epoch + 1, data.device) as generator:
            self.network.train()
            for rows in _batches(data.epoch(generator), training.batch_size):
                images = augment(data.batch(rows), affine, training.elastic, generator)
                losses.append(self._train_step(images, data.labels[rows], generator) * len(rows))
        return float(torch.stack(losses).sum()) / len(data.train)

    def _train_step(self, images: Tensor, labels: Tensor, generator: Generator) -> Tensor:
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.learning_rate * _rate(self.step)
        loss = self.objective.loss(self.network, images, labels, generator)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self._update_average()
        return loss.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = (1 - 1 / self.step) ** (AVERAGE_POWER + 1)
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.network.parameters()), 1 - keep
        )

    def _measure(self, train_loss: float) -> dict[str, float]:
        """The objective's metrics, of the averaged weights."""
        if not math.isfinite(train_loss):
            return dict.fromkeys(self.objective.metrics, math.nan)
        self._estimate_batch_statistics()
        self.average.eval()
        with torch.no_grad():
            return self.objective.measure(self.average, self.data)

    def _estimate_batch_statistics(self) -> None:
        """Batch-norm statistics of the averaged weights on clean images: those gathered in
        training are of other weights and of noised input (as after weight averaging in
        Izmailov et al. 2018, arXiv:1803.05407)."""
        norms = [m for m in self.average.modules() if isinstance(m, _BatchNorm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average over the batches
        self.average.eval()
        for norm in norms:
            norm.train()
        with torch.no_grad(), autocast(self.data.device):
            for rows in _batches(self.data.reference, EVALUATION_BATCH):
                self.average(self.data.batch(rows))


def _batches(rows: Tensor, size: int) -> tuple[Tensor, ...]:
    """`rows` in parts of `size`; a last part of one image, which has no variance for a batch norm
    to divide by, is left out."""
    parts = rows.split(size)
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) == 1 else parts


def _rate(step: int) -> float:
    """Factor on the learning rate at a step, counted from 1."""
    return min(1.0, step / WARMUP_STEPS) * min(1.0, math.sqrt(CONSTANT_STEPS / step))


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[torch.Generator]:
    """Every draw inside depends on (seed, epoch) alone, so a resumed epoch repeats exactly;
    the process's own random state is left as it was."""
    value = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(value)  # dropout and initial weights
        yield torch.Generator(device).manual_seed(value)


def autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(device))


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is native there; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(native())
