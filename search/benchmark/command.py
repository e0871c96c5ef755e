"""`python -m search.benchmark`: how fast this project is beside stock Ray Tune and the tutorials.

Four parts, each measured side by side in one run: what a trial costs beside its training
(search/benchmark/overhead.py), the training step (benchmark_step), whole searches
(benchmark_whole), and how well a search searches (benchmark_quality). A figure is the median of the
repetitions, with the smallest and the largest; a ratio is taken repetition by repetition, because
what else the machine does falls on both sides of it.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import optuna
import ray
import torch

from models.data import DATASETS, DataError, ImageData, load
from search.benchmark import overhead as benchmark_overhead
from search.benchmark import quality as benchmark_quality
from search.benchmark import step as benchmark_step
from search.benchmark import whole as benchmark_whole
from search.cluster.connection import start_ray
from search.simulate.command import DEFAULT_CURVES
from search.simulate.curves import load_curves
from search.store.folder import write_json
from search.task.settings import OneLineParser, UsageError, positive_int

PARTS = ("overhead", "step", "search", "quality")
NEED_RAY = frozenset({"overhead", "search"})
PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy")
STEP_IMAGES = 1000
LEAST_REPETITIONS, LEAST_SEEDS = 3, 10
DEFAULT_JSON = Path("benchmark.json")


def machine() -> dict:
    """What the figures were measured on."""
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
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


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m search.benchmark",
        allow_abbrev=False,
        description="Measure this project beside stock Ray Tune, Optuna and the tutorials' way.",
    )
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    add("--json", type=Path, default=DEFAULT_JSON, help=f"where to write (default {DEFAULT_JSON})")
    add(
        "--repetitions",
        type=_at_least(LEAST_REPETITIONS),
        default=LEAST_REPETITIONS,
        help=f"of every measurement (default and least {LEAST_REPETITIONS})",
    )
    add(
        "--large",
        action="store_true",
        help=f"run {benchmark_overhead.LARGE:,} trivial trials through ours too",
    )
    add(
        "--trial-counts",
        nargs="+",
        type=positive_int,
        default=benchmark_overhead.SIZES,
        help="trivial trials, at least two rising numbers (default 5 20 100 1000); stock runs "
        f"those up to {benchmark_overhead.STOCK_MOST}, the rest is extrapolated",
    )
    add(
        "--to-the-end",
        action="store_true",
        help=f"let stock run up to {benchmark_overhead.STOCK_MOST_TO_THE_END} trivial trials, and "
        "Ray's pattern its whole search, not only as long as ours takes",
    )
    add("--trials", type=positive_int, default=50, help="of a whole search (default 50)")
    add("--max-epochs", type=positive_int, default=4, help="of a whole search (default 4)")
    add(
        "--train-size",
        type=positive_int,
        default=500,
        help="images of a whole search (default 500)",
    )
    add("--dataset", choices=tuple(DATASETS), default="mnist5k", help="(default mnist5k)")
    add("--data-dir", help="where data sets are (default: $DATA_DIR, else ./data)")
    add(
        "--curves",
        type=Path,
        default=DEFAULT_CURVES,
        help=f"recorded curves that searching well is measured on (default {DEFAULT_CURVES})",
    )
    add(
        "--seeds",
        type=_at_least(LEAST_SEEDS),
        default=20,
        help=f"searches on recorded curves (default 20, least {LEAST_SEEDS})",
    )
    add("--cpus", type=positive_int, help="cores that Ray may use (default: all)")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is fewer than {least}")
        return value

    number.__name__ = "number"  # argparse names it in its messages
    return number


def main(argv: list[str] | None = None) -> int:
    """0, or 2 for an argument or a file that cannot be used."""
    given = _parser().parse_args(argv)
    ours = not ray.is_initialized()  # else whoever started Ray ends it
    try:
        measure = _prepare(given)
        _quiet()
        if NEED_RAY & set(given.parts):
            start_ray(None, num_cpus=given.cpus)
        _run(measure, given.json)
        return 0
    except (UsageError, DataError) as error:
        print(f"search.benchmark: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("search.benchmark: interrupted", file=sys.stderr)
        return 130
    finally:
        if ours:
            ray.shutdown()


def _prepare(given: argparse.Namespace) -> dict[str, Callable[[], dict]]:
    """How each of the parts is measured; what can be refused is refused here, before minutes pass.

    Raises UsageError or DataError."""
    if given.large and "overhead" not in given.parts:
        raise UsageError("--large belongs to overhead, which --parts leaves out")
    if given.to_the_end and not NEED_RAY & set(given.parts):
        raise UsageError("--to-the-end belongs to overhead and search, which --parts leaves out")
    counts = tuple(given.trial_counts)
    if len(counts) < 2 or list(counts) != sorted(set(counts)):
        raise UsageError("--trial-counts needs two numbers or more, rising")
    if not given.json.parent.is_dir():
        raise UsageError(f"--json {given.json}: there is no folder {given.json.parent}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    makers = {
        "overhead": lambda: _overhead(counts, given),
        "step": lambda: _step(_images(given, STEP_IMAGES), device, given),
        "search": lambda: _search(_images(given, given.train_size), device, given),
        "quality": lambda: _quality(given),
    }
    return {name: makers[name]() for name in PARTS if name in given.parts}


def _overhead(counts: tuple[int, ...], given: argparse.Namespace) -> Callable[[], dict]:
    return lambda: benchmark_overhead.measure(
        counts, given.repetitions, given.large, given.to_the_end
    )


def _step(data: ImageData, device: str, given: argparse.Namespace) -> Callable[[], dict]:
    batch = 50 if device == "cpu" else 128  # as the two budgets of search.autoencoders have it
    return lambda: benchmark_step.measure(data, device, batch, given.repetitions)


def _search(data: ImageData, device: str, given: argparse.Namespace) -> Callable[[], dict]:
    size = benchmark_whole.Size(given.trials, given.max_epochs, data, device)
    return lambda: benchmark_whole.measure(size, given.repetitions, given.to_the_end)


def _quality(given: argparse.Namespace) -> Callable[[], dict]:
    curves = load_curves(given.curves)
    return lambda: benchmark_quality.measure(curves, given.seeds)


def _images(given: argparse.Namespace, train_size: int) -> ImageData:
    data_dir = given.data_dir or os.environ.get("DATA_DIR", "data")
    return load(given.dataset, data_dir, train_size=train_size)


TEXTS: dict[str, Callable[[dict], list[str]]] = {
    "overhead": benchmark_overhead.as_text,
    "step": benchmark_step.as_text,
    "search": benchmark_whole.as_text,
    "quality": benchmark_quality.as_text,
}


def _run(measure: dict[str, Callable[[], dict]], out: Path) -> None:
    """Measure part by part; print each when it is there, and write all that is there so far."""
    found = {"machine": machine(), "parts": {}}
    print("\n".join(_machine_text(found["machine"])), flush=True)
    for name, part in measure.items():
        start = time.perf_counter()
        figures = part()
        found["parts"][name] = {**figures, "took_s": round(time.perf_counter() - start, 1)}
        print("\n".join(["", f"{name} ({found['parts'][name]['took_s']:.0f} s)"]))
        print("\n".join(TEXTS[name](figures)), flush=True)
        write_json(out, found)
    print(f"\nwritten to {out}; median [smallest, largest] of the repetitions")


def _machine_text(about: dict) -> Sequence[str]:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_bytes'] / 2**30:.0f} GiB, "
        f"{', '.join(about['gpus']) or 'no GPU'}; load {about['load_average'][0]:.1f} at the start",
        f"{about['system']}, Python {about['python']}, {versions}",
    )


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
