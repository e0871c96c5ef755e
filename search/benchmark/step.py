"""How fast a network trains: images a second in a trial's own loop and in a tutorial's, and the
share of the speed of a matrix product that ours reaches.

Ours is an epoch of `models.training`, as trials run it. The tutorial's is an epoch of the same
network and batch size by search/benchmark/rivals/tutorials.py. Both have one thread, as a trial has
one core. The peak is the speed of a large square matrix product in the precision that ours computes
in, also with one thread, measured between the repetitions. `torch.utils.flop_counter` counts the
network's operations, forward and backward.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from models.data import ImageData
from models.data.prepared import PreparedData
from models.data.prepared import prepare as prepare_data
from models.networks.autoencoder import AutoencoderConfig
from models.training.loop import TrainingConfig, TrainingRun, has_fast_bf16
from models.training.reconstruction import autoencoder_run
from search.benchmark import inputs
from search.benchmark.figures import ratio_spread, spread, spread_text
from search.benchmark.rivals.tutorials import tutorial
from search.simulate.table import columns

AIM = 3.0  # times a tutorial's images a second, on a CPU
PEAK_SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices whose product is timed
PEAK_SECONDS = 0.3
OPERATIONS_NAMED = 6
IMAGES = 1000
BATCH_SIZE = {"cpu": 50, "cuda": 128}  # as the two budgets of search.autoencoders have it
NEEDS_RAY = False
NETWORKS = {
    "small": AutoencoderConfig(depth=2, width=16, latent_size=32),
    "default": AutoencoderConfig(),
    "deep": AutoencoderConfig(depth=13, width=16, latent_size=1024, activation="relu"),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """This part has no flag of its own."""


def prepare(given: argparse.Namespace) -> Callable[[], dict]:
    """The measurement that was asked for. Raises DataError."""
    data, device = inputs.images(given, IMAGES), inputs.device()
    return lambda: measure(data, device, BATCH_SIZE[device], given.repetitions)


def measure(
    data: ImageData, device: str, batch_size: int, repetitions: int = 3, threads: int = 1
) -> dict:
    """The figures of this part, JSON-ready."""
    prepared = prepare_data(data, device)
    with inputs.threads(threads):
        return {
            "device": device,
            "precision": str(precision(prepared.device)).removeprefix("torch."),
            "batch_size": batch_size,
            "images": len(data.train),
            "threads": threads,
            "aim": AIM,
            "float32_peak_flops": matrix_product_flops(prepared.device, torch.float32),
            "networks": {
                name: measure_network(config, data, prepared, batch_size, repetitions)
                for name, config in NETWORKS.items()
            },
        }


def measure_network(
    config: AutoencoderConfig,
    data: ImageData,
    prepared: PreparedData,
    batch_size: int,
    repetitions: int,
) -> dict:
    device = prepared.device
    training = TrainingConfig(batch_size=batch_size, max_epochs=repetitions + 2)
    run = autoencoder_run(config, training, prepared)
    rival = tutorial(config, training, data, device.type)
    images = len(data.train)
    epochs = run.epochs()
    next(epochs)  # the first epoch of each allocates memory and chooses kernels
    rival.train_epoch()
    ours, theirs, peaks = [], [], []
    for _ in range(repetitions):
        ours.append(next(epochs)["images_per_s"])
        theirs.append(images / _seconds(rival.train_epoch, device))
        peaks.append(matrix_product_flops(device, precision(device)))
    operations = flops_per_image(run, prepared)
    return {
        "parameters": sum(each.numel() for each in run.network.parameters()),
        "flops_per_image": operations,
        "ours_images_per_s": spread(ours),
        "tutorial_images_per_s": spread(theirs),
        "ours / tutorial": ratio_spread(ours, theirs),
        "peak_flops": spread(peaks),
        "share_of_peak": ratio_spread([each * operations for each in ours], peaks),
        "time_goes_to": time_by_operation(run),
    }


def matrix_product_flops(device: torch.device, kind: torch.dtype) -> float:
    """Operations a second of a large matrix product; a multiplication and an addition are two."""
    side = PEAK_SIDE[device.type]
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    seconds = spent = _seconds(lambda: a @ b, device)
    products = 1
    while spent < PEAK_SECONDS:
        seconds = _seconds(lambda: a @ b, device)
        spent, products = spent + seconds, products + 1
    return 2 * side**3 * products / spent


def precision(device: torch.device) -> torch.dtype:
    """The precision that ours computes in on the device."""
    return torch.bfloat16 if has_fast_bf16(device) else torch.float32


def flops_per_image(run: TrainingRun, prepared: PreparedData) -> float:
    """Operations of convolutions and matrix products for one image, forward and backward."""
    rows = prepared.train[: run.training.batch_size]
    generator = torch.Generator(prepared.device).manual_seed(0)
    run.network.train()
    with FlopCounterMode(display=False) as counter:
        images, labels = prepared.batch(rows), prepared.labels[rows]
        run.objective.loss(run.network, images, labels, generator).backward()
    run.optimizer.zero_grad()
    return counter.get_total_flops() / len(rows)


def time_by_operation(run: TrainingRun) -> dict[str, float]:
    """The operations that take most of an epoch's time, each with its share, and "python": the
    share outside PyTorch's operations."""
    cuda = run.data.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with _silent_profiler(), profile(activities=activities) as recorded:
        start = time.perf_counter()
        run._train_epoch()
        total = (time.perf_counter() - start) * 1e6
    spent = {
        event.key: event.self_device_time_total if cuda else event.self_cpu_time_total
        for event in recorded.key_averages()
    }
    largest = sorted(spent, key=spent.get, reverse=True)[:OPERATIONS_NAMED]
    outside = max(0.0, total - sum(spent.values()))
    return {name: spent[name] / total for name in largest} | {"python": outside / total}


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


@contextmanager
def _silent_profiler() -> Iterator[None]:
    """Hide the profiler's messages, such as the one about a missing GPU. It writes them to the file
    descriptor and not to Python's `sys.stderr`."""
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def as_text(found: dict) -> list[str]:
    rows = [
        [
            name,
            spread_text(each["ours_images_per_s"]),
            spread_text(each["tutorial_images_per_s"]),
            spread_text(each["ours / tutorial"]),
            f"{100 * each['share_of_peak']['median']:.0f} %",
            ", ".join(
                f"{key} {share:.0%}" for key, share in list(each["time_goes_to"].items())[:3]
            ),
        ]
        for name, each in found["networks"].items()
    ]
    head = ["images a second", "ours", "tutorial", "ours / tutorial", "of peak", "time goes to"]
    peak = max(each["peak_flops"]["median"] for each in found["networks"].values())
    return [
        *columns(head, rows),
        f"{found['images']} images in batches of {found['batch_size']}, {found['precision']}, "
        f"{found['threads']} thread on {found['device']}; peak: {peak / 1e9:.0f} GFLOP/s in a "
        f"matrix product, {found['float32_peak_flops'] / 1e9:.0f} in float32; aim on a CPU: "
        f"{found['aim']:g} times the tutorial",
    ]
