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
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.training.augmentation import Affine, augment
from models.training.contrast import CONTRASTS, Contrast
from models.training.noise import NOISES, NoiseName
from models.training.replay import Replay, seeded_default

EVALUATION_BATCH = 512
GPU_EVALUATION_BATCH = 5000  # a quarter of a GiB for the default network
WARMUP_STEPS = 50
CONSTANT_STEPS = 1000
TRAINING_ONLY = "training_only"  # a submodule that is trained, and is not in `weights`
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
    warp: float = 0.0  # strength for an autoencoder's input; its target is not warped
    auxk: float = 0.0  # weight of the loss that revives units, see models.training.dead_units
    contrastive_weight: float = 0.0  # of the loss of two views; 0: none
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
        if self.noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(NOISES)}, got {self.noise!r}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")


class Objective(Protocol):
    """The loss that a training minimises, and the metrics that it records."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of the result of `measure`."""
        ...

    def loss(self, network: Any, images: Tensor, labels: Tensor, generator: Generator, /) -> Tensor:
        """The loss on augmented images (B, C, H, H) with labels (B,). May be recorded, see
        `models.training.replay`: no `.item()`, no branch on a value of a tensor."""
        ...

    def measure(self, network: Any, data: Any) -> dict[str, float | Tensor]:
        """The metrics of a network in evaluation mode, as numbers or as tensors without
        dimensions; all nan if the error is not finite."""
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

    A run that is stopped after e epochs equals a full run of e epochs, so ASHA compares final
    results of equal budgets. A cosine or one-cycle schedule must know the last epoch: a stopped run
    would be measured while its rate is still large, and large rates would look worse than they are.
    Here nothing depends on `max_epochs`. The rate warms up, stays constant for `CONSTANT_STEPS`
    and then falls with the inverse square root of the step (the "infinite" schedule of Zhai et al.
    2022, arXiv:2106.04560). The measured weights are an average over the last part of the steps so
    far (the power-function average of Karras et al. 2024, arXiv:2312.02696, eq. 5), which has the
    effect of annealing.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        objective: Objective,
        training: TrainingConfig,
        data: TrainingData,
        replay: bool = True,
    ):
        """`build` makes the network; it draws the first weights from torch's random state, which
        is seeded here. Without `replay` a GPU gets one kernel at a time."""
        self.objective, self.training, self.data = objective, training, data
        device = data.device
        self._generator = Generator(device)
        self._replay = Replay(self._train_step, self._generator)
        if not replay:
            self._replay.refusal = "it was not asked for"
        with self._replay.stream():
            with seeded_default(_seed(training.seed, 0)):
                self.network = build()
            self.network.to(device).to(memory_format=torch.channels_last)
            self.average = copy.deepcopy(self.network).requires_grad_(False)
            self._prepare_step()
        self._recorded = objective
        self.epoch = 0

    def _prepare_step(self) -> None:
        """The optimiser, and the tensors that a step reads and writes."""
        training, device = self.training, self.data.device
        cuda = device.type == "cuda"
        images = len(self.data.train)
        size = min(training.batch_size, images)
        self._order = torch.zeros(-(-images // size), size, dtype=torch.int64, device=device)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._step = torch.zeros((), dtype=torch.float64, device=device)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        # The fused optimiser reads the rate as float32 on a GPU and as float64 on a CPU.
        kind = torch.float32 if cuda else torch.float64
        self._learning_rate = torch.tensor(training.learning_rate, dtype=kind, device=device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self._learning_rate,
            betas=(0.9, 0.99),
            weight_decay=training.l2,
            fused=True,
            capturable=cuda,
        )

    @property
    def step(self) -> int:
        """The steps taken so far."""
        return int(self._step)

    @property
    def plain_because(self) -> str | None:
        """Why a GPU gets one kernel at a time; None if it replays steps, and on a CPU."""
        return self._replay.refusal

    def epochs(self) -> Iterator[dict[str, float]]:
        """Train the remaining epochs, up to `max_epochs`; yield a record after each."""
        while self.epoch < self.training.max_epochs:
            yield self._next_record()

    def _next_record(self) -> dict[str, float]:
        with self._replay.stream():
            start = time.perf_counter()
            train_loss = self._train_epoch()
            seconds = time.perf_counter() - start
            with self._replay.alone():
                measured = self._measure()
                # One transfer from the device for all numbers of the epoch
                loss, *values = torch.stack([train_loss, *_tensors(measured, train_loss)]).tolist()
            self.epoch += 1
        if not math.isfinite(loss):
            values = [math.nan] * len(values)
        return {
            "epoch": self.epoch,
            "train_loss": loss,
            **dict(zip(measured, values, strict=True)),
            "images_per_s": len(self.data.train) / seconds,
        }

    def state_dict(self) -> dict:
        """Everything that the next epoch and `weights` need, in tensors and plain containers."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned; `epochs` continues with the next epoch."""
        self.epoch = state["epoch"]
        with self._replay.stream():
            self._step.fill_(state["step"])
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:  # the state holds a rate of its own
            group.update(lr=self._learning_rate, capturable=self.data.device.type == "cuda")
        self._replay.forget()

    def weights(self) -> dict[str, Tensor]:
        """The averaged weights that the last record measured, as a state dict on the CPU."""
        return {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in self.average.state_dict().items()
            if not name.startswith(f"{TRAINING_ONLY}.")
        }

    def _train_epoch(self) -> Tensor:
        """Train one epoch; return the mean of the minimised loss."""
        seed = _seed(self.training.seed, self.epoch + 1)
        self._generator.manual_seed(seed)
        self.network.train()
        if self.objective != self._recorded:
            self._recorded = self.objective
            self._replay.forget()
        steps = len(self._order)
        self._order.copy_(_filled(self.data.epoch(self._generator), self._order.shape))
        self._position.zero_()
        self._loss_sum.zero_()
        self._replay.run(steps, seed)
        return self._loss_sum / steps

    def _train_step(self) -> None:
        """One step. It may be recorded and replayed, see `models.training.replay`."""
        training, generator = self.training, self._generator
        rows = self._order.index_select(0, self._position).flatten()
        affine = Affine.of_strength(training.affine)
        images = augment(self.data.batch(rows), affine, training.elastic, generator)
        self._position += 1
        self._step += 1
        self._learning_rate.copy_(training.learning_rate * _rate(self._step))
        loss = self.objective.loss(self.network, images, self.data.labels[rows], generator)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self._update_average()
        self._loss_sum += loss.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        moved = 1 - (1 - 1 / self._step) ** (AVERAGE_POWER + 1)
        averages: list[Tensor] = list(self.average.parameters())
        weights: list[Tensor] = list(self.network.parameters())
        if self.data.device.type == "cpu":
            for average, weight in zip(averages, weights, strict=True):
                average.lerp_(weight, moved.to(weight.dtype))
            return
        # Three kernels for all weights: no single kernel takes the factor as a tensor.
        difference = list(torch._foreach_sub(weights, averages))  # type: ignore[arg-type]
        torch._foreach_mul_(difference, moved.float())
        torch._foreach_add_(averages, difference)  # type: ignore[arg-type]

    def _measure(self) -> dict[str, float | Tensor]:
        """The objective's metrics, of the averaged weights."""
        self._estimate_batch_statistics()
        self.average.eval()
        with torch.no_grad():
            return self.objective.measure(self.average, self.data)

    def _estimate_batch_statistics(self) -> None:
        """Compute the batch-norm statistics of the averaged weights on clean images, as Izmailov et
        al. 2018 (arXiv:1803.05407) do. Those of the training come from other weights and noise."""
        norms = [m for m in self.average.modules() if isinstance(m, _BatchNorm)]
        self.average.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        with torch.no_grad(), autocast(self.data.device):
            for number, rows in enumerate(_batches(self.data.reference, EVALUATION_BATCH), 1):
                for norm in norms:
                    norm.momentum = 1 / number  # a plain average over the batches
                self.average(self.data.batch(rows))


def evaluation_batch(device: torch.device) -> int:
    """Images that are measured at a time. A GPU wants few large batches: 10,000 images of the
    default network take 4.7 ms in one batch and 51 ms in twenty (docs/benchmarks)."""
    return EVALUATION_BATCH if device.type == "cpu" else GPU_EVALUATION_BATCH


def _batches(rows: Tensor, size: int) -> tuple[Tensor, ...]:
    """Split `rows` into parts of `size`. A last part of a single image is left out: a batch norm
    divides by the variance, which a single image does not have."""
    parts = rows.split(size)
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) == 1 else parts


def _filled(order: Tensor, shape: torch.Size) -> Tensor:
    """The order of an epoch as whole batches; the last is filled with the first images again, so
    that all have one shape."""
    missing = shape.numel() - len(order)
    return torch.cat([order, order[:missing]]).view(shape)


def _rate(step: Tensor) -> Tensor:
    """Factor on the learning rate at a step, counted from 1."""
    return (step / WARMUP_STEPS).clamp(max=1) * (CONSTANT_STEPS / step).sqrt().clamp(max=1)


def _seed(seed: int, epoch: int) -> int:
    """The seed of all random numbers of an epoch, so that a resumed epoch repeats exactly."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _tensors(measured: dict[str, float | Tensor], like: Tensor) -> list[Tensor]:
    return [
        value.to(like) if isinstance(value, Tensor) else torch.full_like(like, value)
        for value in measured.values()
    ]


def autocast(device: torch.device) -> torch.autocast:
    """A context that computes in bfloat16 where the device is fast at it, else in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bf16(device))


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device has bfloat16 arithmetic. Emulated bfloat16 is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(native())
