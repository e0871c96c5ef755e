"""The memory and the start of a search of many large images of the user's own.

The images are generated and saved as a .npz file; then the command searches them as a user would.
The memory of a process is its proportional set size: memory that several processes share counts
once in the sum. If a worker copied the images, its own memory would grow by their size.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from search.record.ledger import LedgerError, read_ledger
from search.task.kinds import image_size, positive_int
from search.task.settings import UsageError

NEEDS_RAY = False  # the command starts its own
PERIOD_S = 1.0
BLOCK = 8  # pixels of the squares that the images are made of
# Trials train on few images: memory does not depend on that, and the time ends when a trial begins.
OPTIONS = (
    "--num-samples 2 --max-epochs 1 --latent-sizes 128 --final-seeds 1 --budget quick "
    "--train-size 500 --time-budget-s 3600"
)
WORKER = b"ray::"  # how the names of the processes of trials begin


def add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--images", type=positive_int, default=100_000, help="for --parts memory (default 100,000)")
    add("--image-size", type=image_size, default=64, help="their side in pixels (default 64)")


def prepare(given: argparse.Namespace) -> Callable[[], dict]:
    """The measurement that was asked for. Raises UsageError where memory cannot be measured."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise UsageError("memory is measured on Linux only: leave it out of --parts")
    return lambda: measure(given.images, given.image_size)


def measure(images: int, side: int) -> dict:
    """The figures of this part, JSON-ready."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as root:
        file = Path(root, "images.npz")
        _generate(file, images, side)
        command = [sys.executable, "-m", "search.autoencoders", "--dataset", str(file)]
        command += ["--storage-path", root, "--name", "run", "--data-dir", root, *OPTIONS.split()]
        start = time.monotonic()
        with open(Path(root, "printed.txt"), "w") as printed:
            process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
        found = {"images": images, "side": side, "bytes": images * side * side * 3}
        found |= _watched(process, Path(root, "run", "ledger.log"), start)
        if process.returncode:
            raise UsageError(f"the search failed: {Path(root, 'printed.txt').read_text()[-300:]}")
        return {**found, "whole_s": time.monotonic() - start}


def as_text(found: dict) -> list[str]:
    return [
        f"{found['images']:,} images of {found['side']} x {found['side']} x 3 pixels, "
        f"{found['bytes'] / 1e9:.2f} GB",
        f"  first epoch after {found['first_epoch_s']:.0f} s, all in {found['whole_s']:.0f} s",
        f"  all processes together: at most {found['most_bytes'] / 1e9:.1f} GB",
        f"  a trial's own memory: at most {found['worker_bytes'] / 1e9:.1f} GB",
    ]


def _generate(file: Path, images: int, side: int) -> None:
    stream, cells = np.random.default_rng(0), -(-side // BLOCK)
    made = np.empty((images, side, side, 3), np.uint8)
    for start in range(0, images, 1000):
        part = made[start : start + 1000]
        squares = stream.integers(0, 256, (len(part), cells, cells, 3), np.uint8)
        part[:] = squares.repeat(BLOCK, 1).repeat(BLOCK, 2)[:, :side, :side]
    np.savez(file, images=made)


def _watched(process: subprocess.Popen, ledger: Path, start: float) -> dict:
    """Look at the search once a second until it ends."""
    found = {"first_epoch_s": float("nan"), "most_bytes": 0, "worker_bytes": 0}
    while process.poll() is None:
        sizes = [_memory(pid) for pid in [process.pid, *_descendants(process.pid)]]
        found["most_bytes"] = max(found["most_bytes"], sum(share for share, _, _ in sizes))
        workers = (own for _, own, is_worker in sizes if is_worker)
        found["worker_bytes"] = max(found["worker_bytes"], *workers, 0)
        if found["first_epoch_s"] != found["first_epoch_s"] and _has_epoch(ledger):
            found["first_epoch_s"] = time.monotonic() - start
        time.sleep(PERIOD_S)
    return found


def _has_epoch(ledger: Path) -> bool:
    with suppress(LedgerError):
        return any(event["event"] == "epoch" for event in read_ledger(ledger)[0])
    return False


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _memory(pid: int) -> tuple[int, int, bool]:
    """Proportional and own bytes of a process, and whether it is a worker of Ray."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        name = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return 0, 0, False
    values = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
    own = values["Private_Clean"] + values["Private_Dirty"]
    return values["Pss"], own, name.startswith(WORKER)
