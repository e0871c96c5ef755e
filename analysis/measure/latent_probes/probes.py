"""Classifiers of codes as a search measured them: each probe at each code size, the seed report's
perceptrons, and the trials that a limit or an error stopped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.measure.latent_probes.groups import best_on_validation, probe_and_size
from analysis.measure.latent_probes.perceptrons import BLOCKS, L2, TWO_STAGE, TWO_STAGE_L2
from analysis.measure.presets import Presets
from analysis.read.runs import Group, Result, Run, winners
from analysis.read.values import column, number
from search.record.schema import ERROR, REASON_MEMORY, REASON_TIME

FORESTS, BOOSTING = ("random-forest", "extra-trees"), ("catboost",)
PROBES = ("nearest-mean", "knn", "lda", "logistic", "mlp", *FORESTS, *BOOSTING)
"""The order of rows, from the simplest probe to the costliest; any other comes after these."""

ON_PIXELS = {"nearest-mean": "nearest_mean", "knn": "1-nn"}
"""The floor in final.json with the same kind of classifier, on pixels instead of codes."""

LIMITS = (REASON_TIME, REASON_MEMORY)


@dataclass(frozen=True)
class Probe:
    """The best trial of a probe at a code size. If no trial is measured, its result is empty.

    `low` and `high` are the ends of the 95 % interval of its test accuracy, `on_pixels` is the test
    accuracy of the same classifier on pixels, `seconds` the time of its trial; nan if not known.
    """

    group: Group
    name: str
    size: int
    result: Result = field(default_factory=Result)
    low: float = math.nan
    high: float = math.nan
    on_pixels: float = math.nan
    seconds: float = math.nan
    best: bool = False  # of all, on validation

    @property
    def measured(self) -> bool:
        return self.result.group is not None

    @property
    def test(self) -> float:
        return self.result.value("test_accuracy")

    @property
    def validation(self) -> float:
        return self.result.own("validation_accuracy")


@dataclass(frozen=True)
class Perceptron:
    """A perceptron of the seed report, fitted once; nan where it is not measured.

    `l2_later` is the L2 of the second half of its epochs, nan if there is no change.
    """

    preset: str
    trial: str
    blocks: int
    l2: float
    l2_later: float
    epochs: float
    train_loss: float
    train_accuracy: float
    validation_accuracy: float
    test_accuracy: float


@dataclass(frozen=True)
class Stop:
    """A trial that ended early; `code` is a reason of the schema, `words` say it."""

    trial: str
    group: Group
    probe: str
    size: int
    state: str
    epochs: float
    code: str
    words: str


def probes(run: Run) -> tuple[Probe, ...]:
    """The best of each probe and code size, in the order of `PROBES`, the largest code first."""
    chosen = winners(run)
    best = best_on_validation(chosen).group
    seconds = dict(zip(run.trials["id"], column(run.trials, "seconds"), strict=True))
    return tuple(
        _probe(run, group, chosen.get(group, Result()), seconds, best is not None and group == best)
        for group in sorted(run.groups, key=_rank)
    )


def best_on_test(found: Iterable[Probe]) -> Probe | None:
    """A probe that tests higher than the best on validation; None if that is the best here too."""
    tested = [probe for probe in found if math.isfinite(probe.test)]
    best = next((probe for probe in tested if probe.best), None)
    highest = max(tested, key=lambda probe: probe.test, default=None)
    return highest if best and highest and highest.test > best.test else None


def code_sizes(run: Run) -> list[int]:
    """Largest first."""
    return sorted({probe_and_size(group)[1] for group in run.groups}, reverse=True)


def perceptrons(run: Run) -> dict[str, Perceptron]:
    """The seed report's perceptrons by preset."""
    ours, names = Presets.of(run), dict.fromkeys((*BLOCKS, *L2, TWO_STAGE))
    return {name: _perceptron(name, ours.get(name)) for name in names}


def l2_sweep(found: Mapping[str, Perceptron]) -> list[Perceptron]:
    """The sweep of L2 at two blocks as far as it is tested, the weakest first."""
    return [found[name] for name in L2 if math.isfinite(found[name].test_accuracy)]


def stops(run: Run) -> list[Stop]:
    """Every trial that ended early and why, in the order of trials.csv."""
    return [_stop(trial, run.group) for trial in run.trials.to_dict("records") if trial["reason"]]


def limited(found: Iterable[Stop]) -> list[Stop]:
    """Those that a limit of time or memory stopped, or an error."""
    return [stop for stop in found if stop.code in LIMITS or stop.state == ERROR]


def rank(probe: str) -> tuple[int, str]:
    """The place of a probe among all."""
    return (PROBES.index(probe) if probe in PROBES else len(PROBES)), probe


def _rank(group: Group) -> tuple[tuple[int, str], int]:
    probe, size = probe_and_size(group)
    return rank(probe), -size


def _probe(
    run: Run, group: Group, result: Result, seconds: Mapping[str, float], best: bool
) -> Probe:
    name, size = probe_and_size(group)
    ends = result.entry.get("test_accuracy_interval")
    known = [number(end) for end in ends] if isinstance(ends, list) else []
    low, high = known if len(known) == 2 else (math.nan, math.nan)
    floor = ON_PIXELS.get(name)
    pixels = run.floor(floor).value("test_accuracy") if floor else math.nan
    took = seconds.get(result.trial, math.nan)
    return Probe(group, name, size, result, low, high, pixels, took, best)


def _perceptron(name: str, result: Result) -> Perceptron:
    """Blocks and L2 follow from the preset's name, so that they are known where a run has holes."""
    first, later = TWO_STAGE_L2 if name == TWO_STAGE else (L2.get(name, 0.0), math.nan)
    return Perceptron(
        preset=name,
        trial=result.trial,
        blocks=BLOCKS.get(name, 2),
        l2=first,
        l2_later=later,
        epochs=result.epochs,
        train_loss=result.own("train_loss"),
        train_accuracy=result.own("train_accuracy"),
        validation_accuracy=result.own("validation_accuracy"),
        test_accuracy=result.own("test_accuracy"),
    )


def _stop(trial: Mapping[str, Any], group: str) -> Stop:
    named = str(trial[group])
    return Stop(
        trial["id"],
        named,
        *probe_and_size(named),
        trial["state"],
        number(trial.get("epochs")),
        trial["reason"],
        trial["detail"].partition("ProbeTooLarge: ")[2] or trial["detail"],
    )
