"""What the seed report's text claims of autoencoders (Task 1) beside what a run shows: a sentence
per claim."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from analysis.page.findings.speed import speed_finding
from analysis.page.findings.verdicts import (
    AGREES,
    APART,
    DAE,
    DEEP_DAE,
    DEEP_SAE,
    DIFFERS,
    SAE,
    SIMPLE_DAE,
    WEAK_DAE,
    Presets,
    agreement,
    change,
    decrease,
    judgements,
    or_zero,
    percent,
    retrained_results,
    seed_scatter,
    to_go_on,
)
from analysis.read.runs import Floor, Run, column, number
from analysis.read.seed_report import BEST_TEST_LOSS, MODELS, reported
from analysis.tables.frames import Row, count, escape, mse, plural, short

_SETTINGS = (
    "latent_size",
    "depth",
    "decoder_depth",
    "width",
    "dropout",
    "noise",
    "noise_level",
    "l2",
    "affine",
    "warp",
    "learning_rate",
    "activation",
    "linear_path",
    "epochs",
)
"""What two trials must share to be a pair with and without L1."""


def autoencoder_findings(run: Run) -> Iterator[str]:
    """The claims of Task 1: dropout, depth, sparse against denoising, speed, L1, and the floors."""
    ours = Presets.of(run)
    known = [model.preset for model in MODELS if ours.known(model.preset)]
    if known:
        yield _caution(run)
    claims = {
        "less dropout": _dropout(ours),
        "more denoising blocks": _depth(ours),
        "sparse against denoising": _sparse(ours),
        "more blocks in the sparse one": _deeper_sparse(ours),
        "speed": speed_finding(ours),
        "L1 on the denoising one": _l1(ours),
        "the best of all": _ranking(ours, known),
    }
    yield from judgements(claims, lambda left: ours.gap(left, [model.preset for model in MODELS]))
    yield _floors(ours)


def _caution(run: Run) -> str:
    once = "Each of the report's models was trained once, in the search"
    retrained = retrained_results(run)
    scatter = seed_scatter(retrained, "test_mse", relative=True)
    if not math.isfinite(scatter):
        return (
            f"{once}, and how far seeds differ is not measured in this run, so small differences "
            f"may be noise. {to_go_on(run)}"
        )
    return (
        f"{once}; the test MSE of {plural(len(retrained), 'configuration')} that "
        f"{'was' if len(retrained) == 1 else 'were'} retrained scatters by {percent(scatter)} "
        f"from seed to seed, so two errors closer than {percent(APART * scatter)} are not told "
        "apart below."
    )


def _dropout(ours: Presets) -> Iterator[str]:
    strong, weak = reported(DAE).test_loss, reported(WEAK_DAE).test_loss
    claim = (
        f"Less dropout is better: 0.2 for 0.3 takes the report's test loss from {mse(strong)} to "
        f"{mse(weak)} ({change(strong, weak)})"
    )
    split, found = ours.errors(DAE, WEAK_DAE)
    if not found:
        return
    verdict = agreement(decrease(*found), ours.least())
    levels = [ours.setting(name, "noise_level") for name in (DAE, WEAK_DAE)]
    noise = (
        f", its input noise with it lowered from {short(levels[0])} to {short(levels[1])}"
        if levels[0] > levels[1]
        else ""
    )
    yield (
        f"{claim}; ours goes from {mse(found[0])} to {mse(found[1])} in {split} "
        f"({change(*found)}){noise}: {verdict}."
    )


def _depth(ours: Presets) -> Iterator[str]:
    """Two claims: how the deeper one learns, and why it ends worse."""
    theirs, deeper = reported(DAE), reported(DEEP_DAE)
    claim = (
        "More than 8 denoising blocks learn faster at first, then slightly worse (the report's "
        f"test loss {mse(deeper.test_loss)} against {mse(theirs.test_loss)})"
    )
    split, found = ours.errors(DEEP_DAE, DAE)
    starts = _joint_losses(ours, DEEP_DAE, DAE)
    if not found or len(starts) < 2:  # one epoch has no start and end
        return
    early, last = starts.iloc[: max(1, len(starts) // 10)], starts.iloc[-1]
    ends = "-".join(dict.fromkeys(count(end) for end in (early.index[0], early.index[-1])))
    faster = decrease(early[DAE].mean(), early[DEEP_DAE].mean())
    start = agreement(faster, ours.least())
    end = agreement(-decrease(found[1], found[0]), ours.least())
    yield (
        f"{claim}; ours, `{DEEP_DAE}` against `{DAE}`: train loss in epoch {ends} "
        f"{mse(early[DEEP_DAE].mean())} against {mse(early[DAE].mean())}, "
        f"in epoch {count(starts.index[-1])} {mse(last[DEEP_DAE])} against {mse(last[DAE])}, and "
        f"{split} {mse(found[0])} against {mse(found[1])}: "
        + (f"{start}." if start == end else f"of the start {start}; of the end {end}.")
    )
    train = [ours.own(name, "train_mse") for name in (DEEP_DAE, DAE)]
    if np.isfinite(train).all():
        yield _overfitting(train, found, split, ours.least())


def _overfitting(train: Sequence[float], found: Sequence[float], split: str, least: float) -> str:
    """An over-fitted network is better on training images and worse on others."""
    theirs, deeper = reported(DAE).train_loss, reported(DEEP_DAE).train_loss
    worse, closer = -decrease(found[1], found[0]), decrease(train[1], train[0])
    verdict = agreement(min(worse, closer), least)
    return (
        "The reason it gives is over-fitting, though its own train loss is higher too "
        f"({mse(deeper)} against {mse(theirs)}); ours has train MSE, noise and dropout off, "
        f"{mse(train[0])} against {mse(train[1])}, and {split} {mse(found[0])} against "
        f"{mse(found[1])}, and over-fitting takes the first to be lower and the second higher: "
        f"{verdict}."
    )


def _sparse(ours: Presets) -> Iterator[str]:
    """Against the best of the denoising ones, on test and in training."""
    rivals = [name for name in (DAE, DEEP_DAE, WEAK_DAE) if ours.known(name)]
    sparse, best = reported(SAE), reported(WEAK_DAE)
    claim = (
        "The sparse autoencoder beats the denoising ones by far: the report's "
        f"{mse(sparse.test_loss)} is {short(best.test_loss / sparse.test_loss)} times lower in "
        f"test loss than its best of those, {short(best.train_loss / sparse.train_loss)} times in "
        "train loss"
    )
    split, found = ours.errors(SAE, *rivals)
    if not rivals or not found:
        return
    rival = rivals[int(np.argmin(found[1:]))]
    error = min(found[1:])
    losses = [ours.own(name, "train_loss") for name in (rival, SAE)]
    trained = f" ({_times(*losses)} in train loss)" if np.isfinite(losses).all() else ""
    verdict = agreement(decrease(error, found[0]), ours.least())
    yield (
        f"{claim}; ours has {split} {mse(found[0])}, {_times(error, found[0])} than the "
        f"{mse(error)} of `{rival}`{trained}: {verdict}."
    )


def _deeper_sparse(ours: Presets) -> Iterator[str]:
    sparse, deeper = reported(SAE).test_loss, reported(DEEP_SAE).test_loss
    claim = (
        f"More blocks in the sparse one are no gain (the report's test loss {mse(deeper)} against "
        f"{mse(sparse)})"
    )
    split, found = ours.errors(DEEP_SAE, SAE)
    if not found:
        return
    least = ours.least()
    verdict = DIFFERS if decrease(found[1], found[0]) > or_zero(least) else AGREES
    yield (
        f"{claim}; ours has {split} {mse(found[0])} against {mse(found[1])} "
        f"({change(found[1], found[0])}): {verdict}."
    )


def _l1(ours: Presets) -> Iterator[str]:
    claim = "L1 on the code of the simple denoising autoencoder makes it worse"
    if not ours.known(SIMPLE_DAE):
        return
    trials = ours.run.trials
    mine = trials[trials["id"] == ours.results[SIMPLE_DAE].trial].to_dict("records")
    error = ours.own(SIMPLE_DAE, "validation_mse")
    pairs = [row for row in trials.to_dict("records") for one in mine if _without_l1(row, one)]
    values = {row["id"]: number(row.get("best_validation_mse")) for row in pairs}
    values = {trial: value for trial, value in values.items() if math.isfinite(value)}
    if values and math.isfinite(error):
        trial = min(values, key=values.__getitem__)
        yield (
            f"{claim}; ours has validation MSE {mse(error)} with it, {mse(values[trial])} without "
            f"({escape(trial)}): {agreement(-decrease(values[trial], error), ours.least())}."
        )
        return
    split, found = ours.errors(SIMPLE_DAE, DAE)
    beside = (
        f"; `{DAE}`, which has no L1 but more blocks as well, has {split} {mse(found[1])} against "
        f"its {mse(found[0])}"
        if found
        else ""
    )
    yield (
        f"{claim}; ours was not tested as a pair, for no trial of this run is `{SIMPLE_DAE}` "
        f"without its L1{beside}."
    )


def _ranking(ours: Presets, known: Sequence[str]) -> Iterator[str]:
    """Which of the report's models is best, if there are others to compare with."""
    split, found = ours.errors(*known)
    if SAE not in known or len(known) < 3 or not found:
        return
    first, second = np.argsort(found, kind="stable")[:2]
    mine = found[known.index(SAE)]
    other = found[second] if known[first] == SAE else found[first]
    verdict = agreement(decrease(other, mine), ours.least())
    yield (
        f"The sparse autoencoder of moderate depth, `{SAE}`, is the best of all; of the "
        f"{len(known)} of its models that are trained here the best is `{known[first]}` "
        f"({split} {mse(found[first])}), then `{known[second]}` ({mse(found[second])}): {verdict}."
    )


