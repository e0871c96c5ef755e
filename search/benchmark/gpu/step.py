"""The training step on a GPU: replayed, launched one kernel at a time, and a tutorial's."""

from __future__ import annotations

import time
from dataclasses import replace

from models.data import ImageData
from models.data.prepared import PreparedData
from models.data.prepared import prepare as prepare_data
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.loop import TrainingConfig, TrainingRun
from models.training.reconstruction import Reconstruction
from search.benchmark.figures import ratio_spread, spread
from search.benchmark.gpu.measures import Report
from search.benchmark.rivals.tutorials import tutorial
from search.benchmark.step import NETWORKS

REPETITIONS = 3
TRAINING = TrainingConfig(
    batch_size=128, max_epochs=99, noise="gaussian", noise_level=0.2, l1=1e-5, l2=1e-4
)


def training_run(
    config: AutoencoderConfig, data: PreparedData, replay: bool = True, batch_size: int = 128
) -> TrainingRun:
    """A training with noise and penalties, as a trial has them."""
    training = replace(TRAINING, batch_size=batch_size)
    return TrainingRun(
        lambda: Autoencoder(config), Reconstruction(training), training, data, replay=replay
    )


def measure_steps(data: ImageData, device: str, report: Report) -> None:
    """Images a second of each network, and the ratios, repetition by repetition."""
    prepared = prepare_data(data, device)
    for name, config in NETWORKS.items():
        runs = [training_run(config, prepared, replay).epochs() for replay in (True, False)]
        rival = tutorial(config, TRAINING, data, device)
        for epochs in runs:
            next(epochs)  # the first epoch allocates memory and records the step
        rival.train_epoch()
        replayed, plain, theirs, epoch_s = [], [], [], []
        for _ in range(REPETITIONS):
            start = time.perf_counter()
            replayed.append(next(runs[0])["images_per_s"])
            epoch_s.append(time.perf_counter() - start)
            plain.append(next(runs[1])["images_per_s"])
            start = time.perf_counter()
            rival.train_epoch()
            theirs.append(len(data.train) / (time.perf_counter() - start))
        measured_s = [s - len(data.train) / rate for s, rate in zip(epoch_s, replayed, strict=True)]
        report(
            name,
            {
                "replayed_images_per_s": spread(replayed),
                "plain_images_per_s": spread(plain),
                "tutorial_images_per_s": spread(theirs),
                "replayed / plain": ratio_spread(replayed, plain),
                "replayed / tutorial": ratio_spread(replayed, theirs),
                "measuring_s": spread(measured_s),
            },
        )
    for size in (50, 256, 512):
        epochs = training_run(NETWORKS["default"], prepared, True, size).epochs()
        next(epochs)
        rates = [next(epochs)["images_per_s"] for _ in range(REPETITIONS)]
        report(f"default network, batches of {size}", spread(rates))
