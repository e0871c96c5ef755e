"""A multilayer perceptron on codes, trained by `TrainingRun`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from models.networks.autoencoder import ACTIVATIONS
from models.training.loop import TrainingConfig, TrainingRun, autocast
from probes.classifiers.staged import StagedClassifier

REFERENCE_ROWS = 2048  # on which batch-norm statistics are computed
SCORING_ROWS = 4096


@dataclass(frozen=True)
class PerceptronConfig:
    """The network and its regularisation. Raises ValueError for values out of range."""

    blocks: int = 2  # of linear, batch norm, activation, dropout; a linear layer follows the last
    width: int = 512
    dropout: float = 0.2
    input_norm: bool = True  # batch norm on the code
    hidden_norm: bool = True  # batch norm in the blocks
    activation: Literal["relu", "gelu", "silu"] = "silu"
    label_smoothing: float = 0.1
    l2: float = 0.01
    l2_kind: Literal["decoupled", "coupled"] = "decoupled"
    l2_later: float | None = None  # l2 in the second half of the training; None: the same l2
    learning_rate: float = 2e-3
    batch_size: int = 128

    def __post_init__(self) -> None:
        if min(self.blocks, self.width) < 1:
            raise ValueError("blocks and width must be at least 1")
        if self.l2_kind not in ("decoupled", "coupled"):
            raise ValueError(f"l2_kind must be decoupled or coupled, got {self.l2_kind!r}")


@dataclass(frozen=True)
class CodeRows:
    """Codes as `TrainingData`. An epoch is `per_epoch` random rows. If each drawing has
    several views, that is about one view of each."""

    codes: Tensor  # (N, D)
    labels: Tensor  # int64 (N,)
    per_epoch: int

    @property
    def device(self) -> torch.device:
        return self.codes.device

    @property
    def train(self) -> Tensor:
        return torch.arange(self.per_epoch, device=self.device)

    @property
    def reference(self) -> Tensor:
        return torch.arange(min(REFERENCE_ROWS, len(self.codes)), device=self.device)

    def batch(self, indices: Tensor) -> Tensor:
        return self.codes[indices].float()

    def epoch(self, generator: Generator) -> Tensor:
        order = torch.randperm(len(self.codes), generator=generator, device=self.device)
        return order[: self.per_epoch]


@dataclass(frozen=True)
class CrossEntropy:
    """An `Objective`. Coupled L2 adds half the sum of the squared parameters, times
    `coupled_l2`, to the loss. So Adam rescales its gradient too, as in `torch.optim.Adam`.
    With decoupled L2 the optimiser shrinks the weights itself (Loshchilov and Hutter 2019,
    arXiv:1711.05101)."""

    label_smoothing: float
    coupled_l2: float
    metrics: tuple[str, ...] = ()

    def loss(self, network: nn.Module, codes: Tensor, labels: Tensor, generator: Generator):
        with autocast(codes.device):
            logits = network(codes)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)
        if self.coupled_l2:
            squares = sum(weight.square().sum() for weight in network.parameters())
            loss = loss + 0.5 * self.coupled_l2 * squares
        return loss

    def measure(self, network: nn.Module, data: CodeRows) -> dict[str, float | Tensor]:
        return {}


class Perceptron(StagedClassifier):
    """A stage is an epoch of `rows_per_epoch` random rows (None: all rows)."""

    def __init__(
        self,
        config: PerceptronConfig,
        stages: int = 20,
        rows_per_epoch: int | None = None,
        seed: int = 0,
        device: str = "cpu",
    ):
        self.config = config
        self.stages = stages
        self.rows_per_epoch = rows_per_epoch
        self.seed = seed
        self.device = device

    def _stages(self, X: np.ndarray, y: np.ndarray, groups) -> Iterator[float]:
        rows = CodeRows(
            torch.from_numpy(np.ascontiguousarray(X)).to(self.device),
            torch.from_numpy(y).to(self.device),
            min(self.rows_per_epoch or len(X), len(X)),
        )
        run = TrainingRun(
            lambda: build_network(self.config, X.shape[1], len(self.classes_)),
            self._objective(),
            self._training(),
            rows,
        )
        if self.stage_:
            run.load_state_dict(self._resumed)
        self._run, self.network_, self._features = run, run.average, X.shape[1]
        for record in run.epochs():
            yield record["train_loss"]
            run.objective = self._objective()

    def _training(self) -> TrainingConfig:
        config = self.config
        return TrainingConfig(
            max_epochs=self.stages,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            l2=config.l2 if config.l2_kind == "decoupled" else 0.0,
            seed=self.seed,
        )

    def _objective(self) -> CrossEntropy:
        config = self.config
        l2 = config.l2
        if config.l2_later is not None and self.stage_ >= self.stages // 2:
            l2 = config.l2_later
        return CrossEntropy(config.label_smoothing, l2 if config.l2_kind == "coupled" else 0.0)

    @torch.no_grad()
    def decision_function(self, X: np.ndarray) -> np.ndarray:
        self.network_.eval()
        codes = torch.from_numpy(np.ascontiguousarray(X))
        device = next(self.network_.parameters()).device
        with autocast(device):
            parts = [self.network_(rows.to(device).float()) for rows in codes.split(SCORING_ROWS)]
        return torch.cat(parts).float().cpu().numpy()

    def weights(self) -> dict[str, Tensor]:
        network = {f"network.{name}": value for name, value in self._run.weights().items()}
        return super().weights() | network | {"features": torch.tensor(self._features)}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        super().load_weights(weights)
        self.network_ = build_network(self.config, int(weights["features"]), len(self.classes_))
        self.network_.load_state_dict(
            {
                name.removeprefix("network."): value
                for name, value in weights.items()
                if name.startswith("network.")
            }
        )

    def state_dict(self) -> dict:
        return super().weights() | {"run": self._run.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        super().load_weights(state)
        self._resumed = state["run"]

    def memory_bytes(self, rows: int, features: int, classes: int) -> int:
        """The memory of the codes in float32, the parameters, their gradients, their averages and
        Adam's moments."""
        width = self.config.width
        parameters = width * (features + width * (self.config.blocks - 1) + classes)
        return 4 * rows * features + 5 * 4 * parameters


def build_network(config: PerceptronConfig, features: int, classes: int) -> nn.Sequential:
    """Maps codes (B, features) to logits (B, classes)."""
    layers: list[nn.Module] = [nn.BatchNorm1d(features)] if config.input_norm else []
    inputs = features
    for _ in range(config.blocks):
        layers.append(nn.Linear(inputs, config.width))
        layers += [nn.BatchNorm1d(config.width)] if config.hidden_norm else []
        layers += [ACTIVATIONS[config.activation](), nn.Dropout(config.dropout)]
        inputs = config.width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))
