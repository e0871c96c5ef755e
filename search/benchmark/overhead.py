"""What a trial costs beside its training: trials that only do a sum, through this project's tuner
and through Ray's own.

Ours is all that a search has: ledger, study, suggestions, ASHA, tables. Stock is a `tune.Tuner`
with OptunaSearch and ASHAScheduler, with everything else as Ray sets it, and again with
`reuse_actors=True`. A total counts from the first line of the ledger (from the tuner) until `fit`
returns, start of the workers included; what one more trial costs is the slope between two sizes.
"""

from __future__ import annotations

import itertools
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
from search.benchmark import driver as benchmark_driver
from search.benchmark.figures import Spread, said, table
from search.cluster.capacity import session_limits
from search.session.tables import TableWriter
from search.task.protocol import arrays_from_data
from search.task.settings import Settings
from search.task.space import Preset, Space
from search.tune.logbook import Logbook
from search.tune.tuner import build_tuner

SIZES = (5, 20, 100, 1000)
# The most that a rival runs; what is beyond is extrapolated. At seconds a trial, stock's hundred
# take as long as all else here, and its twenty show the same slope.
STOCK_MOST, STOCK_MOST_TO_THE_END, REUSED_MOST = 20, 100, 100
LARGE = 10_000
EPOCHS = 20  # of the trials that show what a further epoch costs
KINDS = ("ours", "stock", "stock, actors reused")
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
    """A `search.task.Task` without checkpoints; only what a search asks of it."""

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
        return TrivialRun(parameters, self.max_epochs)


class TrivialRun:
    """A `search.task.Run` whose epochs are all alike."""

    def __init__(self, parameters: dict, max_epochs: int):
        self._parameters, self._max_epochs = parameters, max_epochs

    def epochs(self) -> Iterator[dict]:
        for epoch in range(1, self._max_epochs + 1):
            value = trivial(self._parameters)
            yield {"epoch": epoch, "train_loss": value, "value": value}


@dataclass(frozen=True)
class Outcome:
    """What one search of trivial trials took."""

    trials: int
    seconds: float
    driver_cpu_s: float  # of this process alone


Runs = dict[int, list[Outcome]]  # of each size, in order of repetition


def ours(trials: int, folder: Path, epochs: int = 1) -> tuple[Outcome, Logbook]:
    """A search of so many trivial trials in the run folder `folder`, which is made."""
    start, cpu = time.perf_counter(), time.process_time()
    logbook = Logbook.start(folder, TrivialTask(epochs))
    tables = TableWriter(logbook)
    limits = session_limits(
        Settings(num_samples=trials, gpus_per_trial=0.0, grace_epochs=epochs)  # nothing is stopped
    )
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
    repetitions: int = 3,
    large: bool = False,
    to_the_end: bool = False,
) -> dict:
    """Everything that is printed of this part, JSON-ready; Ray is up.

    `sizes` rise, two or more; a rival runs the first two at least. Each is run `repetitions` times:
    ours all, stock's smallest and up to twenty trials, with reused actors up to a hundred. A larger
    one of stock's is run once, for it takes long: up to a hundred `to_the_end`."""
    runs: dict[str, Runs] = {kind: {} for kind in KINDS}
    stock_sizes = _up_to(STOCK_MOST_TO_THE_END if to_the_end else STOCK_MOST, sizes)
    further: list[float] = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        root = Path(name)
        _warm_up(root / "warm")
        for repetition in range(repetitions):
            place = root / str(repetition)
            for n in sizes:
                runs["ours"].setdefault(n, []).append(ours(n, place / f"ours-{n}")[0])
            longer = ours(sizes[0], place / "epochs", EPOCHS)[0]
            further.append(_further_epoch_s(runs["ours"][sizes[0]][-1], longer))
            for n in stock_sizes:
                if repetition == 0 or n <= STOCK_MOST or n == sizes[0]:
                    runs["stock"].setdefault(n, []).append(stock(n, place / f"stock-{n}"))
            for n in _up_to(REUSED_MOST, sizes):
                took = stock(n, place / f"reused-{n}", reuse_actors=True)
                runs["stock, actors reused"].setdefault(n, []).append(took)
        found = {kind: summary(each, sizes) for kind, each in runs.items()}
        found["ours"]["further_epoch_s"] = Spread.of(further).as_json()
        found["stock / ours"] = ratios(runs["stock"], runs["ours"])
        found["aim_s"] = AIM_S
        if large:
            found["driver"] = benchmark_driver.measure(LARGE, root / "driver")
            found["large"] = measure_large(LARGE, root / "large")
    return found


