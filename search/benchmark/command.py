"""`python -m search.benchmark`: how fast this project is, beside stock Ray Tune and the tutorials.

Each part is measured side by side in one run. A figure is the median of the repetitions, with the
smallest and the largest. A ratio is taken repetition by repetition, because other work of the
machine slows both of its sides.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import ray
import torch

from models.data import DATASETS, DataError
from models.ending import ends_at_signals
from models.machine import usable_cores
from search.benchmark import dashboards, memory, overhead, quality, step, whole
from search.benchmark.gpu import part as gpu
from search.cluster.connection import start_ray
from search.simulate.replay import quiet
from search.store.files import write_json
from search.task.flags import OneLineParser
from search.task.kinds import at_least, positive_int
from search.task.settings import UsageError

PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy")
LEAST_REPETITIONS = 3
IN_COLOUR = ("cifar10", "svhn")  # the tutorials' networks take grey images of 28 pixels
DEFAULT_JSON = Path("benchmark.json")


class Part(Protocol):
    """What each part of the benchmark, a module, defines."""

    NEEDS_RAY: bool

    def add_flags(self, parser: argparse.ArgumentParser) -> None: ...

    def prepare(self, given: argparse.Namespace) -> Callable[[], dict]:
        """Checks the arguments and the data before minutes pass. Returns the measurement, whose
        result is JSON-ready. Raises UsageError or DataError."""

    def as_text(self, found: dict) -> list[str]: ...


PARTS: dict[str, Part] = {
    "overhead": overhead,
    "step": step,
    "search": whole,
    "quality": quality,
    "dashboards": dashboards,
    "gpu": gpu,
    "memory": memory,
}
DEFAULT_PARTS = ("overhead", "step", "search", "quality")


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "benchmark", "Measure this project beside stock Ray Tune, Optuna and the tutorials' way."
    )
    add = parser.add_argument
    parts = tuple(PARTS)
    add(
        "--parts",
        nargs="+",
        choices=parts,
        default=DEFAULT_PARTS,
        help=f"what to measure (default: {' '.join(DEFAULT_PARTS)})",
    )
    add("--json", type=Path, default=DEFAULT_JSON, help=f"where to write (default {DEFAULT_JSON})")
    add(
        "--repetitions",
        type=at_least(LEAST_REPETITIONS),
        default=LEAST_REPETITIONS,
        help=f"how often each part measures (default and least {LEAST_REPETITIONS})",
    )
    add(
        "--to-the-end",
        action="store_true",
        help=f"let stock run up to {overhead.STOCK_MOST_TO_THE_END} trivial trials, and let Ray's "
        "pattern end its search; by default it is cut after the time that ours takes",
    )
    add("--cpus", type=positive_int, help="cores that Ray may use (default: all)")
    grey = tuple(name for name in DATASETS if name not in IN_COLOUR)
    add("--dataset", choices=grey, default="mnist5k", help="(default mnist5k)")
    add("--data-dir", help="where data sets are (default: $DATA_DIR, else ./data)")
    for part in PARTS.values():
        part.add_flags(parser)
    return parser


@ends_at_signals("search.benchmark", "; what it measured is in the file that --json names")
def main(argv: list[str] | None = None) -> int:
    """Return the exit status: 0, or 2 for an argument or a file that cannot be used."""
    given = _parser().parse_args(argv)
    ours = not ray.is_initialized()  # else the process that started Ray ends it
    try:
        with quiet():
            measurements = _prepare(given)
            if any(PARTS[name].NEEDS_RAY for name in measurements):
                start_ray(None, num_cpus=given.cpus)
            _run(measurements, given.json)
        return 0
    except (UsageError, DataError) as error:
        print(f"search.benchmark: error: {error}", file=sys.stderr)
        return 2
    finally:
        if ours:
            ray.shutdown()


def _prepare(given: argparse.Namespace) -> dict[str, Callable[[], dict]]:
    """The measurements by part. Raises UsageError or DataError."""
    if given.large and "overhead" not in given.parts:
        raise UsageError("--large belongs to overhead, which --parts leaves out")
    if given.to_the_end and not {"overhead", "search"} & set(given.parts):
        raise UsageError("--to-the-end belongs to overhead and search, which --parts leaves out")
    if not given.json.parent.is_dir():
        raise UsageError(f"--json {given.json}: there is no folder {given.json.parent}")
    return {name: part.prepare(given) for name, part in PARTS.items() if name in given.parts}


def _run(measurements: dict[str, Callable[[], dict]], out: Path) -> None:
    """Print each part once it is measured, and write all that is measured so far."""
    found = {"machine": machine(), "parts": {}}
    print("\n".join(_machine_text(found["machine"])), flush=True)
    for name, measure in measurements.items():
        start = time.perf_counter()
        figures = measure()
        took = round(time.perf_counter() - start, 1)
        found["parts"][name] = {**figures, "took_s": took}
        print("\n".join(["", f"{name} ({took:.0f} s)", *PARTS[name].as_text(figures)]), flush=True)
        write_json(out, found)
    print(f"\nwritten to {out}; median [smallest, largest] of the repetitions")


def machine() -> dict:
    """The machine that the figures were measured on."""
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": gpus,
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _cpu_model() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _machine_text(about: dict) -> tuple[str, str]:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_bytes'] / 2**30:.0f} GiB, "
        f"{', '.join(about['gpus']) or 'no GPU'}; load {about['load_average'][0]:.1f} at the start",
        f"{about['system']}, Python {about['python']}, {versions}",
    )
