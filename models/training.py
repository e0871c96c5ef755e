"""How one autoencoder is trained: a generator that yields a record per epoch.

    data = prepare(load("mnist5k", "data"), device="cpu")
    run = TrainingRun(AutoencoderConfig(depth=4, latent_size=32), TrainingConfig(), data)
    for record in run.epochs():
        print(record["epoch"], record["validation_mse"])

The caller stops it by leaving the loop. `run.state_dict()` between two records holds all that a
new `TrainingRun` needs to go on to the same curve; `run.weights()` the weights that were measured.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.autoencoder import Autoencoder, AutoencoderConfig
from models.codes import active_fraction, effective_rank
from models.corruption import Affine, NoiseName, corrupt, random_affine
from models.data import ImageData

REFERENCE_IMAGES = 768  # training images on which the error without noise is measured
PROBE_IMAGES = 640  # training images whose codes the probe learns from, or an eighth if more
EVALUATION_BATCH = 512
WARMUP_STEPS = 50
CONSTANT_STEPS = 1000
AVERAGE_POWER = 12  # the average spans about the last 7 % of the steps taken so far

Probe = Callable[[Tensor, Tensor, Tensor, Tensor], float]
"""(codes, labels, validation codes, validation labels) -> validation accuracy"""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained. Two equal configs on equal data give equal curves."""

    max_epochs: int = 20
    batch_size: int = 50
    learning_rate: float = 2e-3
    l1: float = 0.0  # weight of the mean absolute code unit in the loss
    l2: float = 0.0  # decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101)
    noise: NoiseName = "none"
    noise_level: float = 0.0
    affine: float = 0.0  # strength of the augmentation, see Affine.of_strength
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.max_epochs, self.batch_size) < 1:
            raise ValueError("max_epochs and batch_size must be at least 1")
        if self.learning_rate <= 0 or min(self.l1, self.l2, self.noise_level, self.affine) < 0:
            raise ValueError("learning_rate must be positive; penalties and noise not negative")


