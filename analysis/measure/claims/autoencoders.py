"""What the seed report says of autoencoders (Task 1), judged on a run of `search.autoencoders`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import pandas as pd

from analysis.measure.claims.claim import (
    AGREES,
    NO_PAIR,
    SEEDS,
    Claim,
    decided,
    judged,
    missing,
)
from analysis.measure.claims.speed import speed
from analysis.measure.noise import APART, retrained, seed_scatter
from analysis.measure.presets import Presets
from analysis.read.results import Floor
from analysis.read.runs import Run
from analysis.read.seed_report import (
    BEST_TEST_LOSS,
    DAE,
    DEEP_DAE,
    DEEP_SAE,
    MODELS,
    SAE,
    SIMPLE_DAE,
    WEAK_DAE,
    reported,
)
from analysis.read.values import number

_SETTINGS = (
    "latent_size depth decoder_depth width dropout noise noise_level l2 affine warp "
    "learning_rate activation linear_path code_activation kept_units auxk "
    "contrastive_weight contrast temperature batch_size epochs"
).split()
"""The settings that two trials must share to be a pair that differs in L1 alone."""


def autoencoder_claims(run: Run) -> tuple[Claim, ...]:
    ours, least = Presets.of(run), least_share(run)
    return (
        _dropout(ours, least),
        _depth_start(ours, least),
        _errors("depth", ours, DAE, DEEP_DAE, least, worse=True),
        _overfitting(ours, least),
        _sparse(ours, least),
        _sparse_depth(ours, least),
        speed(ours),
        _l1(ours, least),
        _best(ours, least),
        _gap(ours),
    )


def least_share(run: Run) -> float:
    """The least difference of two errors that counts, as a share of the error; nan if no
    configuration was trained with two seeds."""
    return APART * seed_scatter(retrained(run), "test_mse", relative=True)


@dataclass(frozen=True)
class BesideLinear:
    """The seed report's best test loss, read as MSE per pixel, among linear components."""

    size: int  # of the code that it is stated for
    loss: float
    reached_by: Floor | None  # the smallest PCA that is as good
    beaten: Floor | None  # the largest PCA that is not
    mean_image: float  # MSE
    sae: float  # our preset's MSE
    metric: str


def beside_linear(run: Run) -> BesideLinear:
    """How many linear components the report's best test loss is worth on this run's data."""
    size, loss = next(iter(BEST_TEST_LOSS.items()))
    floors = [run.floor("pca", str(group)) for group in run.groups]
    known = [floor for floor in floors if floor.components and floor.value("test_mse") >= 0]
    known.sort(key=lambda floor: floor.components)
    good = [floor for floor in known if floor.value("test_mse") <= loss]
    worse = [floor for floor in known if floor.value("test_mse") > loss]
    metric, ours = Presets.of(run).tested((SAE,), "mse")
    return BesideLinear(
        size,
        loss,
        good[0] if good else None,
        worse[-1] if worse else None,
        run.floor("mean_image").value("test_mse"),
        ours.get(SAE, math.nan),
        metric,
    )


def decrease(before: float, after: float) -> float:
    """By how much `after` is lower, as a share of `before`."""
    return (before - after) / before if before > 0 else math.nan


def _errors(
    question: str, ours: Presets, base: str, other: str, least: float, worse: bool = False
) -> Claim:
    """The report says that `other` has a lower error than `base`, or a higher one if `worse`."""
    metric, found = ours.tested((base, other), "mse")
    if not found:
        return missing(question, *ours.untrained(base, other))
    gain = decrease(found[base], found[other])
    theirs = {name: reported(name).test_loss for name in found}
    gain = -gain if worse else gain
    return judged(question, gain, least, theirs=theirs, ours=found, metric=metric)


def _dropout(ours: Presets, least: float) -> Claim:
    """The preset with less dropout has less noise on its input too."""
    levels = {name: ours.setting(name, "noise_level") for name in (DAE, WEAK_DAE)}
    claim = _errors("dropout", ours, DAE, WEAK_DAE, least)
    return replace(claim, numbers={"noise_level": levels})


