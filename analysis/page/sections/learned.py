"""What the report says of what autoencoders learned: their pictures and their codes."""

from __future__ import annotations

import math
import struct
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from analysis.figures import autoencoders as autoencoder_figures
from analysis.figures import learned as learned_figures
from analysis.figures.learned import CodeMap, Interpolation
from analysis.measure.mistakes import kind_of
from analysis.page import blocks
from analysis.page.blocks import Block, Heading, picture
from analysis.read.runs import (
    Group,
    Result,
    Run,
    RunError,
    Skipped,
    column,
    number,
    one_line,
    read_examples,
)
from analysis.tables.frames import Column, Row, Table, accuracy, count, mse, plural, short

FEWEST = 5  # trials from which a rank correlation says anything
WIDEST = 0.1  # of the units, whose share of the variance is told

_LEVEL = "####"  # of this part's headings
_NEW = ("samples", "interpolations", "code_spread", "map")  # what older searches did not keep
_COUNTED = ("complete", "pruned", "running")
_DEFECTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    AttributeError,
    MemoryError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)  # what numpy and zipfile raise for files that are not what they seem

Kept = TypeVar("Kept")


def learned_blocks(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    """What the winners of a run of `search.autoencoders` draw, what their codes are like, and
    whether codes are better where the error is lower."""
    if not chosen:
        yield "No trial has been measured yet, so there is no autoencoder to look at."
        return
    yield Heading(f"{_LEVEL} Reconstructions")
    yield from _reconstructions(run, chosen)
    yield Heading(f"{_LEVEL} Samples")
    yield from _samples(run, chosen)
    yield Heading(f"{_LEVEL} From one drawing to another")
    yield from _interpolations(run, chosen)
    yield Heading(f"{_LEVEL} The codes in numbers")
    yield from _statistics(run, chosen)
    yield Heading(f"{_LEVEL} A map of the codes")
    yield from _maps(run, chosen)
    yield Heading(f"{_LEVEL} Does better reconstruction mean better codes?")
    yield from _error_and_accuracy(run, chosen)


def code_statistics(
    run: Run, chosen: dict[Group, Result], spreads: dict[Group, np.ndarray]
) -> Table:
    """How many units and directions each winner's code uses, and how the units differ.

    `spreads` are the standard deviations (D,) of code units, of the sizes that have them."""
    rows = [
        _statistics_row(run, size, winner, spreads.get(size, np.zeros(0)))
        for size, winner in chosen.items()
    ]
    return Table(
        "codes",
        pd.DataFrame(rows),
        (
            Column("code size", lambda row: str(row["latent_size"])),
            Column("active units", _active),
            Column("effective rank", lambda row: _tenths(row["effective_rank"])),
            Column("largest deviation", lambda row: short(row["largest_deviation"])),
            Column("median deviation", lambda row: short(row["median_deviation"])),
            Column(
                f"variance in the widest {WIDEST:.0%} of units",
                lambda row: _percent(row["widest_share"]),
            ),
        ),
    )


def correlations(run: Run) -> Table:
    """The rank correlation of validation MSE and probe accuracy over the trials of each code
    size, and what the trials of lowest error and of highest accuracy reach."""
    trials = measured_trials(run, {})
    sizes = [size for size in run.groups if (trials["size"] == size).any()]
    rows = [_correlation_row(str(size), trials[trials["size"] == size]) for size in sizes]
    rows += [_correlation_row("all", trials)] if len(sizes) > 1 else []
    return Table(
        "error-and-accuracy",
        pd.DataFrame(rows, columns=_CORRELATION_KEYS),
        (
            Column("code size", lambda row: row["latent_size"]),
            Column("rank correlation, complete trials", lambda row: _correlation(row, "complete")),
            Column("rank correlation, all trials", lambda row: _correlation(row, "all")),
            Column(
                "accuracy (MSE) of the lowest error",
                lambda row: f"{accuracy(row['lowest_accuracy'])} ({mse(row['lowest_mse'])})",
            ),
            Column(
                "accuracy (MSE) of the highest accuracy",
                lambda row: f"{accuracy(row['highest_accuracy'])} ({mse(row['highest_mse'])})",
            ),
        ),
    )


def measured_trials(run: Run, chosen: dict[Group, Result]) -> pd.DataFrame:
    """`size`, `error` (validation MSE), `accuracy` (of the probe), `state`, `complete` and `won` of
    the trials that have both figures and neither diverged nor failed."""
    won = {winner.trial for winner in chosen.values()}
    trials = pd.DataFrame(
        {
            "size": run.trials[run.group],
            "error": column(run.trials, "best_validation_mse"),
            "accuracy": column(run.trials, "best_probe_accuracy"),
            "state": run.trials["state"],
            "complete": run.trials["state"] == "complete",
            "won": run.trials["id"].isin(won),
        }
    )
    known = np.isfinite(trials[["size", "error", "accuracy"]].astype(float)).all(axis=1)
    return trials[known & (trials["error"] > 0) & run.trials["state"].isin(_COUNTED)]


def rank_correlation(trials: pd.DataFrame) -> tuple[float, float, float]:
    """Spearman's rank correlation of error and accuracy and its 95 % interval (Bonett and Wright
    2000, by Fisher's z); nan for fewer than 5 trials, or where one of the two never differs.

    >>> rising = pd.DataFrame({"error": range(1, 9), "accuracy": [1, 2, 4, 3, 5, 6, 8, 7]})
    >>> [round(end, 2) for end in rank_correlation(rising)]
    [0.95, 0.66, 0.99]
    """
    n = len(trials)
    if n < FEWEST:
        return math.nan, math.nan, math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are all equal
        value = float(spearmanr(trials["error"], trials["accuracy"]).statistic)
    middle = math.atanh(min(max(value, -0.999), 0.999))  # at 1 the interval would have no width
    half = 1.96 * math.sqrt((1 + value**2 / 2) / (n - 3))
    return value, math.tanh(middle - half), math.tanh(middle + half)


def _reconstructions(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    yield (
        "Drawings of the validation split, what the training noise of each winner makes of them, "
        "and what its network makes of the drawings without noise."
    )
    for size, winner in chosen.items():
        name = f"reconstructions-{size}"
        try:
            figure = autoencoder_figures.reconstructions(winner, read_examples(run, size))
        except RunError as error:
            yield Skipped(f"{name}.png", str(error))
            continue
        yield picture(
            name,
            figure,
            f"Code {size}: inputs (of the validation split), noised inputs, and "
            "reconstructions of the inputs.",
        )


def _samples(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    found, missing = _read_all(run, chosen, read_samples)
    if found:
        yield (
            "A mixture of ten Gaussians is fitted to the codes of training drawings; random codes "
            "are drawn from it and decoded. The network was never trained to draw: what looks like "
            "a drawing here comes from how its codes lie. The distance between such samples and "
            "real drawings is in the part on the Frechet classifier distance."
        )
        caption = "Decoded from random codes of a mixture of Gaussians, by code size."
        yield picture("samples", learned_figures.samples(found), caption)
    yield from _skipped("samples.png", missing)


def _interpolations(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    found, missing = _read_all(run, chosen, read_interpolations)
    if found:
        yield (
            "Two validation drawings of different classes are encoded; codes at equal steps on the "
            "straight line between theirs are decoded. Where the way leads through two drawings "
            "that fade into each other, the line leaves the codes of drawings; where strokes move, "
            "it stays among them."
        )
        caption = "Decoded on the straight line between the codes of two drawings, by code size."
        yield picture("interpolations", learned_figures.interpolations(found), caption)
    yield from _skipped("interpolations.png", missing)


def _statistics(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    spreads, missing = _read_all(run, chosen, read_spread)
    table = code_statistics(run, chosen, spreads)
    yield (
        "Of the codes of validation drawings. A unit is active if its variance exceeds 1 % of the "
        "widest unit's. The effective rank (Roy and Vetterli 2007) is the number of directions "
        "that the codes would fill evenly; it can exceed neither the code size nor the number of "
        "drawings. Deviations are standard deviations of single units, in the units of the code, "
        "so they compare within a code size, not between sizes."
    )
    yield table
    yield from blocks.bullets(_statistics_notes(table))
    if spreads:
        caption = "Standard deviation of each code unit, widest first, log-log, by code size."
        yield picture("code-spread", learned_figures.spread(spreads), caption)
    yield from _skipped("code-spread.png", missing)


def _statistics_notes(table: Table) -> Iterator[str]:
    for row in table.rows:
        size, rank, active = row["latent_size"], row["effective_rank"], row["active_units"]
        if not math.isfinite(rank):
            yield f"Code {size}: no effective rank is recorded for its winner."
            continue
        units = f"{count(active)} of {size} units are active and " if active >= 0 else ""
        yield (
            f"Code {size}: {units}the codes spread over {_tenths(rank)} directions, "
            f"{_percent(rank / size)} of as many as there are units."
        )


def _maps(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    found, missing = _read_all(run, chosen, read_map)
    if found:
        kinds = max(len(one.names) for one in found.values())
        drawings = max(len(one.points) for one in found.values())
        what = kind_of(run)
        several = "alphabets" if what == "alphabet" else "classes"
        most = what == "alphabet" or number(run.data.get("classes")) > kinds
        yield (
            f"Codes of {drawings:,} validation drawings, laid out on a plane by t-SNE (van der "
            f"Maaten and Hinton 2008), coloured and marked by {what} ({kinds} {several}"
            f"{', the most frequent' if most else ''}). t-SNE keeps neighbours together: "
            "that drawings lie side by side means something, how far apart far groups lie, how "
            "large they look and which way is up mean nothing."
        )
        caption = f"t-SNE of validation codes by {what}, a panel per code size."
        yield picture("code-map", learned_figures.maps(found), caption)
    yield from _skipped("code-map.png", missing)


def _error_and_accuracy(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    trials, table = measured_trials(run, chosen), correlations(run)
    left = len(run.trials) - len(trials)
    yield (
        "Each trial's validation MSE against the accuracy of a probe that assigns a validation "
        "code to the nearest class mean of training codes, both at the trial's best epoch. A "
        "negative rank correlation (Spearman; in brackets an approximate 95 % interval, then the "
        "number of trials) says that codes are better where the error is lower. Trials that were "
        "stopped early trained less, which alone makes both figures worse, so the answer is taken "
        "from complete trials. The search chose what to try by what had gone well, so trials are "
        "no independent draws and the intervals are rather too narrow."
        + (
            f" Left out: {plural(left, 'trial')} that diverged, failed or "
            f"{'lacks' if left == 1 else 'lack'} a figure."
            if left
            else ""
        )
    )
    if table.rows:
        yield table
    yield answer(table)
    yield picture(
        "error-and-accuracy",
        learned_figures.error_and_accuracy(trials, run.groups),
        "Validation MSE and probe accuracy of every trial; winners ringed.",
    )


def answer(table: Table) -> str:
    """Whether better reconstruction means better codes; `table` is `correlations`."""
    rows = [row for row in table.rows if row["latent_size"] != "all"]
    judged = [row for row in rows if math.isfinite(row["complete"])]
    if not judged:
        most = max((int(row["complete_n"]) for row in rows), default=0)
        return (
            "Whether better reconstruction means better codes cannot be judged here: it takes "
            f"{FEWEST} complete trials of a code size, whose figures differ, and no code size has "
            f"more than {most}."
        )
    words = "; ".join(f"code {row['latent_size']}: {_verdict(row)}" for row in rows)
    return f"**{_overall(judged)}** {words[0].upper()}{words[1:]}.{_best_codes(judged)}"


def _overall(rows: list[Row]) -> str:
    """The verdicts as one."""
    better = sum(row["complete_high"] < 0 for row in rows)
    worse = sum(row["complete_low"] > 0 for row in rows)
    verdicts = (
        (better, "the lower error goes with better codes"),
        (worse, "the lower error goes with worse codes"),
        (len(rows) - better - worse, "neither goes with the other"),
    )
    if len(rows) == 1:
        word, said = ("Yes", "No", "Not shown"), [what for number, what in verdicts if number]
        at = f"at code {rows[0]['latent_size']}, the only one that can be judged"
        return f"{word[[number for number, _ in verdicts].index(1)]}: {at}, {said[0]}."
    listed = [
        f"at {number} of {len(rows)} code sizes {what}" for number, what in verdicts if number
    ]
    word = "Yes" if better == len(rows) else "Not always" if better else "No"
    return f"{word}: {', '.join(listed)}."


def _verdict(row: Row) -> str:
    if not math.isfinite(row["complete"]):
        return f"cannot be judged ({plural(int(row['complete_n']), 'complete trial')})"
    said = "the interval includes 0"
    if row["complete_high"] < 0:
        said = "the lower the error, the better the codes"
    elif row["complete_low"] > 0:
        said = "the lower the error, the worse the codes"
    return f"{_correlation(row, 'complete')}, {said}"


def _best_codes(rows: list[Row]) -> str:
    """What choosing by error costs in accuracy, where most."""
    row = max(rows, key=lambda row: row["highest_accuracy"] - row["lowest_accuracy"])
    cost = 100 * (row["highest_accuracy"] - row["lowest_accuracy"])
    if not cost > 0:
        return " At each the trial of lowest error has the highest accuracy, too."
    most = " most" if len(rows) > 1 else ""
    return (
        f" Choosing by the error costs{most} at code {row['latent_size']}: its trial of lowest "
        f"error reads {accuracy(row['lowest_accuracy'])} of the drawings, {cost:.1f} points less "
        f"than the best, whose MSE is {row['highest_mse'] / row['lowest_mse']:.2g} times as large."
    )


# Reading


def read_samples(run: Run, size: Group) -> np.ndarray:
    """Decoded random codes (N, 28, 28) in [0, 1]. Raises `RunError`, as the other readers do, if
    the file is missing, broken, pickled or of an older version."""
    return _read(run, size, ("samples",), lambda images: _images(images, "samples", (28, 28)))


def read_interpolations(run: Run, size: Group) -> Interpolation:
    """Images on the way from one drawing to another, and the drawings."""
    return _read(run, size, ("interpolations", "interpolation_ends"), _interpolation)


def read_spread(run: Run, size: Group) -> np.ndarray:
    """The standard deviations (D,) of code units, falling."""
    return _read(run, size, ("code_spread",), _deviations)


def read_map(run: Run, size: Group) -> CodeMap:
    """Codes on a plane, with their kinds."""
    return _read(run, size, ("map", "map_kinds", "map_names"), _code_map)


def _read(run: Run, size: Group, keys: tuple[str, ...], make: Callable[..., Kept]) -> Kept:
    """What `make` makes of arrays of the winner's examples."""
    name = f"best/{size}/examples.npz"
    try:
        with np.load(run.folder / name, allow_pickle=False) as archive:
            if absent := _absent(run, archive.files, keys):
                raise RunError(absent)
            return make(*[archive[key] for key in keys])
    except RunError:
        raise
    except FileNotFoundError:
        command = blocks.resume_command(run)
        raise RunError(f"{name} is missing; {command} makes it") from None
    except _DEFECTS as error:
        raise RunError(f"{name} cannot be read ({one_line(error)})") from None


def _absent(run: Run, held: Iterable[str], keys: Iterable[str]) -> str:
    """Why the examples lack one of `keys`; empty if they do not."""
    if set(keys) <= set(held):
        return ""
    if not set(_NEW) & set(held):
        return f"made by an older version; {blocks.resume_command(run)} makes it"
    return "the validation split has too few drawings for it, or their codes are all equal"


def _read_all(
    run: Run, sizes: Iterable[Group], read: Callable[[Run, Group], Kept]
) -> tuple[dict[Group, Kept], dict[str, list[Group]]]:
    """What could be read, by code size, and for what reason which sizes could not be."""
    found: dict[Group, Kept] = {}
    missing: dict[str, list[Group]] = defaultdict(list)
    for size in sizes:
        try:
            found[size] = read(run, size)
        except RunError as error:
            missing[str(error)].append(size)
    return found, missing


def _skipped(name: str, missing: dict[str, list[Group]]) -> Iterator[Skipped]:
    for reason, sizes in missing.items():
        yield Skipped(f"{name}, code {', '.join(map(str, sizes))}", reason)


def _images(array: np.ndarray, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Images (N, *shape) in [0, 1]."""
    if array.ndim != 1 + len(shape) or array.shape[1:] != shape or not len(array):
        raise ValueError(f"{key} has shape {array.shape}, not (N, {', '.join(map(str, shape))})")
    scale = 255 if array.dtype == np.uint8 else 1
    return np.clip(np.nan_to_num(array.astype(np.float64) / scale, nan=0.0), 0, 1)


def _interpolation(images: np.ndarray, ends: np.ndarray) -> Interpolation:
    steps = images.shape[1] if images.ndim > 1 else 0
    if steps < 2 or len(images) != len(ends):
        raise ValueError(f"interpolations have shape {images.shape}, their ends {ends.shape}")
    return Interpolation(
        _images(images, "interpolations", (steps, 28, 28)),
        _images(ends, "interpolation_ends", (2, 28, 28)),
    )


def _deviations(units: np.ndarray) -> np.ndarray:
    units = units.astype(np.float64)
    if units.ndim != 1 or not len(units) or not np.isfinite(units).all() or units.min() < 0:
        raise ValueError(f"code_spread, of shape {units.shape}, holds no deviations")
    return -np.sort(-units)


def _code_map(points: np.ndarray, kinds: np.ndarray, names: np.ndarray) -> CodeMap:
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"map has shape {points.shape}, not (N, 2)")
    if names.ndim != 1 or names.dtype.kind != "U" or kinds.dtype.kind not in "iu":
        raise ValueError("map_names or map_kinds are of another type")
    points = points.astype(np.float64)
    if kinds.shape != points.shape[:1] or not np.isfinite(points).all():
        raise ValueError("map has points without a place or a kind")
    if kinds.min() < 0 or kinds.max() >= len(names):
        raise ValueError("map_kinds has a kind without a name")
    return CodeMap(points, kinds, tuple(map(str, names)))


# Rows


def _statistics_row(run: Run, size: Group, winner: Result, spread: np.ndarray) -> dict[str, Any]:
    trial = run.trials[run.trials["id"] == winner.trial]
    active = _first(column(trial, "best_active_fraction"))
    variance = np.square(spread)
    widest = math.ceil(WIDEST * len(spread))
    return {
        "latent_size": size,
        "trial": winner.trial,
        "active_units": round(active * size) if math.isfinite(active) else math.nan,
        "active_fraction": active,
        "effective_rank": _first(column(trial, "best_effective_rank")),
        "largest_deviation": spread[0] if len(spread) else math.nan,
        "median_deviation": float(np.median(spread)) if len(spread) else math.nan,
        "widest_units": widest or math.nan,
        "widest_share": variance[:widest].sum() / variance.sum() if variance.any() else math.nan,
    }


def _first(values: pd.Series) -> float:
    return float(values.iloc[0]) if len(values) else math.nan


def _active(row: Row) -> str:
    if not math.isfinite(row["active_fraction"]):
        return "-"
    return f"{count(row['active_units'])} ({_percent(row['active_fraction'])})"


def _tenths(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "-"


def _percent(value: float) -> str:
    """A fraction as a percentage.

    >>> _percent(0.2144), _percent(math.nan)
    ('21.4 %', '-')
    """
    return f"{100 * value:.3g} %" if math.isfinite(value) else "-"


_CORRELATION_KEYS = [
    "latent_size",
    *(f"{which}{end}" for which in ("complete", "all") for end in ("", "_low", "_high", "_n")),
    "lowest_mse",
    "lowest_accuracy",
    "highest_mse",
    "highest_accuracy",
]


def _correlation_row(label: str, trials: pd.DataFrame) -> dict[str, Any]:
    complete = trials[trials["complete"]]
    row: dict[str, Any] = {"latent_size": label}
    for which, some in (("complete", complete), ("all", trials)):
        value, low, high = rank_correlation(some)
        row |= {which: value, f"{which}_low": low, f"{which}_high": high, f"{which}_n": len(some)}
    lowest = trials.sort_values("error", kind="stable").iloc[0]
    highest = trials.sort_values(["accuracy", "error"], ascending=[False, True]).iloc[0]
    return row | {
        "lowest_mse": lowest["error"],
        "lowest_accuracy": lowest["accuracy"],
        "highest_mse": highest["error"],
        "highest_accuracy": highest["accuracy"],
    }


def _correlation(row: Row, which: str) -> str:
    trials = int(row[f"{which}_n"])
    if not math.isfinite(row[which]):
        return f"- ({trials})"
    return f"{row[which]:+.2f} [{row[f'{which}_low']:+.2f}, {row[f'{which}_high']:+.2f}] ({trials})"
