"""Whole searches on a GPU: a full search of MNIST, and trials an hour beside Ray's pattern."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from search.benchmark import inputs
from search.benchmark.gpu.measures import Report
from search.benchmark.rivals.patterns import Course, Size, ray_pattern
from search.benchmark.whole import ours
from search.cluster.connection import start_ray
from search.store.folder import RunFolder

FULL = {"cuda": ["--num-samples", "100", "--max-epochs", "27"], "cpu": ["--num-samples", "3"]}
SMALL = ["--train-size", "200", "--max-epochs", "1", "--latent-sizes", "16", "--budget", "quick"]


def measure_full_search(given: argparse.Namespace, device: str, report: Report) -> None:
    """The command as users run it: seconds to its first epoch, to its last trial and to its end,
    and the share of the time in which a kernel ran."""
    with tempfile.TemporaryDirectory(prefix="search-") as folder, _Busy(device) as busy:
        flags = [*FULL[device], *(SMALL if device == "cpu" else [])]
        flags += ["--dataset", given.dataset, "--storage-path", folder, "--name", "full"]
        flags += ["--data-dir", given.data_dir] if given.data_dir else []
        begin = time.time()
        command = [sys.executable, "-m", "search.autoencoders", *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        report("status", done.returncode)
        report("printed", done.stdout.splitlines()[-30:] + done.stderr.splitlines()[-5:])
        report("seconds", time.time() - begin)
        events, _ = RunFolder(Path(folder, "full")).read_events()
        epochs = [event for event in events if event["event"] == "epoch"]
        report("seconds_to_first_epoch", epochs[0]["time"] - begin)
        report("seconds_to_last_trial", epochs[-1]["time"] - begin)
        report("epochs", len(epochs))
        report("failures", [e["detail"] for e in events if e["event"] == "failure"][:5])
        window = (epochs[0]["time"], epochs[-1]["time"])
        report("busy", busy.between(*window))
        final = json.loads(Path(folder, "full", "final.json").read_text())
        report("winners", [_winner(each) for each in final["winners"]])


def _winner(found: dict) -> dict:
    mean = found["mean"]
    return {key: found[key] for key in ("latent_size", "preset", "epochs")} | {
        "test_mse": mean["test_mse"]
    }


def measure_trials_an_hour(given: argparse.Namespace, device: str, report: Report) -> None:
    """50 trials of at most four epochs: ours, ours with a whole GPU for a trial, Ray's pattern."""
    cuda = device == "cuda"
    data = inputs.images(given, 50_000 if cuda else 100)
    size = Size(50 if cuda else 4, 4 if cuda else 1, data, device)
    start_ray(None)
    with tempfile.TemporaryDirectory(prefix="trials-") as root:
        ours(Size(2, 1, data, device), Path(root, "warm"))
        packed = ours(size, Path(root, "ours"), None)
        report("ours", _summary(packed))
        patience = packed.seconds if cuda else math.inf
        alone = ours(size, Path(root, "alone"), 1.0 if cuda else None, time_budget_s=patience)
        report("ours, a GPU for each trial", _summary(alone))
        stock = ray_pattern(size, Path(root, "ray"), patience)
        report("Ray's pattern, a GPU for each trial", _summary(stock))
        report("ours / ours alone", packed.trials_per_hour / alone.trials_per_hour)
        report("ours / Ray's pattern", packed.trials_per_hour / stock.trials_per_hour)


def _summary(course: Course) -> dict:
    return {
        "trials": course.trials,
        "seconds": course.seconds,
        "trials_per_hour": course.trials_per_hour,
        "epochs": len(course.values),
        "best_mse": min((value for _, value in course.values), default=None),
    }


class _Busy:
    """Asks NVIDIA's driver every half second for the share of the time in which a kernel ran."""

    def __init__(self, device: str):
        self._samples: list[tuple[float, float]] = []
        self._process = None
        if device == "cuda":
            query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "500"]
            self._process = subprocess.Popen(
                ["nvidia-smi", *query], stdout=subprocess.PIPE, text=True
            )

    def __enter__(self) -> _Busy:
        if self._process is not None:
            threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        if self._process is not None:
            self._process.kill()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._samples.append((time.time(), float(line) / 100))

    def between(self, begin: float, end: float) -> float | None:
        """The mean of the samples of a window."""
        found = [value for when, value in self._samples if begin <= when <= end]
        return sum(found) / len(found) if found else None