def _depth_start(ours: Presets, least: float) -> Claim:
    """The deeper model learns faster at first: train loss in the first tenth of the epochs."""
    curves = {name: ours.curve(name, "train_loss") for name in (DAE, DEEP_DAE)}
    joint = pd.DataFrame(curves).dropna()
    if len(joint) < 2:  # one epoch has no start and end
        return missing("depth_start", *ours.untrained(DAE, DEEP_DAE))
    early = joint.iloc[: max(1, len(joint) // 10)]
    means = {name: float(early[name].mean()) for name in curves}
    return judged(
        "depth_start",
        decrease(means[DAE], means[DEEP_DAE]),
        least,
        ours=means,
        metric="train_loss",
        numbers={
            "epochs": (int(early.index[0]), int(early.index[-1])),
            "last_epoch": int(joint.index[-1]),
            "last": {name: float(joint[name].iloc[-1]) for name in curves},
        },
    )


def _overfitting(ours: Presets, least: float) -> Claim:
    """An over-fitted network is better on training images and worse on others."""
    names = (DAE, DEEP_DAE)
    metric, test = ours.tested(names, "mse")
    train = {name: ours.own(name, "train_mse") for name in names}
    if not test or not np.isfinite([*train.values()]).all():
        return missing("over_fitting", *ours.untrained(*names))
    worse, closer = -decrease(test[DAE], test[DEEP_DAE]), decrease(train[DAE], train[DEEP_DAE])
    return judged(
        "over_fitting",
        min(worse, closer),
        least,
        theirs={name: reported(name).train_loss for name in names},
        ours=train,
        metric="train_mse",
        numbers={"test": test, "test_metric": metric},
    )


def _sparse(ours: Presets, least: float) -> Claim:
    """The sparse model against the best denoising model."""
    rivals = [name for name in (DAE, DEEP_DAE, WEAK_DAE) if ours.trained(name)]
    metric, found = ours.tested((*rivals, SAE), "mse")
    if not rivals or not found:
        return missing("sparse", *ours.untrained(SAE, DAE, DEEP_DAE, WEAK_DAE))
    rival = min(rivals, key=found.__getitem__)
    return judged(
        "sparse",
        decrease(found[rival], found[SAE]),
        least,
        theirs={name: reported(name).test_loss for name in (WEAK_DAE, SAE)},
        ours={name: found[name] for name in (rival, SAE)},
        metric=metric,
        numbers={
            "train_loss": {name: ours.own(name, "train_loss") for name in (rival, SAE)},
            "their_train_loss": {name: reported(name).train_loss for name in (WEAK_DAE, SAE)},
        },
    )


def _sparse_depth(ours: Presets, least: float) -> Claim:
    """More blocks in the sparse model are no gain: a tie agrees."""
    claim = _errors("sparse_depth", ours, SAE, DEEP_SAE, least, worse=True)
    tie = claim.why_unknown == SEEDS
    return replace(claim, verdict=AGREES, why_unknown="") if tie else claim


def _l1(ours: Presets, least: float) -> Claim:
    """L1 makes the simple denoising model worse: judged on two trials that differ in L1 alone."""
    if not ours.trained(SIMPLE_DAE):
        return missing("l1", SIMPLE_DAE)
    error, pairs = ours.own(SIMPLE_DAE, "validation_mse"), _without_l1(ours)
    if pairs and math.isfinite(error):
        trial = min(pairs, key=pairs.__getitem__)
        return judged(
            "l1",
            -decrease(pairs[trial], error),
            least,
            ours={SIMPLE_DAE: error, trial: pairs[trial]},
            metric="validation_mse",
        )
    metric, found = ours.tested((SIMPLE_DAE, DAE), "mse")
    return Claim("l1", ours=found, metric=metric, why_unknown=NO_PAIR)


def _without_l1(ours: Presets) -> dict[str, float]:
    """Validation MSE of the trials that differ from the simple denoising model only in L1: they
    have at most a hundredth of its L1."""
    rows = ours.run.trials.to_dict("records")
    simple = next(row for row in rows if row["id"] == ours.results[SIMPLE_DAE].trial)
    values = {
        row["id"]: number(row.get("best_validation_mse"))
        for row in rows
        if all(str(row.get(name)) == str(simple.get(name)) for name in _SETTINGS)  # nan is nan
        and number(row.get("l1")) <= 0.01 * number(simple.get("l1"))
    }
    return {trial: value for trial, value in values.items() if math.isfinite(value)}


def _best(ours: Presets, least: float) -> Claim:
    """The sparse model of moderate depth is the best of all the report's models."""
    names = [model.preset for model in MODELS if ours.trained(model.preset)]
    metric, found = ours.tested(names, "mse")
    if SAE not in names or len(names) < 3 or not found:
        return missing("best", *ours.untrained(*(model.preset for model in MODELS)))
    ranking = dict(sorted(found.items(), key=lambda item: item[1]))
    other = next(name for name in ranking if name != SAE)
    return judged(
        "best",
        decrease(found[other], found[SAE]),
        least,
        theirs={SAE: reported(SAE).test_loss},
        ours=ranking,
        metric=metric,
    )


def _gap(ours: Presets) -> Claim:
    """Test is better than train: test MSE minus train loss, then minus train MSE, which has
    neither noise nor dropout nor penalties. Means are over the presets that show the gap."""
    names = [model.preset for model in MODELS]
    test, loss, mse = (
        {name: ours.get(name).own(metric) for name in names}
        for metric in ("test_mse", "train_loss", "train_mse")
    )
    gaps = {
        name: test[name] - loss[name] for name in names if math.isfinite(test[name] - loss[name])
    }
    if not gaps:
        return missing("gap", *ours.untrained(*names))
    shown = [name for name, gap in gaps.items() if gap < 0 and math.isfinite(mse[name])]
    numbers: dict[str, object] = {"shown": shown}
    if shown:
        gap, clean = (fmean(test[name] - train[name] for name in shown) for train in (loss, mse))
        numbers |= {"gap": gap, "clean": clean, "explained": min((clean - gap) / -gap, 1.0)}
    return decided(
        "gap",
        bool(shown),
        theirs={
            model.preset: model.test_loss - model.train_loss
            for model in MODELS
            if math.isfinite(model.test_loss)
        },
        ours=gaps,
        metric="test_minus_train",
        numbers=numbers,
    )
