"""Which cheap probe ranks autoencoders as the best expensive probe does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from models.data.prepared import PreparedData
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.loop import TrainingConfig
from models.training.reconstruction import autoencoder_run, encode
from probes.codes.discriminant import lda_accuracy
from probes.readout.measure import CHEAP_PROBES, perceptron_accuracy

LONG_PERCEPTRON = 27  # epochs of the expensive perceptron


@dataclass(frozen=True)
class Ranked:
    """An autoencoder, and what probes read from its codes."""

    settings: dict[str, Any]
    validation_mse: float
    cheap: dict[str, float]  # accuracy of each cheap probe, on the images of the epoch metric
    seconds: dict[str, float]  # that each of these measurements took
    best: float  # accuracy of the best expensive probe, on all training and validation images


def drawn_settings(count: int, epochs: int) -> Iterator[tuple[AutoencoderConfig, TrainingConfig]]:
    """`count` small autoencoders that differ in what a search varies, drawn by a fixed seed."""
    draws = np.random.default_rng(0)

    def one_of(*values: Any) -> Any:
        return values[draws.integers(len(values))]

    for seed in range(count):
        model = AutoencoderConfig(
            depth=one_of(3, 4, 5),
            width=one_of(8, 16),
            latent_size=one_of(32, 64, 128),
            dropout=one_of(0.0, 0.0, 0.1, 0.2),
            activation=one_of("relu", "silu"),
            linear_path=one_of(False, False, True),
            code_activation=one_of("linear", "linear", "relu", "topk"),
            kept_units=one_of(8, 16, 32),
        )
        yield (
            model,
            TrainingConfig(
                max_epochs=epochs,
                batch_size=64,
                learning_rate=float(10 ** draws.uniform(-3.3, -2.3)),
                l1=one_of(0.0, 1e-4, 1e-2),
                noise=one_of("none", "block", "dropout"),
                noise_level=one_of(0.1, 0.2, 0.3),
                affine=one_of(0.0, 0.5, 1.0),
                warp=one_of(0.0, 0.0, 0.5, 1.0),
                contrastive_weight=one_of(0.0, 0.0, 0.05, 0.2),
                contrast=one_of("nt-xent", "vicreg"),
                seed=seed,
            ),
        )


def ranked(model: AutoencoderConfig, training: TrainingConfig, data: PreparedData) -> Ranked:
    """Train and measure: the cheap probes on the images of the epoch metric, the expensive ones on
    all training and validation images."""
    run = autoencoder_run(model, training, data)
    error = [record["validation_mse"] for record in run.epochs()][-1]
    network = Autoencoder(model).to(data.device).to(memory_format=torch.channels_last)
    network.load_state_dict(run.weights())
    rows = data.validation[data.probe_validation]
    cheap, seconds = {}, {}
    parts = [(encode(network, data, each), data.labels[each]) for each in (data.probe_train, rows)]
    for name, probe in CHEAP_PROBES.items():
        start = time.perf_counter()
        cheap[name] = probe(*parts[0], *parts[1])
        seconds[name] = time.perf_counter() - start
    settings = {**asdict(model), **asdict(training)}
    return Ranked(settings, error, cheap, seconds, _best(network, data))


def _best(network: Autoencoder, data: PreparedData) -> float:
    """The better of LDA and a long perceptron on all codes."""
    parts = [
        (encode(network, data, each), data.labels[each]) for each in (data.train, data.validation)
    ]
    long = perceptron_accuracy(*parts[0], *parts[1], epochs=LONG_PERCEPTRON)
    return max(lda_accuracy(*parts[0], *parts[1]), long)


def correlations(found: list[Ranked]) -> dict[str, dict[str, float]]:
    """For each cheap probe and for the (negative) reconstruction error: Spearman's rank correlation
    with the best probe's accuracy, and the mean seconds of a measurement."""
    best = [each.best for each in found]
    figures = {name: [each.cheap[name] for each in found] for name in CHEAP_PROBES}
    rows = {
        name: {
            "correlation": float(spearmanr(values, best).statistic),
            "seconds": float(np.mean([each.seconds[name] for each in found])),
        }
        for name, values in figures.items()
    }
    errors = [-each.validation_mse for each in found]
    return rows | {"low error": {"correlation": float(spearmanr(errors, best).statistic)}}
