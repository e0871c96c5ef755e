"""What a trial costs besides its training: trivial trials, through this project's tuner and Ray's.

Ours is all that a search has: ledger, study, suggestions, ASHA, tables. Stock is a `tune.Tuner`
with OptunaSearch and ASHAScheduler and Ray's defaults, and again with `reuse_actors=True`. A total
runs until `fit` returns, and includes the start of the workers. What one more trial costs is the
slope between two sizes.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from search.benchmark import driver
from search.benchmark.figures import ratio_spread, spread, spread_text
from search.benchmark.searches import search_ours, search_stock
from search.benchmark.trivial import SPACE, NoData, TrivialTask, trivial
from search.simulate.table import columns
from search.task.kinds import positive_int
from search.task.settings import Settings, UsageError
from search.tune.logbook import Logbook

SIZES = (5, 20, 100, 1000)
# The most trials that stock runs; larger sizes are extrapolated. Stock takes seconds a trial: a
# hundred trials take as long as all other measurements, and twenty show the same slope.
STOCK_MOST, STOCK_MOST_TO_THE_END, REUSED_MOST = 20, 100, 100
LARGE = 10_000
EPOCHS = 20  # of the trials that show what a further epoch costs
KINDS = ("ours", "stock", "stock, actors reused")
AIM_S = 0.05  # for one more trial
NEEDS_RAY = True


def add_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--large", action="store_true", help=f"run {LARGE:,} trivial trials through ours too")
    add(
        "--trial-counts",
        nargs="+",
        type=positive_int,
        default=SIZES,
        help="numbers of trivial trials, at least two, rising "
        f"(default {' '.join(map(str, SIZES))}); stock runs those up to {STOCK_MOST}, the rest is "
        "extrapolated",
    )


def prepare(given: argparse.Namespace) -> Callable[[], dict]:
    """The measurement that was asked for. Raises UsageError."""
    counts = tuple(given.trial_counts)
    if len(counts) < 2 or list(counts) != sorted(set(counts)):
        raise UsageError("--trial-counts needs two numbers or more, rising")
    return lambda: measure(counts, given.repetitions, given.large, given.to_the_end)


@dataclass(frozen=True)
class Outcome:
    """What one search of trivial trials took."""

    trials: int
    seconds: float
    driver_cpu_s: float  # of this process alone


Runs = dict[int, list[Outcome]]  # of each size, in order of repetition


def ours(trials: int, folder: Path, epochs: int = 1) -> tuple[Outcome, Logbook]:
    """A search of `trials` trivial trials in a new run folder; no trial is stopped early."""
    start, cpu = time.perf_counter(), time.process_time()
    settings = Settings(num_samples=trials, gpus_per_trial=0.0, grace_epochs=epochs)
    logbook = search_ours(TrivialTask(epochs), settings, NoData(), folder)
    took = Outcome(trials, time.perf_counter() - start, time.process_time() - cpu)
    return took, logbook


def stock(trials: int, folder: Path, reuse_actors: bool = False) -> Outcome:
    """The same search with Ray's own searcher and scheduler, as its documentation combines them."""
    start, cpu = time.perf_counter(), time.process_time()
    searcher = OptunaSearch(SPACE.all_distributions(), metric="value", mode="min", seed=0)
    search_stock(
        tune.Tuner(
            tune.with_resources(_trivial_trainable, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                metric="value",
                mode="min",
                search_alg=searcher,
                scheduler=ASHAScheduler(),
                num_samples=trials,
                reuse_actors=reuse_actors,
            ),
            run_config=tune.RunConfig(storage_path=str(folder), name="stock", verbose=0),
        )
    )
    return Outcome(trials, time.perf_counter() - start, time.process_time() - cpu)


def _trivial_trainable(config: dict) -> None:
    tune.report({"value": trivial(config)})


def measure(
    sizes: Sequence[int] = SIZES,
    repetitions: int = 3,
    large: bool = False,
    to_the_end: bool = False,
) -> dict:
    """The figures of this part, JSON-ready. Ray must be running.

    Ours runs all `sizes` `repetitions` times. Stock runs those up to STOCK_MOST as often; with
    `to_the_end` the larger ones, up to STOCK_MOST_TO_THE_END, once. With reused actors it runs
    those up to REUSED_MOST. Each runs the two smallest at least, for a slope."""
    runs: dict[str, Runs] = {kind: {} for kind in KINDS}
    stock_sizes = _up_to(STOCK_MOST_TO_THE_END if to_the_end else STOCK_MOST, sizes)
    further: list[float] = []

    def note(kind: str, outcome: Outcome) -> None:
        runs[kind].setdefault(outcome.trials, []).append(outcome)

    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        root = Path(name)
        _warm_up(root / "warm")
        for repetition in range(repetitions):
            folder = root / str(repetition)
            for n in sizes:
                note("ours", ours(n, folder / f"ours-{n}")[0])
            longer = ours(sizes[0], folder / "epochs", EPOCHS)[0]
            further.append(_further_epoch_s(runs["ours"][sizes[0]][-1], longer))
            for n in stock_sizes:
                if repetition == 0 or n <= STOCK_MOST or n == sizes[0]:
                    note("stock", stock(n, folder / f"stock-{n}"))
            for n in _up_to(REUSED_MOST, sizes):
                note("stock, actors reused", stock(n, folder / f"reused-{n}", reuse_actors=True))
        found = {kind: summary(each, sizes) for kind, each in runs.items()}
        found["ours"]["further_epoch_s"] = spread(further)
        found["stock / ours"] = ratios(runs["stock"], runs["ours"])
        found["aim_s"] = AIM_S
        if large:
            found["driver"] = driver.measure(LARGE, root / "driver")
            found["large"] = measure_large(LARGE, root / "large")
    return found