def _up_to(most: int, sizes: Sequence[int]) -> list[int]:
    """Two at least, for a slope."""
    return [n for place, n in enumerate(sizes) if n <= most or place < 2]


def _warm_up(folder: Path) -> None:
    """The first workers of a Ray import what the later ones find in memory."""
    ours(2, folder / "ours")
    stock(2, folder / "stock")


def _further_epoch_s(short: Outcome, longer: Outcome) -> float:
    """What an epoch costs that is not a trial's first."""
    return (longer.seconds - short.seconds) / (short.trials * (EPOCHS - 1))


def summary(runs: Runs, sizes: Sequence[int]) -> dict:
    """Totals of each size, and what one more trial costs from each size to the next. A size that
    was not run is extrapolated along the last slope, and says so."""
    totals = {
        str(size): Spread.of([outcome.seconds for outcome in each]).as_json()
        for size, each in runs.items()
    }
    pairs = list(itertools.pairwise(runs))
    slopes = {f"{a}-{b}": Spread.of(_slopes(runs, a, b)).as_json() for a, b in pairs}
    last = list(runs)[-1]
    slope = slopes["{}-{}".format(*pairs[-1])]["median"]
    for size in sizes:
        if size not in runs:
            guess = totals[str(last)]["median"] + (size - last) * slope
            totals[str(size)] = {**Spread.of([guess]).as_json(), "extrapolated": True}
    cpu = Spread.of([outcome.driver_cpu_s / last for outcome in runs[last]])
    return {"total_s": totals, "marginal_s": slopes, "driver_cpu_s_per_trial": cpu.as_json()}


def _slopes(runs: Runs, first: int, last: int) -> list[float]:
    """Of the repetitions that ran both sizes."""
    both = zip(runs[first], runs[last], strict=False)
    return [(b.seconds - a.seconds) / (last - first) for a, b in both]


def ratios(upper: Runs, lower: Runs) -> dict:
    """Of the totals, in the repetitions that ran both, and of what one more trial costs at the
    largest sizes that each ran: between few trials the slope of ours is lost in its start."""

    def of(a: list[float], b: list[float]) -> dict:
        number = min(len(a), len(b))
        return Spread.of_ratios(a[:number], b[:number]).as_json()

    sizes = [size for size in upper if size in lower]
    totals = {
        str(size): of([o.seconds for o in upper[size]], [o.seconds for o in lower[size]])
        for size in sizes
    }
    last = [_slopes(each, *list(each)[-2:]) for each in (upper, lower)]
    return {"total": totals, "marginal": of(*last)}


def measure_large(trials: int, folder: Path) -> dict:
    """One long search: what a trial costs in each of its tenths, what it leaves on disk and in
    memory, and how long it takes to open its folder again."""
    outcome, logbook = ours(trials, folder)
    peak = _peak_memory()
    reopened = time.perf_counter()
    Logbook(logbook.folder, TrivialTask())
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
    sizes = list(found["ours"]["total_s"])
    rows = [
        [kind, *(_total(found[kind]["total_s"][size]) for size in sizes), *_costs(found[kind])]
        for kind in KINDS
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
    lines.append(
        f"one more: the slope of the last two sizes run, aim {found['aim_s']} s for ours; "
        f"a further epoch of ours {said(found['ours']['further_epoch_s'])}"
    )
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
