"""What a trial costs beside its training: trials that only do a sum, through this project's tuner
and through Ray's own.

Ours is all that a search has: ledger, study, suggestions, ASHA, tables. Stock is a `tune.Tuner`
with OptunaSearch and ASHAScheduler, with everything else as Ray sets it, and again with
`reuse_actors=True`. A total counts from the first line of the ledger (from the tuner) until `fit`
returns, start of the workers included; what one more trial costs is the slope between two sizes.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import ray
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from models.data import ImageData
from search import benchmark_driver
from search.benchmark_figures import Spread, said, table
from search.cluster import session_limits
from search.folder import RunFolder
from search.logbook import Logbook
from search.settings import Settings
from search.space import Preset, Space
from search.tables import TableWriter
from search.task import arrays_from_data
from search.tuner import build_tuner

SIZES = (20, 100, 1000)
STOCK_SIZES = (20, 100)  # its thousand takes the better part of an hour, and is extrapolated
LARGE = 10_000
AIM_S = 0.05  # a trial, marginal
SPACE = Space(
    {
        "x": FloatDistribution(0.0, 1.0),
        "rate": FloatDistribution(1e-4, 1.0, log=True),
        "depth": IntDistribution(1, 9),
        "kind": CategoricalDistribution(("a", "b", "c")),
    },
    group="size",
    groups=(1, 2, 3),
    constants={},
)


def trivial(parameters: dict) -> float:
    """All the work that a trial of this benchmark does."""
    return (parameters["x"] - 0.3) ** 2 + parameters["rate"] / parameters["depth"]


@dataclass(frozen=True)
class TrivialTask:
    """A `search.task.Task` of one epoch without a checkpoint; only what a search asks of it."""

    max_epochs: int = 1
    metric: str = "value"
    mode: str = "min"
    metrics: tuple[str, ...] = ("train_loss", "value")
    checkpoints: bool = False
    seconds_per_trial: float | None = None

    def space(self) -> Space:
        return SPACE

    def presets(self) -> tuple[Preset, ...]:
        return ()

    def prepare(self, data: ImageData, device: str) -> None:
        """There is nothing to prepare."""

    def start(self, parameters: dict, seed: int, prepared: None) -> TrivialRun:
        return TrivialRun(parameters)


class TrivialRun:
    """A `search.task.Run` of one epoch."""

    def __init__(self, parameters: dict):
        self._parameters = parameters

    def epochs(self) -> Iterator[dict]:
        value = trivial(self._parameters)
        yield {"epoch": 1, "train_loss": value, "value": value}


@dataclass(frozen=True)
class Outcome:
    """What one search of trivial trials took."""

    trials: int
    seconds: float
    driver_cpu_s: float  # of this process alone


def ours(trials: int, folder: Path) -> tuple[Outcome, Logbook]:
    """A search of so many trivial trials in the run folder `folder`, which is made."""
    start, cpu = time.perf_counter(), time.process_time()
    run = RunFolder(folder)
    run.create()
    Logbook.begin(run, {"seed": 0, "sampler": "tpe", "data": {}})
    logbook = Logbook(run, TrivialTask())
    tables = TableWriter(logbook)
    limits = session_limits(Settings(num_samples=trials, gpus_per_trial=0.0))
    with environment_kept():
        build_tuner(logbook, limits, ray.put(_no_data()), [tables.write_if_due]).fit()
    tables.write()
    took = Outcome(trials, time.perf_counter() - start, time.process_time() - cpu)
    return took, logbook


def stock(trials: int, folder: Path, reuse_actors: bool = False) -> Outcome:
    """The same through Ray's own, as its documentation puts it together."""
    start, cpu = time.perf_counter(), time.process_time()
    search = OptunaSearch(SPACE.all_distributions(), metric="value", mode="min", seed=0)
    fit_stock(
        tune.Tuner(
            tune.with_resources(_trivial_trainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                metric="value",
                mode="min",
                search_alg=search,
                scheduler=ASHAScheduler(),
                num_samples=trials,
                reuse_actors=reuse_actors,
            ),
            run_config=tune.RunConfig(storage_path=str(folder), name="stock", verbose=0),
        )
    )
    return Outcome(trials, time.perf_counter() - start, time.process_time() - cpu)