def _floors(ours: Presets) -> str:
    size, best = next(iter(BEST_TEST_LOSS.items()))
    run, data = ours.run, escape(ours.run.data["name"])
    claim = f"The report's best test loss, {mse(best)} with a code of {size}, read as MSE per pixel"
    floors = sorted(
        (floor for group in run.groups if _tested(floor := run.floor("pca", str(group)))),
        key=lambda floor: floor.components,
    )
    if not floors:
        return (
            f"{claim}, cannot be set beside linear components: no floor is measured yet. "
            f"{to_go_on(run)}"
        )
    enough = next((floor for floor in floors if floor.value("test_mse") <= best), None)
    short_of = [floor for floor in floors if floor.value("test_mse") > best]
    words = [f"no better than {_linear(enough)}"] if enough else []
    words += [f"better than {_linear(short_of[-1])}"] if short_of else []
    mean = run.floor("mean_image").value("test_mse")
    beside = f", and {short(best / mean)} times the mean image's {mse(mean)}" if mean > 0 else ""
    sentence = f"{claim}, is on {data} {' but '.join(words)}{beside}"
    split, found = ours.errors(SAE)
    return sentence + (f"; our `{SAE}` has {split} {mse(found[0])}." if found else ".")


def _linear(floor: Floor) -> str:
    return f"{plural(floor.components, 'linear component')} (PCA, {mse(floor.value('test_mse'))})"


