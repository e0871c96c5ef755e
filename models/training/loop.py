"""The training loop: a generator that yields a record per epoch.

    run = autoencoder_run(AutoencoderConfig(latent_size=32), TrainingConfig(), prepare(data))
    for record in run.epochs():
        print(record["epoch"], record["validation_mse"])

The caller stops the training by leaving the loop. Between two records, `run.state_dict()` holds all
that a new `TrainingRun` needs to continue with the same curve, and `run.weights()` gives the
weights that the last record measured. An `Objective` defines the loss and the metrics, see
`models.training.reconstruction` and `models.training.classification`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.training.augmentation import Affine, augment
from models.training.contrast import CONTRASTS, Contrast
from models.training.noise import NoiseName

EVALUATION_BATCH = 512
WARMUP_STEPS = 50
CONSTANT_STEPS = 1000
TRAINING_ONLY = "training_only"  # a submodule of this name is trained and no part of `weights`
AVERAGE_POWER = 12  # the average spans about the last 7 % of the steps taken so far


@dataclass(frozen=True)
class TrainingConfig:
    """Hyperparameters of a training. Two equal configs on equal data give equal curves.

    Raises ValueError for values out of range."""

    max_epochs: int = 20
    batch_size: int = 50
    learning_rate: float = 2e-3
    l1: float = 0.0  # weight of the mean absolute code value in an autoencoder's loss
    l2: float = 0.0  # decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101)
    noise: NoiseName = "none"  # on the input, after the augmentation, see models.training.noise
    noise_level: float = 0.0
    label_smoothing: float = 0.0  # of a classifier (Szegedy et al. 2016, arXiv:1512.00567)
    affine: float = 0.0  # strength of the augmentation, see Affine.of_strength
    elastic: float = 0.0  # pixels of bending, see models.training.augmentation.augment
    warp: float = 0.0  # of an autoencoder's input, not of its target
    auxk: float = 0.0  # weight of the loss that revives units, see models.training.dead_units
    contrastive_weight: float = 0.0  # of an autoencoder's loss of two views; 0: there is none
    contrast: Contrast = "nt-xent"  # see models.training.contrast
    temperature: float = 0.1  # of nt-xent
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.max_epochs, self.batch_size) < 1:
            raise ValueError("max_epochs and batch_size must be at least 1")
        strengths = (self.l1, self.l2, self.noise_level, self.affine, self.elastic, self.warp)
        weights = (self.auxk, self.contrastive_weight)
        if min(self.learning_rate, self.temperature) <= 0 or min(*strengths, *weights) < 0:
            raise ValueError(
                "learning_rate and temperature must be positive; penalties, noise, warps and "
                "weights not negative"
            )
        if self.contrast not in CONTRASTS:
            raise ValueError(f"contrast must be one of {', '.join(CONTRASTS)}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")


class Objective(Protocol):
    """The loss that a training minimises, and the metrics that it records."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of what `measure` returns."""
        ...

    def loss(self, network: Any, images: Tensor, labels: Tensor, generator: Generator, /) -> Tensor:
        """The loss on augmented images (B, 1, 28, 28) with labels (B,)."""
        ...

    def measure(self, network: Any, data: Any) -> dict[str, float]:
        """The metrics of a network in evaluation mode; all nan where they are not finite."""
        ...


class TrainingData(Protocol):
    """Training examples on their device, as `models.data.prepared.PreparedData` holds them."""

    @property
    def labels(self) -> Tensor: ...  # int64 (N,)
    @property
    def train(self) -> Tensor: ...  # indices of the training examples
    @property
    def reference(self) -> Tensor: ...  # indices for the batch-norm statistics
    @property
    def device(self) -> torch.device: ...
    def batch(self, indices: Tensor) -> Tensor: ...
    def epoch(self, generator: Generator) -> Tensor:
        """Indices of the examples of one epoch, in the order of training."""
        ...


class TrainingRun:
    """The training of one network, epoch by epoch.

    A run that is stopped after e epochs equals a full run of e epochs, so the numbers that ASHA
    compares are final numbers of that budget. A cosine or one-cycle schedule must know the last
    epoch: a stopped run would be measured at a rate that is still large, and a large rate would
    look worse than it is. Here nothing depends on `max_epochs`. The rate warms up, stays constant
    for `CONSTANT_STEPS` and then falls with the inverse square root of the step (the "infinite"
    schedule of Zhai et al. 2022, arXiv:2106.04560). The measured weights are an average over the
    last part of the steps so far (the power-function average of Karras et al. 2024,
    arXiv:2312.02696, eq. 5), which has the effect of annealing.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        objective: Objective,
        training: TrainingConfig,
        data: TrainingData,
    ):
        """`build` makes the network; it draws the first weights from torch's random state, which
        is seeded here."""
        self.objective, self.training, self.data = objective, training, data
        with _seeded(training.seed, 0, data.device):
            self.network = build().to(data.device).to(memory_format=torch.channels_last)
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
        """Train the epochs that are left up to `max_epochs`; yield a record after each."""
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
        """All that the next epoch and `weights` depend on, in tensors and plain containers."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue after the epoch that `state_dict` was called after."""
        self.epoch, self.step = state["epoch"], state["step"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights of the last record: a state dict of the network, on the CPU."""
        return {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in self.average.state_dict().items()
            if not name.startswith(f"{TRAINING_ONLY}.")
        }

    def _train_epoch(self) -> float:
        """Train one epoch; return the mean of the minimised loss."""
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
        """Take the batch-norm statistics of the averaged weights on clean images, as Izmailov et
        al. 2018 (arXiv:1803.05407) do: training gathers them with other weights and noise."""
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
    """`rows` in parts of `size`, without a last part of a single image: a batch norm divides by the
    variance, which a single image does not have."""
    parts = rows.split(size)
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) == 1 else parts


def _rate(step: int) -> float:
    """Factor on the learning rate at a step, counted from 1."""
    return min(1.0, step / WARMUP_STEPS) * min(1.0, math.sqrt(CONSTANT_STEPS / step))


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[torch.Generator]:
    """Every draw inside depends on (seed, epoch) alone, so a resumed epoch repeats exactly.
    Afterwards the random state of the process is as it was before."""
    value = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(value)  # dropout and initial weights
        yield torch.Generator(device).manual_seed(value)


def autocast(device: torch.device) -> torch.autocast:
    """A context that computes in bfloat16 where the device is fast at it, else in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(device))


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 natively; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(native())