def fit_stock(tuner: tune.Tuner) -> None:
    """Run a Tuner of Ray's own to its end, without what it prints. Raises RuntimeError where a
    trial of it failed: what it measured would be worth nothing."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        results = tuner.fit()
    if results.errors:
        raise RuntimeError(f"a trial of stock Ray Tune failed: {results.errors[0]}")


def _trivial_trainable(config: dict) -> None:
    tune.report({"value": trivial(config)})


def measure(
    sizes: Sequence[int] = SIZES,
    stock_sizes: Sequence[int] = STOCK_SIZES,
    repetitions: int = 3,
    large: bool = False,
) -> dict:
    """Everything that is printed of this part, JSON-ready; Ray is up.

    `sizes` rise, two or more; `stock_sizes` are the first of them."""
    runs: dict[str, list[list[Outcome]]] = {"ours": [], "stock": [], "stock, actors reused": []}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        root = Path(name)
        _warm_up(root / "warm")
        for repetition in range(repetitions):
            place = root / str(repetition)
            runs["ours"].append([ours(n, place / f"ours-{n}")[0] for n in sizes])
            for kind, reuse in (("stock", False), ("stock, actors reused", True)):
                runs[kind].append(
                    [stock(n, place / f"stock-{n}-{reuse}", reuse) for n in stock_sizes]
                )
        found = {kind: _summary(repeated, sizes) for kind, repeated in runs.items()}
        found["stock / ours"] = _ratios(runs["stock"], runs["ours"])
        found["aim_s"] = AIM_S
        if large:
            found["driver"] = benchmark_driver.measure(LARGE, root / "driver")
            found["large"] = measure_large(LARGE, root / "large")
    return found


def _warm_up(folder: Path) -> None:
    """The first workers of a Ray import what the later ones find in memory."""
    ours(2, folder / "ours")
    stock(2, folder / "stock")


def _summary(repeated: list[list[Outcome]], sizes: Sequence[int]) -> dict:
    """Totals of each size, and what one more trial costs from each size to the next. A size that
    was not run is extrapolated along the last slope, and says so."""
    run_sizes = [outcome.trials for outcome in repeated[0]]
    totals = {
        str(size): Spread.of([run[place].seconds for run in repeated]).as_json()
        for place, size in enumerate(run_sizes)
    }
    slopes = {
        f"{first}-{last}": Spread.of(
            [_slope(run[place], run[place + 1]) for run in repeated]
        ).as_json()
        for place, (first, last) in enumerate(zip(run_sizes, run_sizes[1:], strict=False))
    }
    cpu = Spread.of([run[-1].driver_cpu_s / run_sizes[-1] for run in repeated]).as_json()
    for size in sizes[len(run_sizes) :]:
        guessed = [
            run[-1].seconds + (size - run_sizes[-1]) * _slope(run[-2], run[-1]) for run in repeated
        ]
        totals[str(size)] = {**Spread.of(guessed).as_json(), "extrapolated": True}
    return {"total_s": totals, "marginal_s": slopes, "driver_cpu_s_per_trial": cpu}


def _slope(first: Outcome, last: Outcome) -> float:
    return (last.seconds - first.seconds) / (last.trials - first.trials)


def _ratios(upper: list[list[Outcome]], lower: list[list[Outcome]]) -> dict:
    """Of what one more trial costs, and of the totals, between the sizes that both ran."""
    both = [list(zip(a, b, strict=False)) for a, b in zip(upper, lower, strict=True)]
    last = len(both[0]) - 1
    totals = {
        str(both[0][place][0].trials): Spread.of_ratios(
            [run[place][0].seconds for run in both], [run[place][1].seconds for run in both]
        ).as_json()
        for place in range(last + 1)
    }
    marginal = Spread.of_ratios(
        [_slope(run[0][0], run[last][0]) for run in both],
        [_slope(run[0][1], run[last][1]) for run in both],
    )
    return {"total": totals, "marginal": marginal.as_json()}


def measure_large(trials: int, folder: Path) -> dict:
    """One long search: what a trial costs in each of its tenths, what it leaves on disk and in
    memory, and how long it takes to open its folder again."""
    outcome, logbook = ours(trials, folder)
    peak = _peak_memory()
    reopened = time.perf_counter()
    Logbook(RunFolder(folder), TrivialTask())
    return {
        "trials": trials,
        "seconds": outcome.seconds,
        "driver_cpu_s_per_trial": outcome.driver_cpu_s / trials,
        "marginal_s": marginal_by_part([trial.started for trial in logbook.state.trials]),
        "resume_s": time.perf_counter() - reopened,
        "driver_peak_bytes": peak,
        "bytes_per_trial": {
            path.name: path.stat().st_size / trials
            for path in (logbook.folder.ledger, logbook.folder.study)
        },
    }


def marginal_by_part(started: Sequence[float], parts: int = 10) -> dict[str, float]:
    """Seconds from one trial's start to the next one's, on average over each part of a search."""
    size = max(1, (len(started) - 1) // parts)
    edges = range(0, len(started) - size, size)
    return {f"{a}-{a + size}": (started[a + size] - started[a]) / size for a in edges}


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def environment_kept() -> Iterator[None]:
    """Our tuner quiets Ray through the environment; stock must be as Ray has it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _no_data() -> dict:
    nothing = torch.zeros(0, dtype=torch.int64)
    images = torch.zeros((0, 28, 28), dtype=torch.uint8)
    splits = {"train": nothing, "validation": nothing, "test": nothing, "split": "none"}
    about = {"name": "none", "class_names": (), "drawers": None, "centred": False, "sha256": ""}
    return arrays_from_data(ImageData(images=images, labels=nothing, **splits, **about))


