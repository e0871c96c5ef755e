"""Classifiers of codes as a search measured them: each probe at each code size, the seed report's
perceptrons, what L2 does to them, and the trials that a limit or an error stopped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.measure.groups import best_on_validation, probe_and_size
from analysis.measure.noise import APART, chance, retrained, seed_scatter
from analysis.read.runs import Group, Result, Run, column, number, preset_results, winners
from search.record.schema import ERROR, REASON_MEMORY, REASON_TIME

FORESTS, BOOSTING = ("random-forest", "extra-trees"), ("catboost",)
PROBES = ("nearest-mean", "knn", "lda", "logistic", "mlp", *FORESTS, *BOOSTING)
"""The order of rows, from the simplest probe to the costliest; any other comes after these."""

ON_PIXELS = {"nearest-mean": "nearest_mean", "knn": "1-nn"}
"""The floor in final.json that is the probe's own kind, on pixels in place of codes."""

BY_BLOCKS = {f"mlp-{blocks}-blocks": blocks for blocks in range(1, 7)}
BY_L2 = {
    "mlp-2-blocks": 0.0,
    "mlp-l2-1e-05": 1e-5,
    "mlp-l2-0.0001": 1e-4,
    "mlp-l2-0.001": 1e-3,
    "mlp-l2-0.01": 1e-2,
}
TWO_STAGE = "report-two-stage"
"""The presets that are the seed report's perceptron: by its number of blocks, by its L2 at two
blocks, and with an L2 that is lowered half way."""

LIMITS = (REASON_TIME, REASON_MEMORY)

UNDERFITS = "under-fits"  # training accuracy falls with test accuracy
OTHERWISE = "not by under-fitting"  # test accuracy falls, training accuracy does not
HARMLESS = "harmless"  # training accuracy falls, test accuracy does not
NO_HARM = "no harm"  # neither falls


@dataclass(frozen=True)
class Probe:
    """The best of a probe at a code size. Without any measured trial its result is empty.

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
class L2Sweep:
    """From no L2 to the strongest that is tested: changes are fractions of the drawings."""

    weakest: float
    strongest: float
    best: float  # the L2 of the highest test accuracy
    test_change: float
    train_change: float
    verdict: str  # UNDERFITS, OTHERWISE, HARMLESS or NO_HARM


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
    """The seed report's perceptrons by preset; of a preset that ran twice, the first."""
    found = {result.preset: result for result in reversed(preset_results(run))}
    names = dict.fromkeys((*BY_BLOCKS, *BY_L2, TWO_STAGE))
    return {name: _perceptron(name, found.get(name, Result())) for name in names}


def tested_by_blocks(found: Mapping[str, Perceptron]) -> dict[int, Perceptron]:
    """Those without L2 that are tested, by their number of blocks."""
    return {found[name].blocks: found[name] for name in BY_BLOCKS if _tested(found[name])}


def tested_by_l2(found: Mapping[str, Perceptron]) -> dict[float, Perceptron]:
    """Those of two blocks that are tested, by their L2, the weakest first."""
    return {found[name].l2: found[name] for name in BY_L2 if _tested(found[name])}


def l2_sweep(found: Mapping[str, Perceptron]) -> L2Sweep | None:
    """What stronger L2 does; None if it is measured at fewer than two values."""
    tested = [each for each in tested_by_l2(found).values() if math.isfinite(each.train_accuracy)]
    if len(tested) < 2:
        return None
    first, last = tested[0], tested[-1]
    test = last.test_accuracy - first.test_accuracy
    train = last.train_accuracy - first.train_accuracy
    verdicts = {
        (True, True): UNDERFITS,
        (True, False): OTHERWISE,
        (False, True): HARMLESS,
        (False, False): NO_HARM,
    }
    best = max(tested, key=lambda each: each.test_accuracy)
    return L2Sweep(first.l2, last.l2, best.l2, test, train, verdicts[test < 0, train < 0])


def perceptron_noise(run: Run) -> float:
    """By how much the test accuracies of two perceptrons must differ to be told apart: for the
    scatter of seeds and for the choice of test images; nan if neither is known."""
    ours = [each.result for each in probes(run) if each.name == "mlp"]
    trained = {each.trial for each in retrained(run)}
    seeds = APART * seed_scatter([each for each in ours if each.trial in trained], "test_accuracy")
    values = [each.value("test_accuracy") for each in ours]
    best = max((value for value in values if value >= 0), default=math.nan)
    known = [value for value in (seeds, chance(best, run)) if math.isfinite(value)]
    return max(known, default=math.nan)


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
    """Blocks and L2 are those of the preset's name, so that a hole in a run leaves them be."""
    two_stage = name == TWO_STAGE
    return Perceptron(
        preset=name,
        trial=result.trial,
        blocks=BY_BLOCKS.get(name, 2),
        l2=1e-4 if two_stage else BY_L2.get(name, 0.0),
        l2_later=5e-5 if two_stage else math.nan,
        epochs=result.epochs,
        train_loss=result.own("train_loss"),
        train_accuracy=result.own("train_accuracy"),
        validation_accuracy=result.own("validation_accuracy"),
        test_accuracy=result.own("test_accuracy"),
    )


def _tested(perceptron: Perceptron) -> bool:
    return math.isfinite(perceptron.test_accuracy)


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
