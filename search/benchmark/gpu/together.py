"""Several trainings on one GPU: in one process, and in a process each, with and without MPS."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from models.data import ImageData
from models.data.prepared import prepare as prepare_data
from models.networks.autoencoder import AutoencoderConfig
from search.benchmark import inputs
from search.benchmark.gpu.measures import Report
from search.benchmark.gpu.step import training_run
from search.benchmark.step import NETWORKS
from search.cluster.mps import mps_daemon

EPOCHS = 3
WORKER_S = 3.0


def measure_together(data: ImageData, device: str, report: Report) -> None:
    """Images a second of all trainings of a process together, measures of each epoch included."""
    prepared = prepare_data(data, device)
    numbers = (1, 2, 4, 8, 16, 24) if device == "cuda" else (1, 2)
    for name in ("default", "small", "mixed"):
        running: list[Iterator[dict]] = []
        for number in numbers:
            new = [training_run(_network(name, n), prepared) for n in range(len(running), number)]
            running += [run.epochs() for run in new]
            with ThreadPoolExecutor(number) as pool:
                list(pool.map(next, running[-len(new) :]))
                start = time.perf_counter()
                list(pool.map(lambda epochs: [next(epochs) for _ in range(EPOCHS)], running))
                seconds = time.perf_counter() - start
            rate = number * EPOCHS * len(data.train) / seconds
            report(f"{name}, {number} in one process", round(rate))


def _network(name: str, number: int) -> AutoencoderConfig:
    if name != "mixed":
        return NETWORKS[name]
    return AutoencoderConfig(
        depth=2 + number % 9,
        width=(16, 32, 24, 48)[number % 4],
        latent_size=(32, 128, 1024)[number % 3],
    )


def measure_processes(given: argparse.Namespace, device: str, report: Report) -> None:
    """The same with a process for each training."""
    for mps in (False, True) if device == "cuda" else (False,):
        for number in (4, 8) if device == "cuda" else (2,):
            with mps_daemon(True) if mps else nullcontext():
                rates = _in_processes(given, number)
            report(f"default, {number} processes{', MPS' if mps else ''}", round(sum(rates)))


def _in_processes(given: argparse.Namespace, number: int) -> list[float]:
    begin = Path(given.out.parent, f"begin-{number}-{time.monotonic_ns()}")
    flags = ["--dataset", given.dataset, "--begin", str(begin)]
    flags += ["--data-dir", given.data_dir] if given.data_dir else []
    command = [sys.executable, "-m", "search.benchmark.gpu.together", *flags]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(number)]
    while len(list(begin.parent.glob(f"{begin.name}.*"))) < number:
        if any(each.poll() for each in running):
            raise RuntimeError("a training ended before the measurement")
        time.sleep(0.05)
    begin.touch()
    return [json.loads(each.communicate()[0]) for each in running]


def _work(argv: list[str] | None = None) -> None:
    """One process: says that it is ready, waits for the others, prints its images a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset")
    parser.add_argument("--data-dir")
    parser.add_argument("--begin", type=Path)
    given = parser.parse_args(argv)
    device = inputs.device()
    prepared = prepare_data(inputs.images(given, 20_000 if device == "cuda" else 500), device)
    epochs = training_run(NETWORKS["default"], prepared).epochs()
    next(epochs)
    given.begin.with_name(f"{given.begin.name}.{time.monotonic_ns()}").touch()
    while not given.begin.exists():
        time.sleep(0.005)
    start, images = time.perf_counter(), 0
    while time.perf_counter() - start < WORKER_S:
        next(epochs)
        images += len(prepared.train)
    print(json.dumps(images / (time.perf_counter() - start)))


if __name__ == "__main__":
    _work()
