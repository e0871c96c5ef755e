"""The training of one autoencoder, with the accuracy of probes on its codes as it trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from models.data import DataError, ImageData
from models.data.prepared import prepare
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.networks.presets import AUTOENCODER_STARTS
from models.training.loop import TrainingConfig
from models.training.reconstruction import autoencoder_run, evaluate
from probes.readout.measure import accuracies, few_shot, pca_error

PRESET = "contrastive"
_SHOWN = ("nearest mean", "LDA")
_RECORDED = ("epoch", "train_loss", "validation_mse", "units_per_image", "dead_units")


@dataclass(frozen=True)
class Training:
    """An autoencoder to train."""

    model: AutoencoderConfig
    training: TrainingConfig
    every: int  # epochs between two measurements


def training_of(changes: dict[str, str], epochs: int, every: int, seed: int) -> Training:
    """The preset `contrastive` at code size 128 with `changes`, which maps settings to texts.

    Raises ValueError for an unknown name and for a value that the setting does not take."""
    values: dict[str, Any] = {**AUTOENCODER_STARTS[PRESET], "latent_size": 128}
    for name, text in changes.items():
        if name not in values:
            raise ValueError(f"unknown setting {name}: there are {', '.join(sorted(values))}")
        kind = type(values[name])
        try:
            values[name] = text == "true" if kind is bool else kind(text)
        except ValueError:
            raise ValueError(f"{name} takes a number, got {text!r}") from None
    values |= {"max_epochs": epochs, "seed": seed}
    return Training(_config(AutoencoderConfig, values), _config(TrainingConfig, values), every)


def _config(kind: Any, values: dict[str, Any]) -> Any:
    names = {each.name for each in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in names})


def measured(
    plan: Training, data: ImageData, data_dir: str, test: bool, device: str
) -> Iterator[dict[str, Any]]:
    """Train; yield a record after every `plan.every` epochs and after the last, on validation, with
    `few_shot` where the set has characters that the training lacks.

    With `test` the last record has the error on the test split, that of PCA with as many components
    as units are active in a code, and the accuracies."""
    prepared = prepare(data, device)
    run = autoencoder_run(plan.model, plan.training, prepared)
    network = Autoencoder(plan.model).to(device).to(memory_format=torch.channels_last)
    seconds = 0.0
    for record in run.epochs():
        seconds += len(prepared.train) / record["images_per_s"]
        last = record["epoch"] == plan.training.max_epochs
        if record["epoch"] % plan.every and not last:
            continue
        network.load_state_dict(run.weights())
        found: dict[str, Any] = {
            **{name: record[name] for name in _RECORDED},
            "seconds": round(seconds, 1),
            "validation": accuracies(network, prepared, prepared.validation, _SHOWN),
        }
        if data.split == "drawers":
            with suppress(DataError):  # the set has no characters that the training lacks
                found["few_shot"] = few_shot(network, data, data_dir)
        if test and last:
            rows = data.test.to(device)
            error, _ = evaluate(network, prepared, rows)
            found["test_mse"] = float(error)
            found["components"] = max(1, round(record["units_per_image"]))
            found["test_pca_mse"] = pca_error(prepared, rows, found["components"])
            found["test"] = accuracies(network, prepared, rows)
        yield found


def described(plan: Training) -> dict[str, Any]:
    """The settings of the training, for the record."""
    return {"model": asdict(plan.model), "training": asdict(plan.training)}
