"""The classifier of MNIST digits in whose features Frechet classifier distances are measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from models.data import DataError, ImageData, load
from models.data.cache import weights_digest
from models.data.prepared import prepare
from models.networks.classifier import Classifier, ClassifierConfig
from models.training.classification import classifier_run
from models.training.loop import TrainingConfig

DIGITS = ("mnist", "mnist5k")  # the better first; both hold images of MNIST
SMALL = ClassifierConfig(classes=10, depth=3, width=16, hidden=64, activation="silu")
SMALL_TRAINING = TrainingConfig(max_epochs=5, batch_size=64, affine=0.5, l2=0.01)
SMALL_IMAGES = 10_000  # of MNIST's, where they are on disk


@dataclass(frozen=True)
class Extractor:
    """A classifier and its origin, which every distance must name: distances in the features of
    different classifiers cannot be compared."""

    network: Classifier
    source: str  # its run, or that it was trained for this purpose
    data: str  # the set it was trained on
    validation_accuracy: float

    def summary(self) -> dict:
        """What a run records about it, as JSON takes it."""
        return {
            "source": self.source,
            "data": self.data,
            "validation_accuracy": self.validation_accuracy,
            "sha256": weights_digest(self.network),
        }


def find_extractor(runs: Path, data_dir: str | Path) -> Extractor:
    """The best MNIST classifier among the run folders in `runs`: one of full MNIST before one of
    mnist5k, then by validation accuracy. Without any, trains a small classifier, in less than a
    minute on a CPU."""
    for *_, folder in sorted(_candidates(runs)):
        try:
            return _read(folder)
        except Exception:  # torch raises nearly anything for a damaged file
            continue
    return train_extractor(data_dir)


def train_extractor(data_dir: str | Path) -> Extractor:
    """A small classifier of at most 10,000 images of MNIST, or of mnist5k without MNIST."""
    data = _digits(data_dir)
    run = classifier_run(SMALL, SMALL_TRAINING, prepare(data, validation_limit=2000))
    *_, last = run.epochs()
    network = Classifier(SMALL)
    network.load_state_dict(run.weights())
    return Extractor(
        network.eval(),
        "a small classifier trained for this, as there is no run of search.classifiers on mnist",
        data.name,
        last["validation_accuracy"],
    )


def _digits(data_dir: str | Path) -> ImageData:
    try:
        return load("mnist", data_dir, train_size=SMALL_IMAGES, download=False)
    except DataError:
        return load("mnist5k", data_dir)


def _candidates(runs: Path) -> Iterator[tuple[int, float, str, Path]]:
    """(rank of the data set, minus accuracy, name, folder) of every usable classifier."""
    for path in runs.glob("*/best/classifier/config.json"):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            rank = DIGITS.index(config["data"]["name"])
            accuracy = float(config.get("validation_accuracy", 0.0))
        except (OSError, ValueError, KeyError, TypeError):  # foreign, damaged, or of other images
            continue
        if (path.parent / "weights.pt").exists():
            yield rank, -accuracy, path.parts[-4], path.parent


def _read(folder: Path) -> Extractor:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    network = Classifier(ClassifierConfig(**config["model"]))
    network.load_state_dict(
        torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)
    )
    return Extractor(
        network.eval(),
        f"the best classifier of the run {folder.parts[-3]}",
        config["data"]["name"],
        float(config.get("validation_accuracy", float("nan"))),
    )
