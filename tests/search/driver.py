"""Searches of ours as real processes, and what they leave, for tests to compare."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.store.bucket import bucket_files
from search.store.storage import fetch_run

ROOT = Path(__file__).parents[2]
TIMES = {"seconds", "images_per_s", "best_images_per_s", "last_images_per_s"}
SEARCH = (
    "--dataset mnist5k --train-size 50 --max-epochs 4 --latent-sizes 64 16 "
    "--num-samples 12 --max-concurrent 1 --final-seeds 0 --seed 3"
).split()


class Driver:
    """A search of ours in a process of its own, in the folder `storage`/`name`."""

    def __init__(self, storage: Path, name: str = "run", flags=SEARCH, environment=os.environ):
        self.storage, self.name, self.flags = storage, name, flags
        self.folder, self.environment = storage / name, environment

    @property
    def location(self) -> str:
        return str(self.storage)

    def has_begun(self) -> bool:
        return (self.folder / "ledger.log").exists()

    def start(self, *more: str) -> subprocess.Popen:
        resume = ["--resume"] if self.has_begun() else []
        arguments = [*([] if resume else self.flags), *resume, *more]
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "search.autoencoders",
                "--name",
                self.name,
                "--storage-path",
                self.location,
                "--data-dir",
                str(self.storage),
                *arguments,
            ],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**self.environment, "OMP_NUM_THREADS": "1"},
        )

    def finish(self, *more: str) -> subprocess.CompletedProcess:
        process = self.start(*more)
        out, err = process.communicate(timeout=400)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def events(self) -> int:
        """Lines in the ledger."""
        path = self.folder / "ledger.log"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def wait_for_events(self, count: int, process: subprocess.Popen, seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while self.events() < count and process.poll() is None:
            assert time.monotonic() < end, f"{self.events()} of {count} events in {seconds} s"
            time.sleep(0.01)

    def kill_after(self, events: int, delay: float) -> bool:
        """Start, let so many events happen and `delay` seconds pass, then kill -9 the driver.
        Returns whether it was still running."""
        process = self.start()
        self.wait_for_events(self.events() + events, process)
        time.sleep(delay)
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        return alive


class BucketDriver(Driver):
    """A search in a bucket; `folder` is where `fetch` puts it."""

    def __init__(self, s3, prefix: str, storage, flags=SEARCH, environment=os.environ):
        super().__init__(storage, flags=flags, environment=environment)
        self.uri = s3.uri(prefix)
        self.files = bucket_files(s3.uri(f"{prefix}/run"))

    @property
    def location(self) -> str:
        return self.uri

    def has_begun(self) -> bool:
        return self.files.child("ledger").exists()

    def events(self) -> int:
        return len(self.files.child("ledger").tree())  # fewer than GROUP, so none is joined yet

    def fetch(self) -> None:
        address, _, query = self.uri.partition("?")
        fetch_run(f"{address}/run?{query}", self.storage)


def table(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return [
            {key: value for key, value in row.items() if key not in TIMES}
            for row in csv.DictReader(file)
        ]


def study_of(folder: Path) -> optuna.Study:
    """The Optuna study of a run folder, as Optuna opens it."""
    storage = JournalStorage(JournalFileBackend(str(folder / "study.log")))
    return optuna.load_study(study_name=None, storage=storage)


def study_trials(folder: Path) -> list:
    """All that the study of a run folder says about its trials."""
    trials = study_of(folder).trials
    return [(t.number, t.state, t.values, t.params, t.intermediate_values) for t in trials]


def outcome(folder: Path) -> tuple:
    """Both tables without their times, and the trials of the Optuna study."""
    return table(folder / "trials.csv"), table(folder / "epochs.csv"), study_trials(folder)