@dataclass(frozen=True)
class PreparedData:
    """A data set on its device, with the fixed subsets that every record is measured on."""

    images: Tensor  # uint8 (N, 28, 28)
    labels: Tensor  # int64 (N,)
    train: Tensor  # int64 indices, as the others
    validation: Tensor
    reference: Tensor  # of the training split, for the error without noise and batch statistics
    probe_train: Tensor  # of the training split, whole classes
    probe_validation: Tensor  # positions in `validation` of the same classes

    @property
    def device(self) -> torch.device:
        return self.images.device

    def batch(self, indices: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) in [0, 1], channels last."""
        pixels = self.images[indices].unsqueeze(1).float().div_(255)
        return pixels.contiguous(memory_format=torch.channels_last)


def prepare(
    data: ImageData, device: torch.device | str = "cpu", validation_limit: int | None = None
) -> PreparedData:
    """Move `data` to `device` once and choose its fixed subsets (the same for every trial).

    `validation_limit` bounds the validation images measured each epoch; the choice is seeded.
    """
    rng = np.random.default_rng(0)
    validation = _subset(data.validation, validation_limit or len(data.validation), rng)
    reference = _subset(data.train, REFERENCE_IMAGES, rng)
    probe_train = _class_subset(data, max(PROBE_IMAGES, len(data.train) // 8), rng)
    known = torch.isin(data.labels[validation], data.labels[probe_train])
    tensors = (
        data.images,
        data.labels,
        data.train,
        validation,
        reference,
        probe_train,
        known.nonzero().flatten(),
    )
    return PreparedData(*(tensor.to(device) for tensor in tensors))


def _subset(indices: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    if size >= len(indices):
        return indices
    return indices[torch.from_numpy(np.sort(rng.permutation(len(indices))[:size]))]


def _class_subset(data: ImageData, size: int, rng: np.random.Generator) -> Tensor:
    """About `size` training images: every class in a small set, whole classes of a large one."""
    labels = data.labels[data.train].numpy()
    classes, counts = np.unique(labels, return_counts=True)
    wanted = math.ceil(size / min(64, counts.max()))
    chosen = np.sort(rng.permutation(classes)[:wanted])
    per_class = math.ceil(size / len(chosen))
    picked = [np.flatnonzero(labels == label)[:per_class] for label in chosen]
    return data.train[torch.from_numpy(np.sort(np.concatenate(picked)))]


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
        model: AutoencoderConfig,
        training: TrainingConfig,
        data: PreparedData,
        probe: Probe | None = None,
    ):
        self.training, self.data, self.probe = training, data, probe
        with _seeded(training.seed, 0, data.device):
            self.network = _build(model, data.device)
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
        """The averaged weights of the last record, on the CPU: a state dict of `Autoencoder`."""
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
            order = torch.randperm(len(data.train), generator=generator, device=data.device)
            self.network.train()
            for rows in order.split(training.batch_size):
                target = random_affine(data.batch(data.train[rows]), affine, generator)
                noised = corrupt(target, training.noise, training.noise_level, generator)
                losses.append(self._train_step(noised, target) * len(rows))
        return float(torch.stack(losses).sum()) / len(data.train)

    def _train_step(self, images: Tensor, target: Tensor) -> Tensor:
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.learning_rate * _rate(self.step)
        with _autocast(self.data.device):
            outputs, codes = self.network(images)
        loss = F.mse_loss(outputs, target)
        if self.training.l1:
            loss = loss + self.training.l1 * codes.float().abs().mean()
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

    @torch.no_grad()
    def _measure(self, train_loss: float) -> dict[str, float]:
        """The record's metrics, of the averaged weights, noise and dropout off."""
        names = (
            "train_mse",
            "validation_mse",
            "probe_accuracy",
            "active_fraction",
            "effective_rank",
        )
        if not math.isfinite(train_loss):
            return dict.fromkeys(names, math.nan)
        data = self.data
        self._estimate_batch_statistics()
        train_mse, _ = evaluate(self.average, data, data.reference)
        validation_mse, codes = evaluate(self.average, data, data.validation)
        if not math.isfinite(validation_mse):
            return dict.fromkeys(names, math.nan)
        return dict(
            zip(
                names,
                (
                    train_mse,
                    validation_mse,
                    self._probe_accuracy(codes),
                    active_fraction(codes),
                    effective_rank(codes),
                ),
                strict=True,
            )
        )

    def _estimate_batch_statistics(self) -> None:
        """Batch-norm statistics of the averaged weights on clean images: those gathered in
        training are of other weights and of noised input (as after weight averaging in
        Izmailov et al. 2018, arXiv:1803.05407)."""
        norms = [m for m in self.average.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain average over the batches
        self.average.eval()
        for norm in norms:
            norm.train()
        with _autocast(self.data.device):
            for rows in self.data.reference.split(EVALUATION_BATCH):
                self.average(self.data.batch(rows))
        self.average.eval()

    def _probe_accuracy(self, validation_codes: Tensor) -> float:
        if self.probe is None:
            return math.nan
        data = self.data
        train_codes = encode(self.average, data, data.probe_train)
        chosen = data.probe_validation
        return self.probe(
            train_codes,
            data.labels[data.probe_train],
            validation_codes[chosen],
            data.labels[data.validation[chosen]],
        )


@torch.no_grad()
def evaluate(network: Autoencoder, data: PreparedData, indices: Tensor) -> tuple[float, Tensor]:
    """Mean squared error per pixel over the images at `indices` and their codes (N, D), float32.

    The network is put in evaluation mode: no dropout, no noise.
    """
    network.eval()
    squares, codes = [], []
    for rows in indices.split(EVALUATION_BATCH):
        images = data.batch(rows)
        with _autocast(data.device):
            outputs, code = network(images)
        squares.append((outputs - images).square().sum())
        codes.append(code.float())
    pixels = len(indices) * data.images[0].numel()
    return float(torch.stack(squares).double().sum()) / pixels, torch.cat(codes)


@torch.no_grad()
def encode(network: Autoencoder, data: PreparedData, indices: Tensor) -> Tensor:
    """Codes (N, D), float32, of the images at `indices`."""
    network.eval()
    with _autocast(data.device):
        return torch.cat(
            [network.encode(data.batch(rows)).float() for rows in indices.split(EVALUATION_BATCH)]
        )


def _build(config: AutoencoderConfig, device: torch.device) -> Autoencoder:
    return Autoencoder(config).to(device=device, memory_format=torch.channels_last)


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


def _autocast(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(device))


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is native there; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(native())