def as_text(found: dict) -> list[str]:
    kinds = ("ours", "stock", "stock, actors reused")
    sizes = list(found["ours"]["total_s"])
    rows = [
        [kind, *(_total(found[kind]["total_s"][size]) for size in sizes), *_costs(found[kind])]
        for kind in kinds
    ]
    ratio = found["stock / ours"]
    rows.append(
        [
            "stock / ours",
            *(said(ratio["total"][size]) if size in ratio["total"] else "" for size in sizes),
            said(ratio["marginal"]),
            "",
        ]
    )
    head = ["seconds of", *(f"{size} trials" for size in sizes), "one more", "driver CPU each"]
    lines = table(head, rows)
    lines.append(f"one more: the slope of the last two sizes run; aim {found['aim_s']} s for ours")
    if "large" in found:
        lines += [*_large_text(found["large"]), "", *benchmark_driver.as_text(found["driver"])]
    return lines


def _total(spread: dict) -> str:
    return said(spread) + (" extrapolated" if spread.get("extrapolated") else "")


def _costs(summary: dict) -> list[str]:
    return [said(list(summary["marginal_s"].values())[-1]), said(summary["driver_cpu_s_per_trial"])]


def _large_text(large: dict) -> list[str]:
    parts = table(
        ["trials", "s each"],
        [[name, f"{value:.4f}"] for name, value in large["marginal_s"].items()],
    )
    size = ", ".join(f"{n} {value:,.0f} bytes" for n, value in large["bytes_per_trial"].items())
    return [
        "",
        f"one search of {large['trials']:,} trials: {large['seconds']:.0f} s, driver CPU "
        f"{large['driver_cpu_s_per_trial']:.4f} s a trial, driver peak memory "
        f"{large['driver_peak_bytes'] / 2**20:,.0f} MiB, folder opened again in "
        f"{large['resume_s']:.1f} s; a trial leaves {size}",
        *parts,
    ]
