"""The classifier in whose features Frechet classifier distances are measured. For images of 28 x 28
grey pixels it is a classifier of MNIST digits, for others a classifier of the same images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from models.data import DataError, ImageData, load
from models.data.cache import weights_digest
from models.data.prepared import prepare
from models.networks.classifier import Classifier, ClassifierConfig
from models.training.classification import classifier_run
from models.training.loop import TrainingConfig

DIGITS = ("mnist", "mnist5k")  # the better first; both hold images of MNIST
DIGIT_SIZE = (28, 1)  # side and channels of their images
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
        """What a run records about it, JSON-ready."""
        return {
            "source": self.source,
            "data": self.data,
            "validation_accuracy": self.validation_accuracy,
            "sha256": weights_digest(self.network),
        }


def find_extractor(
    runs: Path, data_dir: str | Path, data: ImageData | None = None
) -> Extractor | None:
    """The best classifier among the run folders in `runs`.

    For images of 28 x 28 grey pixels, a classifier of MNIST: first of full MNIST, then of
    mnist5k, then by validation accuracy. For other images, a classifier of `data` itself. If there
    is none, trains a small classifier, in less than a minute on a CPU; None if `data` has no labels
    for that."""
    if data is not None and (data.side, data.channels) == DIGIT_SIZE:
        data = None
    wanted = DIGITS if data is None else (data.name,)
    for *_, folder in sorted(_candidates(runs, wanted, data)):
        try:
            return _read(folder)
        except Exception:  # torch raises nearly anything for a damaged file
            continue
    if data is None:
        return train_extractor(_digits(data_dir))
    return train_extractor(_part(data)) if data.labelled else None


def train_extractor(data: ImageData) -> Extractor:
    """A small classifier of the training images of `data`."""
    model = replace(
        SMALL,
        classes=len(data.class_names),
        image_side=data.side,
        image_channels=data.channels,
    )
    run = classifier_run(model, SMALL_TRAINING, prepare(data, validation_limit=2000))
    *_, last = run.epochs()
    network = Classifier(model)
    network.load_state_dict(run.weights())
    of = "mnist" if data.name in DIGITS else data.name
    return Extractor(
        network.eval(),
        f"a small classifier trained for this, as there is no run of search.classifiers on {of}",
        data.name,
        last["validation_accuracy"],
    )


def _part(data: ImageData) -> ImageData:
    """`data` with at most SMALL_IMAGES training images."""
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(data.train), generator=generator)[:SMALL_IMAGES]
    return replace(data, train=data.train[chosen].sort().values)


def _digits(data_dir: str | Path) -> ImageData:
    try:
        return load("mnist", data_dir, train_size=SMALL_IMAGES, download=False)
    except DataError:
        return load("mnist5k", data_dir)


def _candidates(
    runs: Path, names: tuple[str, ...], data: ImageData | None
) -> Iterator[tuple[int, float, str, Path]]:
    """(rank of the data set, minus accuracy, name, folder) of every usable classifier. Its data set
    is one of `names`, and its images have the size of those of `data` (None: 28 x 28, grey)."""
    size = DIGIT_SIZE if data is None else (data.side, data.channels)
    source = "" if data is None else data.source
    for path in runs.glob("*/best/classifier/config.json"):
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            about = config["data"]
            rank = names.index(about["name"])
            if (about.get("side", 28), about.get("channels", 1)) != size:
                continue
            if about.get("source", "") != source:
                continue
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
