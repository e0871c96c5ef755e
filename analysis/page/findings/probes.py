"""What the seed report's text claims of classifiers of codes (Task 4) beside what a run shows: a
sentence per claim."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from analysis.page.findings.verdicts import (
    AGREES,
    APART,
    DIFFERS,
    WITHIN_CHANCE,
    accuracy_of,
    agreement,
    differs_to,
    judgements,
    or_zero,
    percent,
    seed_scatter,
    to_go_on,
)
from analysis.page.sections.latent_probes import best_on_validation, place, said
from analysis.page.sections.probe_perceptrons import TWO_STAGE, chance, perceptrons
from analysis.read.runs import Group, Result, Run, column, winners
from analysis.read.seed_report import PROBE_ACCURACY, PROBE_WORDS
from analysis.tables.frames import Row, accuracy, escape, points, short

FORESTS, BOOSTING = ("random-forest", "extra-trees"), ("catboost",)
NEARLY_NOTHING = 0.025
"""What the report's "about", "nearly nothing" and "no gain" leave open, in accuracy."""

USABLE = 0.5
"""The share of the best perceptron's accuracy at which another probe's is no longer unusable."""


def probe_findings(run: Run) -> Iterator[str]:
    """The claims of Task 4: perceptrons, their blocks and L2, forests, boosting, code size."""
    chosen = winners(run)
    sizes = _by_size(chosen)
    table = {row["model"]: row for row in perceptrons(run).rows}
    least = _least(run, sizes.get("mlp", {}))
    claims = {
        "the best perceptron": _best_perceptron(run, table, sizes.get("mlp", {})),
        "the number of blocks": _blocks(table, least),
        "L2": _l2(table, least),
        "forests": _trees("Forests", FORESTS, sizes),
        "boosting": _trees("Boosting", BOOSTING, sizes),
        "code size": _code_size(sizes, best_on_validation(chosen)),
    }
    yield from judgements(claims, lambda left: f"{left}: figures are missing. {to_go_on(run)}")
    yield from _tuning(run, chosen)


def _least(run: Run, perceptrons: Mapping[int, Result]) -> float:
    """What two perceptrons' test accuracies must differ by to be told apart: by seeds, and by the
    deviation, twice, that chance leaves of so many test images; nan if neither is known."""
    tested = [one for one in perceptrons.values() if one.value("test_accuracy") >= 0]
    seeds = APART * seed_scatter([one for one in tested if one.seeds > 1], "test_accuracy")
    best = max((one.value("test_accuracy") for one in tested), default=math.nan)
    return max(or_zero(seeds), or_zero(chance(best, run))) or math.nan


def _best_perceptron(
    run: Run, table: Mapping[str, Row], sizes: Mapping[int, Result]
) -> Iterator[str]:
    theirs = PROBE_ACCURACY["mlp"]
    claim = (
        f"The best perceptron on codes reached about {theirs:g} (two blocks, L2 0.0001, then 5e-05)"
    )
    recipe, best = table[TWO_STAGE]["test_accuracy"], best_on_validation(sizes)
    told = []
    if math.isfinite(recipe):
        told.append(f"the same settings reach {accuracy(recipe)} (`{TWO_STAGE}`)")
    if math.isfinite(best.value("test_accuracy")):
        told.append(f"the search's best perceptron {accuracy_of(best)}, {said(best.group)}")
    if not told:
        return
    if run.data["name"] != "omniglot":
        verdict = "its number is of Omniglot, so they do not compare"
    elif math.isfinite(recipe):
        gap = recipe - theirs
        verdict = f"with its settings {AGREES if abs(gap) <= NEARLY_NOTHING else differs_to(gap)}"
    else:
        verdict = differs_to(best.value("test_accuracy") - theirs)
    yield f"{claim}; ours: {', '.join(told)}: {verdict}."


def _blocks(table: Mapping[str, Row], least: float) -> Iterator[str]:
    claim = "Of perceptrons with different numbers of blocks the best has two"
    found = {
        row["blocks"]: row["test_accuracy"]
        for name, row in table.items()
        if name.endswith("-blocks") and math.isfinite(row["test_accuracy"])
    }
    if len(found) < 2 or 2 not in found:
        return
    best = max(found, key=found.__getitem__)
    told = ", ".join(f"{accuracy(value)} with {blocks}" for blocks, value in found.items())
    rivals = [value for blocks, value in found.items() if blocks != 2]
    first, last = min(found), max(found)
    ahead = f", by {points(found[best] - found[2])} points over 2" if best != 2 else ""
    yield (
        f"{claim}; ours on test, each fitted once: {told}, so depth from {first} to {last} "
        f"{'helps' if found[last] > found[first] else 'does not help'} "
        f"({points(found[last] - found[first])} points) and {best} is best{ahead}: "
        f"{agreement(found[2] - max(rivals), least, WITHIN_CHANCE)}."
    )


def _l2(table: Mapping[str, Row], least: float) -> Iterator[str]:
    claim = "The stronger the L2 of the perceptron of two blocks, the worse it tests"
    found = {
        row["l2"]: row["test_accuracy"]
        for name, row in table.items()
        if row["blocks"] == 2 and name != TWO_STAGE and math.isfinite(row["test_accuracy"])
    }
    if len(found) < 2:
        return
    rising = sorted(found)
    none, strongest = found[rising[0]], found[rising[-1]]
    best = max(found, key=found.__getitem__)
    yield (
        f"{claim}; ours goes from {accuracy(none)} at L2 {short(rising[0])} to "
        f"{accuracy(strongest)} at {short(rising[-1])} ({points(strongest - none)} points) and is "
        f"highest at {short(best)} ({points(found[best] - none)}): "
        f"{agreement(none - strongest, least, WITHIN_CHANCE)}."
    )


