"""What the seed report says of classifiers of codes (Task 4), judged on a run of
`search.latent_probes`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from analysis.measure.claims.claim import (
    CHANCE,
    OTHER_DATA,
    Claim,
    decided,
    judged,
    matched,
    missing,
)
from analysis.measure.latent_probes.groups import best_on_validation, probe_and_size
from analysis.measure.latent_probes.perceptrons import BLOCKS, L2, TWO_STAGE
from analysis.measure.latent_probes.probes import BOOSTING, FORESTS
from analysis.measure.noise import APART, chance, seed_scatter
from analysis.measure.presets import Presets
from analysis.read.runs import Group, Result, Run, winners
from analysis.read.seed_report import PROBE_ACCURACY
from analysis.read.values import column

NEARLY_NOTHING = 0.025
"""What the report's "about", "nearly nothing" and "no gain" leave open, in accuracy."""

USABLE = 0.5
"""The share of the best perceptron's accuracy at which another probe's is no longer unusable."""

BySize = Mapping[str, Mapping[int, Result]]
"""The winners by probe and by code size."""


def probe_claims(run: Run) -> tuple[Claim, ...]:
    ours, chosen = Presets.of(run), winners(run)
    sizes = _by_size(chosen)
    least = _least(run, sizes.get("mlp", {}).values())
    return (
        _perceptron(ours, sizes.get("mlp", {})),
        _blocks(ours, least),
        _l2(ours, least),
        _trees("forests", FORESTS, sizes),
        _trees("boosting", BOOSTING, sizes),
        _code_size(sizes, best_on_validation(chosen)),
        _tuning(run, chosen),
    )


def _least(run: Run, perceptrons: Iterable[Result]) -> float:
    """The least difference of two perceptrons' test accuracies that is more than the chance of
    seeds and of the choice of test images; nan if neither is known."""
    tested = [each for each in perceptrons if each.value("test_accuracy") >= 0]
    best = max((each.value("test_accuracy") for each in tested), default=math.nan)
    by_seeds = APART * seed_scatter([each for each in tested if each.seeds > 1], "test_accuracy")
    known = [value for value in (by_seeds, chance(best, run)) if value > 0]
    return max(known, default=math.nan)


def _perceptron(ours: Presets, sizes: Mapping[int, Result]) -> Claim:
    """The perceptron with the report's settings; if it was not trained, the search's best."""
    theirs, best = PROBE_ACCURACY["mlp"], best_on_validation(dict(sizes))
    reached = {
        TWO_STAGE: ours.own(TWO_STAGE, "test_accuracy"),
        str(best.group): best.value("test_accuracy"),
    }
    reached = {name: value for name, value in reached.items() if math.isfinite(value)}
    if not reached:
        return missing("perceptron", TWO_STAGE)
    found = {"theirs": {"mlp": theirs}, "ours": reached, "metric": "test_accuracy"}
    found["numbers"] = {"best": best}
    if ours.run.data["name"] != "omniglot":
        return Claim("perceptron", why_unknown=OTHER_DATA, **found)
    difference = next(iter(reached.values())) - theirs
    return matched("perceptron", difference, NEARLY_NOTHING, **found)


def _blocks(ours: Presets, least: float) -> Claim:
    """Two blocks are best."""
    found = _tested(ours, BLOCKS)
    if len(found) < 2 or 2 not in found:
        return missing("blocks", *ours.untrained(*BLOCKS))
    return judged(
        "blocks",
        found[2] - max(value for blocks, value in found.items() if blocks != 2),
        least,
        CHANCE,
        theirs={2: PROBE_ACCURACY["mlp"]},
        ours=found,
        metric="test_accuracy",
        numbers={
            "best": max(found, key=found.__getitem__),
            "depth_gain": found[max(found)] - found[min(found)],
        },
    )


def _l2(ours: Presets, least: float) -> Claim:
    """Stronger L2 lowers the test accuracy of two blocks: judged by no L2 and the strongest L2."""
    found, train = _tested(ours, L2), _tested(ours, L2, "train_accuracy")
    if len(found) < 2:
        return missing("l2", *ours.untrained(*L2))
    values = [*found.values()]
    trained = [train[l2] for l2 in found if l2 in train]
    train_gain = trained[-1] - trained[0] if len(trained) > 1 else math.nan
    return judged(
        "l2",
        values[0] - values[-1],
        least,
        CHANCE,
        ours=found,
        metric="test_accuracy",
        numbers={
            "best": max(found, key=found.__getitem__),
            "falls_at_every_step": bool((np.diff(values) < 0).all()),
            "train": train,
            "train_gain": train_gain,
            "underfits": values[-1] < values[0] and train_gain < 0,
        },
    )


