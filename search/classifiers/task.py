"""The task of a search of classifiers: how a trial trains, and how its result is tested."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.nn import functional as F

from models.data import ImageData
from models.data.prepared import PreparedData, prepare
from models.networks.classifier import Classifier, ClassifierConfig
from models.training.classification import accuracy, classifier_run, predict
from models.training.loop import TrainingConfig, TrainingRun
from search.classifiers.presets import RETRAINED, classifier_presets
from search.classifiers.space import classifier_space
from search.session.final.mistakes import conclude_mistakes
from search.task.own import OwnSpace
from search.task.protocol import Retrained, Sources
from search.task.settings import QUICK_VALIDATION_IMAGES
from search.task.space import Preset, Space, pick

METRICS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "images_per_s",
)
MODES = {"validation_accuracy": "max", "validation_loss": "min"}


@dataclass(frozen=True)
class ClassifierTask:
    """A `search.task.protocol.Task`."""

    classes: int
    max_epochs: int
    budget: str
    metric: str = "validation_accuracy"
    metrics: tuple[str, ...] = METRICS
    checkpoints: bool = True
    seconds_per_trial: float | None = None
    kept: tuple[str, ...] = ("train_loss", "train_accuracy")
    retrained_presets: tuple[str, ...] = RETRAINED
    own: OwnSpace = OwnSpace()
    image_side: int = 28  # pixels
    image_channels: int = 1

    @property
    def mode(self) -> str:
        return MODES[self.metric]

    def default_space(self) -> Space:
        return classifier_space(full=self.budget == "full")

    def default_presets(self) -> tuple[Preset, ...]:
        return classifier_presets(self.classes)

    def space(self) -> Space:
        return self.own.space(self.default_space())

    def presets(self) -> tuple[Preset, ...]:
        return self.own.presets(self.default_presets(), self.default_space())

    def check(self, parameters: dict) -> None:
        self.configs(parameters, 0)

    def prepare(self, data: ImageData, device: str) -> PreparedData:
        # A fifth of the number of training images ranks trials well, and is cheap beside an epoch.
        limit = max(QUICK_VALIDATION_IMAGES, len(data.train) // 5)
        return prepare(data, device, validation_limit=limit)

    def start(self, parameters: dict, seed: int, prepared: PreparedData) -> TrainingRun:
        return classifier_run(*self.configs(parameters, seed), prepared)

    def configs(self, parameters: dict, seed: int) -> tuple[ClassifierConfig, TrainingConfig]:
        """The configurations that `models` takes for a trial's parameters."""
        training = {
            **parameters,
            "max_epochs": self.max_epochs,
            "seed": seed + parameters["seed_offset"],
            "batch_size": 64 if self.budget == "quick" else 128,
        }
        size = {"image_side": self.image_side, "image_channels": self.image_channels}
        model = {**parameters, **size, "classes": self.classes}
        return pick(ClassifierConfig, model), pick(TrainingConfig, training)

    def describe(self, parameters: dict, seed: int) -> dict:
        model, training = self.configs(parameters, seed)
        return {"model": asdict(model), "training": asdict(training)}

    def test(
        self, weights: dict, parameters: dict, data: ImageData, device: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Accuracy and cross-entropy on all of validation and test, and the test predictions."""
        model, _ = self.configs(parameters, 0)
        network = Classifier(model)
        network.load_state_dict(weights)
        network = network.to(device=device, memory_format=torch.channels_last)
        whole = prepare(data, device)
        metrics, predictions = {}, {}
        for split in ("validation", "test"):
            indices = getattr(data, split).to(device)
            logits, labels = predict(network, whole, indices), whole.labels[indices]
            metrics[f"{split}_accuracy"] = float(accuracy(logits, labels))
            metrics[f"{split}_loss"] = float(F.cross_entropy(logits, labels))
            predictions[split] = logits.argmax(1).cpu().numpy().astype(np.int32)
        return metrics, {"predictions": predictions["test"]}

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """None: `conclude` stores the pictures of a classifier's mistakes."""
        return {}

    def floors(self, data: ImageData) -> dict:
        from probes.codes.floors import pixel_floors  # scikit-learn, which workers do not need

        return pixel_floors(data)

    def conclude(
        self, winners: list[Retrained], data: ImageData, sources: Sources
    ) -> tuple[list[dict], dict]:
        """Accuracy by class (by alphabet if classes have one) and the confused pairs."""
        return [conclude_mistakes(winner, data) for winner in winners], {}