def _tested(floor: Floor) -> bool:
    return floor.components > 0 and math.isfinite(floor.value("test_mse"))


def _joint_losses(ours: Presets, *names: str) -> pd.DataFrame:
    """Train loss by epoch, a column per preset, of the epochs that all have."""
    curves = {
        name: pd.Series(column(curve, "train_loss").to_numpy(), curve["epoch"].to_numpy())
        for name in names
        if not (curve := ours.curve(name)).empty
    }
    joint = pd.DataFrame(curves, columns=list(names), dtype=float)
    return joint[np.isfinite(joint).all(axis=1)].sort_index()


def _without_l1(row: Row, one: Row) -> bool:
    """Is `row` the trial `one` but for an L1 that is none, or a hundredth at most?"""
    same = all(str(row.get(name)) == str(one.get(name)) for name in _SETTINGS)  # nan is nan
    return same and number(row.get("l1")) <= 0.01 * number(one.get("l1"))


def _times(one: float, other: float) -> str:
    """How many times lower `other` is than `one`.

    >>> _times(0.03, 0.02), _times(0.01, 0.02)
    ('1.5 times lower', '2 times higher')
    """
    if not min(one, other) > 0:
        return "not to be compared"
    lower = one >= other
    return f"{short(max(one, other) / min(one, other))} times {'lower' if lower else 'higher'}"
