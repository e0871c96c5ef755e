"""`--parts gpu`: all that is measured on a GPU, the most important first, within `--seconds`.

Each measure is a process of its own with a limit of its own, and its figures are written when it
ends: a measure that fails, hangs or breaks the GPU takes nothing from the others. On a machine
without a GPU everything runs in a small form, which shows that it works.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from search.benchmark import inputs
from search.benchmark.gpu.measures import MEASURES
from search.task.kinds import positive_float

NEEDS_RAY = False
LAST_LINES = 5  # of a failed measure's output


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds",
        type=positive_float,
        default=500.0,
        help="time limit of --parts gpu: no measure begins that may end later (default 500)",
    )
    parser.add_argument(
        "--measures", nargs="+", choices=tuple(MEASURES), help="for --parts gpu (default: all)"
    )


def prepare(given: argparse.Namespace) -> Callable[[], dict]:
    """The measurement that was asked for. Raises DataError."""
    inputs.images(given, 100)  # refuse a data set that is not there
    return lambda: measure(given)


def measure(given: argparse.Namespace) -> dict:
    """The figures of each measure, or why it has none; JSON-ready."""
    begin = time.monotonic()
    device = inputs.device()
    found: dict[str, dict] = {}
    for name, each in MEASURES.items():
        if given.measures and name not in given.measures:
            continue
        left = given.seconds - (time.monotonic() - begin)
        if left < each.seconds[device]:
            found[name] = {"left_out": f"{left:.0f} s were left, {each.seconds[device]} are needed"}
        else:
            found[name] = _apart(name, given, limit=min(left, 2 * each.seconds[device]))
        print(f"  {name}: {json.dumps(found[name])[:400]}", flush=True)
        given.json.with_suffix(".gpu.json").write_text(json.dumps(found, indent=2))
    return {"device": device, "measures": found}


def _apart(name: str, given: argparse.Namespace, limit: float) -> dict:
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="measure-") as folder:
        out = Path(folder, "out.json")
        flags = ["--dataset", given.dataset, "--out", str(out)]
        flags += ["--data-dir", given.data_dir] if given.data_dir else []
        command = [sys.executable, "-m", "search.benchmark.gpu.measures", name, *flags]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
            output = done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            output = f"{(late.stderr or b'').decode(errors='replace')}\nended after {limit:.0f} s"
        found = json.loads(out.read_text()) if out.exists() else {}
        if not found.pop("whole", False):
            found["failed"] = output.strip().splitlines()[-LAST_LINES:]
    return {**found, "took_s": round(time.monotonic() - start, 1)}


def as_text(found: dict) -> list[str]:
    lines = [f"on {found['device']}"]
    for name, figures in found["measures"].items():
        lines += [f"{name}:", *(f"  {key}: {json.dumps(value)}" for key, value in figures.items())]
    return lines