def _up_to(most: int, sizes: Sequence[int]) -> list[int]:
    return [n for index, n in enumerate(sizes) if n <= most or index < 2]


def _warm_up(folder: Path) -> None:
    """The first workers import what the later ones find in memory."""
    ours(2, folder / "ours")
    stock(2, folder / "stock")


def _further_epoch_s(short: Outcome, longer: Outcome) -> float:
    """Seconds that an epoch costs after a trial's first."""
    return (longer.seconds - short.seconds) / (short.trials * (EPOCHS - 1))


def summary(runs: Runs, sizes: Sequence[int]) -> dict:
    """Totals of each size, and what one more trial costs between neighbouring sizes. A size that
    was not run is extrapolated along the last slope, and marked so."""
    totals = {
        str(size): spread([outcome.seconds for outcome in each]) for size, each in runs.items()
    }
    pairs = list(itertools.pairwise(runs))
    slopes = {f"{a}-{b}": spread(_slopes(runs, a, b)) for a, b in pairs}
    last = list(runs)[-1]
    slope = slopes["{}-{}".format(*pairs[-1])]["median"]
    for size in sizes:
        if size not in runs:
            guess = totals[str(last)]["median"] + (size - last) * slope
            totals[str(size)] = {**spread([guess]), "extrapolated": True}
    cpu = spread([outcome.driver_cpu_s / last for outcome in runs[last]])
    return {"total_s": totals, "marginal_s": slopes, "driver_cpu_s_per_trial": cpu}


def _slopes(runs: Runs, first: int, last: int) -> list[float]:
    """Seconds that each further trial costs, in each repetition that ran both sizes."""
    both = zip(runs[first], runs[last], strict=False)
    return [(b.seconds - a.seconds) / (last - first) for a, b in both]


def ratios(upper: Runs, lower: Runs) -> dict:
    """Ratios of the totals, in the repetitions that ran both, and of what one more trial costs. The
    second ratio is taken at the largest sizes that each ran: between small sizes, the time that
    ours takes to start hides its slope."""

    def ratio(a: list[float], b: list[float]) -> dict:
        number = min(len(a), len(b))
        return ratio_spread(a[:number], b[:number])

    def seconds(runs: Runs, size: int) -> list[float]:
        return [outcome.seconds for outcome in runs[size]]

    totals = {
        str(size): ratio(seconds(upper, size), seconds(lower, size))
        for size in upper
        if size in lower
    }
    last = [_slopes(each, *list(each)[-2:]) for each in (upper, lower)]
    return {"total": totals, "marginal": ratio(*last)}


def measure_large(trials: int, folder: Path) -> dict:
    """One long search: what a trial costs in each tenth of it, what it leaves on disk and in
    memory, and how long it takes to open its folder again."""
    outcome, logbook = ours(trials, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
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
    """Mean seconds from one trial's start to the next one's, in each part of a search."""
    size = max(1, (len(started) - 1) // parts)
    edges = range(0, len(started) - size, size)
    return {f"{a}-{a + size}": (started[a + size] - started[a]) / size for a in edges}


def as_text(found: dict) -> list[str]:
    sizes = list(found["ours"]["total_s"])
    rows = [
        [kind, *(_total(found[kind]["total_s"][size]) for size in sizes), *_costs(found[kind])]
        for kind in KINDS
    ]
    ratio = found["stock / ours"]
    totals = (spread_text(ratio["total"][n]) if n in ratio["total"] else "" for n in sizes)
    rows.append(["stock / ours", *totals, spread_text(ratio["marginal"]), ""])
    head = ["seconds of", *(f"{size} trials" for size in sizes), "one more", "driver CPU each"]
    lines = columns(head, rows)
    lines.append(
        f"one more: the slope of the last two sizes run, aim {found['aim_s']} s for ours; "
        f"a further epoch of ours {spread_text(found['ours']['further_epoch_s'])}"
    )
    if "large" in found:
        lines += [*_large_text(found["large"]), "", *driver.as_text(found["driver"])]
    return lines


def _total(found: dict) -> str:
    return spread_text(found) + (" extrapolated" if found.get("extrapolated") else "")


def _costs(summary: dict) -> list[str]:
    last = list(summary["marginal_s"].values())[-1]
    return [spread_text(last), spread_text(summary["driver_cpu_s_per_trial"])]


def _large_text(large: dict) -> list[str]:
    parts = columns(
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