def _trees(
    kind: str, probes: Sequence[str], sizes: Mapping[str, Mapping[int, Result]]
) -> Iterator[str]:
    """Forests or boosting beside the best perceptron, by code size."""
    words = PROBE_WORDS[probes[0]]
    found = {probe: sizes[probe] for probe in probes if probe in sizes}
    split, of = _split([one for by_size in found.values() for one in by_size.values()])
    claim = f"{kind} on codes: {words}"
    if not split:
        return
    told = "; ".join(f"{escape(probe)} {_by_code(by_size, of)}" for probe, by_size in found.items())
    best = max(one.value(of) for by_size in found.values() for one in by_size.values())
    rivals = [one.value(of) for one in sizes.get("mlp", {}).values() if one.value(of) > 0]
    sentence = f"{claim}; ours has {split} {told}"
    if not rivals:
        yield f"{sentence}, and no perceptron to set it beside."
        return
    yield (
        f"{sentence}, at best {percent(best / max(rivals))} of the best perceptron's "
        f"{accuracy(max(rivals))} (from {percent(USABLE)} it counts here as usable): "
        f"{DIFFERS if best >= USABLE * max(rivals) else AGREES}."
    )


def _tuning(run: Run, chosen: Mapping[Group, Result]) -> Iterator[str]:
    """What the best of several trials of a forest or a boosting gains on the default one."""
    gains = {
        group: gain
        for group, winner in chosen.items()
        if place(group)[0] in (*FORESTS, *BOOSTING)
        and math.isfinite(gain := _gain_on_default(run, group, winner))
    }
    if not gains:
        return
    most = max(gains, key=gains.__getitem__)
    tried = sum(int((run.trials[run.group] == group).sum()) for group in gains)
    told = f"the most is {points(gains[most])} points, {said(most)}"
    if gains[most] == 0:
        told = "no trial of theirs is better on validation than the default setting"
    yield (
        "Normalising and tuning bring forests and boosting nearly nothing; ours, the best of the "
        f"trials of each ({tried} in all, defaults among them) against its default setting in "
        f"validation accuracy: {told} (nothing is less than {100 * NEARLY_NOTHING:g} points): "
        f"{AGREES if gains[most] < NEARLY_NOTHING else DIFFERS}."
    )


def _gain_on_default(run: Run, group: Group, winner: Result) -> float:
    """In validation accuracy; nan if there is no default setting or nothing beside it."""
    trials = run.trials[run.trials[run.group] == group]
    values = column(trials, "best_validation_accuracy")
    default = values[trials["preset"].str.startswith(f"{place(group)[0]}-default")]
    tried = np.isfinite(values).sum() > 1 and len(default) == 1
    return float(winner.own("validation_accuracy") - default.iloc[0]) if tried else math.nan


def _code_size(sizes: Mapping[str, Mapping[int, Result]], best: Result) -> Iterator[str]:
    """Of forests and boosting, of which the report says it, and of the best probe."""
    claim = "Codes of 128 and 32 for 1024 did not help forests and boosting"
    trees = {probe: by_size for probe, by_size in sizes.items() if probe in (*FORESTS, *BOOSTING)}
    gains, told = [], []
    for probe, by_size in trees.items():
        split, of = _split(by_size.values())
        smaller = [one.value(of) for size, one in by_size.items() if size < 1024]
        if split and 1024 in by_size and smaller:
            gains.append(max(smaller) - by_size[1024].value(of))
            told.append(f"{escape(probe)} {points(gains[-1])}")
    if gains:
        verdict = AGREES if max(gains) < NEARLY_NOTHING else DIFFERS
        yield (
            f"{claim}; ours gain, by the better of the smaller sizes over 1024 in points: "
            f"{', '.join(told)} (nothing is less than {100 * NEARLY_NOTHING:g}): {verdict}."
        )
    probe = place(best.group)[0] if best.group else ""
    by_size = sizes.get(probe, {})
    split, of = _split(by_size.values())
    if split and len(by_size) > 1:
        top = max(by_size, key=lambda size: by_size[size].value(of))
        yield (
            f"Whether code size matters to our best probe, {escape(probe)}, in {split}: "
            f"{_by_code(by_size, of)}; highest at code {top}."
        )


def _by_size(chosen: Mapping[Group, Result]) -> dict[str, dict[int, Result]]:
    """The winners by probe and by code size, largest first."""
    found: dict[str, dict[int, Result]] = {}
    for group in sorted(chosen, key=lambda group: (place(group)[0], -place(group)[1])):
        probe, size = place(group)
        found.setdefault(probe, {})[size] = chosen[group]
    return found


def _split(results: Iterable[Result]) -> tuple[str, str]:
    """The accuracy that all have: its words and its name; empty where there is none."""
    listed = list(results)
    for split in ("test", "validation"):
        name = f"{split}_accuracy"
        if listed and all(math.isfinite(one.value(name)) for one in listed):
            return f"{split} accuracy", name
    return "", ""


def _by_code(by_size: Mapping[int, Result], metric: str) -> str:
    return ", ".join(
        f"{accuracy(one.value(metric))} at code {size}" for size, one in by_size.items()
    )