def _trees(question: str, probes: Iterable[str], sizes: BySize) -> Claim:
    """Forests or boosting have no usable accuracy: less than `USABLE` of the best perceptron's."""
    found = {probe: sizes[probe] for probe in probes if probe in sizes}
    metric = _metric(result for by_size in found.values() for result in by_size.values())
    rivals = [result.value(metric) for result in sizes.get("mlp", {}).values()]
    rival = max((value for value in rivals if value > 0), default=math.nan)
    if not metric or not math.isfinite(rival):
        return missing(question)
    reached = {
        (probe, size): result.value(metric)
        for probe, by_size in found.items()
        for size, result in by_size.items()
    }
    share = max(reached.values()) / rival
    return decided(
        question,
        share < USABLE,
        ours=reached,
        metric=metric,
        noise=USABLE,
        numbers={"share": share, "perceptron": rival},
    )


def _code_size(sizes: BySize, best: Result) -> Claim:
    """Smaller codes than 1024 do not help forests and boosting. `numbers` has the accuracies of the
    best probe too, about which the report says nothing."""
    gains = {}
    for probe in (*FORESTS, *BOOSTING):
        by_size = sizes.get(probe, {})
        metric = _metric(by_size.values())
        smaller = [result.value(metric) for size, result in by_size.items() if size < 1024]
        if metric and 1024 in by_size and smaller:
            gains[probe] = max(smaller) - by_size[1024].value(metric)
    if not gains:
        return missing("code_size")
    probe = probe_and_size(best.group or "")[0]
    metric = _metric(sizes.get(probe, {}).values())
    return decided(
        "code_size",
        max(gains.values()) < NEARLY_NOTHING,
        ours=gains,
        metric="gain",
        noise=NEARLY_NOTHING,
        numbers={
            "probe": probe,
            "metric": metric,
            "by_size": {size: each.value(metric) for size, each in sizes.get(probe, {}).items()},
        },
    )


def _tuning(run: Run, chosen: Mapping[Group, Result]) -> Claim:
    """Tuning brings forests and boosting nearly nothing over their default settings."""
    gains = {
        group: gain
        for group, winner in chosen.items()
        if probe_and_size(group)[0] in (*FORESTS, *BOOSTING)
        and math.isfinite(gain := _gain_on_default(run, group, winner))
    }
    if not gains:
        return missing("tuning")
    return decided(
        "tuning",
        max(gains.values()) < NEARLY_NOTHING,
        ours=gains,
        metric="gain",
        noise=NEARLY_NOTHING,
        numbers={"tried": int(run.trials[run.group].isin([*gains]).sum())},
    )


def _gain_on_default(run: Run, group: Group, winner: Result) -> float:
    """In validation accuracy; nan if there is no default setting or nothing beside it."""
    trials = run.trials[run.trials[run.group] == group]
    values = column(trials, "best_validation_accuracy")
    default = values[trials["preset"].str.startswith(f"{probe_and_size(group)[0]}-default")]
    tried = np.isfinite(values).sum() > 1 and len(default) == 1
    return float(winner.own("validation_accuracy") - default.iloc[0]) if tried else math.nan


def _tested(
    ours: Presets, presets: Mapping[str, float], metric: str = "test_accuracy"
) -> dict[float, float]:
    """Accuracy by what the presets differ in, of those that have it."""
    found = {value: ours.own(name, metric) for name, value in presets.items()}
    return {value: reached for value, reached in found.items() if math.isfinite(reached)}


def _by_size(chosen: Mapping[Group, Result]) -> dict[str, dict[int, Result]]:
    """By probe in order of name, the largest code first."""
    found: dict[str, dict[int, Result]] = {}
    for probe, size, group in sorted((*probe_and_size(g), g) for g in chosen):
        found[probe] = {size: chosen[group], **found.get(probe, {})}
    return found


def _metric(results: Iterable[Result]) -> str:
    """The accuracy that all have, test before validation; empty where there is none."""
    listed = list(results)
    for name in ("test_accuracy", "validation_accuracy"):
        if listed and all(math.isfinite(each.value(name)) for each in listed):
            return name
    return ""
