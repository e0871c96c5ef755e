"""Each claim of the seed report: the verdict that numbers ask for. Runs are made in memory."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from analysis.measure.claims import claims
from analysis.measure.claims.autoencoders import beside_linear
from analysis.measure.claims.claim import (
    AGREES,
    CHANCE,
    DIFFERS,
    MISSING,
    NO_PAIR,
    NOT_REACHED,
    OTHER_DATA,
    SEEDS,
    TIE,
    UNKNOWN,
    Claim,
)
from analysis.measure.latent_probes.perceptrons import L2, TWO_STAGE
from analysis.page.sections.claims import claim_blocks
from analysis.read.results import Final
from analysis.read.runs import Result, Run, read_run
from search.record.schema import COMPLETE, DIVERGED, RUNNING, SEARCH_FINISHED, SEARCH_INTERRUPTED
from tests.analysis.run_folders import write_autoencoders, write_classifiers, write_probes

LIKE_THEIRS = {
    "dae-l1": 0.070,
    "deeper-dae": 0.050,
    "even-deeper-dae": 0.060,
    "deeper-dae-0.2": 0.040,
    "sae": 0.020,
    "deeper-sae": 0.030,
}
"""Errors that say what the seed report says."""

TURNED = LIKE_THEIRS | {
    "deeper-dae": 0.03,
    "even-deeper-dae": 0.02,
    "sae": 0.06,
    "deeper-sae": 0.01,
}


def made(
    command: str,
    presets: Mapping[str, Mapping[str, float]],
    *,
    winners: Sequence[Result] = (),
    curves: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    trials: Sequence[Mapping[str, object]] = (),
    states: Mapping[str, str] | None = None,
    data: str = "omniglot",
    floors: Mapping[str, object] | None = None,
    group: str = "latent_size",
) -> Run:
    """A finished run whose presets, each a trial of its own name, reached these values."""
    of_presets = [
        {"id": name, "number": number, "preset": name, "state": (states or {}).get(name, COMPLETE)}
        | {group: 1024 if group == "latent_size" else name}
        for number, name in enumerate(presets)
    ]
    epochs = [
        {"id": name, "epoch": epoch, metric: value}
        for name, metrics in (curves or {}).items()
        for metric, values in metrics.items()
        for epoch, value in enumerate(values, 1)
    ]
    results = tuple(
        Result(name, name, 1024, (states or {}).get(name, COMPLETE), searched=values)
        for name, values in presets.items()
    )
    info = {
        "command": command,
        "group": group,
        "data": {"name": data, "split": "drawers", "test": 1000, "train": 5000},
        "state": SEARCH_FINISHED,
        "presets": dict.fromkeys(LIKE_THEIRS),
    }
    return Run(
        Path("run"),
        info,
        datetime(2026, 1, 1, tzinfo=UTC),
        _frame([*of_presets, *trials], "id", "number", "state", "preset", group),
        _frame(epochs, "id", "epoch"),
        Final((1, 2), "train", floors or {}, tuple(winners), results),
    )


def _frame(rows: Sequence[Mapping[str, object]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(
        rows, columns=[*dict.fromkeys([*columns, *(n for row in rows for n in row)])]
    )


def with_final(run: Run, **fields) -> Run:
    return replace(run, final=replace(run.final, **fields))


def again(name: str, metric: str, values: Sequence[float], group: str = "g") -> Result:
    """Trained with a seed for each value."""
    runs = tuple({"seed": float(seed), metric: value} for seed, value in enumerate(values))
    frame = pd.Series(values, dtype=float)
    return Result(
        name,
        name,
        group,
        COMPLETE,
        searched={"validation_accuracy": values[0]},
        runs=runs,
        mean={metric: frame.mean()},
        std={metric: frame.std()},
    )


def judged(run: Run) -> dict[str, Claim]:
    found = claims(run)
    assert len({claim.question for claim in found}) == len(found)
    return {claim.question: claim for claim in found}


def verdict(claim: Claim) -> tuple[str, str]:
    return claim.verdict, claim.why_unknown


# Autoencoders


def reached(errors: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """The same error on every split."""
    names = ("train_loss", "train_mse", "validation_mse", "test_mse")
    return {name: dict.fromkeys(names, error) for name, error in errors.items()}


def scattered(share: float) -> Result:
    """Retrained with two seeds whose errors have this relative standard deviation."""
    return Result(
        "w", "w", 32, runs=({}, {}), mean={"test_mse": 0.01}, std={"test_mse": share / 100}
    )


def autoencoders(errors: Mapping[str, float], **more) -> dict[str, Claim]:
    return judged(made("autoencoders", reached(errors), **more))


@pytest.mark.parametrize("errors, expected", [(LIKE_THEIRS, AGREES), (TURNED, DIFFERS)])
@pytest.mark.parametrize("question", ["dropout", "depth", "sparse", "sparse_depth", "best"])
def test_errors_decide_the_claims_of_autoencoders(question, errors, expected):
    assert verdict(autoencoders(errors)[question]) == (expected, "")


def test_a_claim_holds_theirs_ours_and_the_gain():
    claim = autoencoders(LIKE_THEIRS)["dropout"]
    assert claim.theirs == {"deeper-dae": 0.04816, "deeper-dae-0.2": 0.03146}
    assert claim.ours == {"deeper-dae": 0.05, "deeper-dae-0.2": 0.04}
    assert claim.metric == "test_mse" and claim.gain == pytest.approx(0.2)
    sparse = autoencoders(TURNED)["sparse"]  # beside the best of the denoising ones
    assert sparse.ours == {"even-deeper-dae": 0.02, "sae": 0.06} and sparse.gain == pytest.approx(
        -2
    )
    assert [*autoencoders(TURNED)["best"].ours][:2] == ["deeper-sae", "even-deeper-dae"]


@pytest.mark.parametrize(
    "share, expected", [(0.05, (AGREES, "")), (0.10, (UNKNOWN, SEEDS)), (math.nan, (AGREES, ""))]
)
def test_differences_within_the_scatter_of_seeds_do_not_count(share, expected):
    """20 % less error counts if two networks differ by less: 2 sqrt(2) deviations."""
    claim = autoencoders(LIKE_THEIRS, winners=[scattered(share)])["dropout"]
    assert verdict(claim) == expected
    assert claim.noise == pytest.approx(2 * math.sqrt(2) * share, nan_ok=True)


def test_no_gain_agrees_with_a_claim_of_no_gain():
    near = LIKE_THEIRS | {"sae": 0.03, "deeper-sae": 0.0299}
    assert autoencoders(near)["sparse_depth"].verdict == DIFFERS
    assert autoencoders(near, winners=[scattered(0.05)])["sparse_depth"].verdict == AGREES


@pytest.mark.parametrize(
    "deep, deeper, expected",
    [
        ([0.2, 0.1, 0.08], [0.1, 0.09, 0.09], AGREES),
        ([0.1, 0.09, 0.08], [0.2, 0.1, 0.07], DIFFERS),
        ([0.1, 0.09, 0.08], [0.1, 0.1, 0.09], UNKNOWN),
    ],
)
def test_the_start_is_judged_by_the_first_tenth_of_the_epochs(deep, deeper, expected):
    curves = {"deeper-dae": {"train_loss": deep}, "even-deeper-dae": {"train_loss": deeper}}
    claim = autoencoders(LIKE_THEIRS, curves=curves)["depth_start"]
    assert claim.verdict == expected and claim.numbers["epochs"] == (1, 1)
    assert claim.ours == {"deeper-dae": deep[0], "even-deeper-dae": deeper[0]}
    assert claim.numbers["last"] == {"deeper-dae": deep[2], "even-deeper-dae": deeper[2]}


@pytest.mark.parametrize(
    "train, test, expected",
    [(0.02, 0.06, AGREES), (0.08, 0.06, DIFFERS), (0.02, 0.03, DIFFERS), (0.02, 0.05, UNKNOWN)],
)
def test_over_fitting_is_better_in_training_and_worse_on_test(train, test, expected):
    presets = reached({"deeper-dae": 0.05, "even-deeper-dae": 0.05})
    presets["even-deeper-dae"] |= {"train_mse": train, "test_mse": test}
    assert judged(made("autoencoders", presets))["over_fitting"].verdict == expected


@pytest.mark.parametrize(
    "sparse, denoising, expected",
    [
        ([0.04, 0.025, 0.019], [0.05, 0.04, 0.03], (AGREES, "")),
        ([0.04, 0.04, 0.031], [0.05, 0.029, 0.02], (DIFFERS, "")),
        ([0.04, 0.029, 0.025], [0.05, 0.04, 0.029], (AGREES, "")),
        ([0.04, 0.029, 0.019], [0.02, 0.02, 0.019], (UNKNOWN, TIE)),
        ([0.04] * 3, [0.05] * 3, (UNKNOWN, NOT_REACHED)),
    ],
)
def test_speed_is_the_epoch_of_an_error(sparse, denoising, expected):
    values = {"sae": sparse, "deeper-dae": [0.06] * 3, "deeper-dae-0.2": denoising}
    curves = {name: {"validation_mse": curve} for name, curve in values.items()}
    claim = autoencoders(LIKE_THEIRS, curves=curves)["speed"]
    assert verdict(claim) == expected
    assert math.isnan(claim.numbers["reached"][0.03]["deeper-dae"])
    first = next((epoch for epoch, value in enumerate(sparse, 1) if value < 0.03), math.nan)
    assert claim.numbers["reached"][0.03]["sae"] == pytest.approx(first, nan_ok=True)


def test_forty_epochs_later_is_measured_where_there_are_so_many():
    curves = {"sae": [0.02] * 59 + [0.01], "deeper-dae": [0.03] * 60}
    curves = {name: {"validation_mse": curve} for name, curve in curves.items()}
    assert autoencoders(LIKE_THEIRS, curves=curves)["speed"].numbers["later"] == [0.02, 0.01]


@pytest.mark.parametrize(
    "without, depth, expected",
    [
        (0.06, 4, (AGREES, "")),
        (0.08, 4, (DIFFERS, "")),
        (0.06, 5, (UNKNOWN, NO_PAIR)),  # it differs in more than its L1
    ],
)
def test_l1_is_judged_on_two_trials_that_differ_in_nothing_else(without, depth, expected):
    trials = [
        {"id": "pair", "preset": "sampled", "latent_size": 1024, "l1": 0.0, "depth": depth}
        | {"state": COMPLETE, "best_validation_mse": without, "number": 9},
    ]
    run = made("autoencoders", reached(LIKE_THEIRS), trials=trials)
    run.trials.loc[run.trials["id"] == "dae-l1", ["l1", "depth"]] = (1e-4, 4)
    assert verdict(judged(run)["l1"]) == expected


def test_test_better_than_train_is_measured_with_and_without_noise():
    values = {"train_loss": 0.05, "train_mse": 0.018, "test_mse": 0.020}
    claim = judged(made("autoencoders", {name: values for name in LIKE_THEIRS}))["gap"]
    assert claim.verdict == AGREES and claim.numbers["shown"] == [*LIKE_THEIRS]
    assert claim.numbers["gap"] == pytest.approx(-0.03)
    assert claim.numbers["clean"] == pytest.approx(0.002) and claim.numbers["explained"] == 1
    assert autoencoders(LIKE_THEIRS)["gap"].verdict == DIFFERS


def test_the_seed_reports_best_stands_between_linear_components():
    floors = {
        "mean_image": {"test_mse": 0.0668},
        "pca": {
            "128": {"components": 128, "test_mse": 0.005},
            "32": {"components": 32, "test_mse": 0.03},
        },
    }
    run = made("autoencoders", reached(LIKE_THEIRS), floors=floors)
    run.info["groups"] = [128, 32]
    found = beside_linear(run)
    assert (found.reached_by.components, found.beaten.components) == (128, 32)
    assert (found.mean_image, found.sae, found.metric) == (0.0668, 0.02, "test_mse")


def test_without_test_figures_validation_is_judged():
    values = {name: {"validation_mse": error} for name, error in LIKE_THEIRS.items()}
    claim = judged(made("autoencoders", values))["dropout"]
    assert (claim.metric, claim.verdict) == ("validation_mse", AGREES)


@pytest.mark.parametrize("state", [DIVERGED, RUNNING])
def test_a_preset_that_did_not_come_to_its_end_is_missing(state):
    found = autoencoders(LIKE_THEIRS, states={"sae": state})
    assert found["sparse"].why_unknown == MISSING and "sae" in found["sparse"].needs
    assert found["dropout"].verdict == AGREES


# Classifiers of images

CLASSIFIERS = ("naive", "another-naive", "corrected-naive")


def classifiers(
    losses: Sequence[float], accuracies: Sequence[float], data: str = "omniglot"
) -> dict[str, Claim]:
    values = zip(CLASSIFIERS, losses, accuracies, strict=True)
    presets = {name: {"train_loss": loss, "test_accuracy": share} for name, loss, share in values}
    return judged(made("classifiers", presets, data=data, group="model"))


@pytest.mark.parametrize(
    "losses, accuracies, expected",
    [
        ([0.20, 0.21, 0.09], [0.62, 0.60, 0.65], [AGREES, AGREES, AGREES]),
        ([0.20, 0.21, 0.40], [0.82, 0.80, 0.70], [DIFFERS, DIFFERS, DIFFERS]),
        ([0.20, 0.30, 0.25], [0.50, 0.64, 0.60], [DIFFERS, UNKNOWN, UNKNOWN]),
        ([0.20, 0.21, 0.09], [0.50, 0.51, 0.55], [DIFFERS, AGREES, AGREES]),
    ],
)
def test_classifiers_trained_once_are_judged_by_their_twins(losses, accuracies, expected):
    found = classifiers(losses, accuracies)
    assert [claim.verdict for claim in found.values()] == expected
    assert found["activation"].noise == pytest.approx(abs(accuracies[0] - accuracies[1]))
    assert "mnist" not in found


def test_accuracies_of_other_data_are_not_set_beside_omniglots():
    assert "omniglot" not in classifiers([0.2, 0.21, 0.09], [0.91, 0.9, 0.93], "mnist5k")


@pytest.mark.parametrize(
    "naive, corrected, expected, interval",
    [
        ([0.5, 0.5, 0.5], [0.52, 0.53, 0.54], AGREES, (0.0052, 0.0548)),
        ([0.5, 0.5, 0.5], [0.48, 0.47, 0.46], DIFFERS, (-0.0548, -0.0052)),
        ([0.5, 0.5], [0.5, 0.52], UNKNOWN, (-0.1171, 0.1371)),
    ],
)
def test_the_activation_is_judged_by_its_interval_over_seeds(naive, corrected, expected, interval):
    run = made("classifiers", {}, group="model")
    trained = {"naive": naive, "corrected-naive": corrected}
    presets = tuple(again(name, "test_accuracy", values) for name, values in trained.items())
    claim = judged(with_final(run, presets=presets))["activation"]
    assert claim.verdict == expected and claim.numbers["seeds"] == len(naive)
    assert claim.numbers["interval"] == pytest.approx(interval, abs=1e-4)


@pytest.mark.parametrize("accuracy, expected", [(0.994, AGREES), (0.99, DIFFERS), (0.91, DIFFERS)])
def test_mnist_is_judged_within_what_the_test_images_can_tell(accuracy, expected):
    run = made("classifiers", {}, data="mnist", group="model")
    claim = judged(with_final(run, presets=(again("naive", "test_accuracy", [accuracy] * 2),)))
    assert claim["mnist"].verdict == expected
    assert claim["mnist"].noise == pytest.approx(2 * math.sqrt(0.995 * 0.005 / 1000))
    assert claim["mnist"].numbers["difference"] == pytest.approx(accuracy - 0.995)


# Classifiers of codes


def probes(
    perceptrons: Mapping[str, float] | None = None,
    best: Mapping[str, float] | None = None,
    data: str = "omniglot",
    trials: Sequence[Mapping[str, object]] = (),
) -> dict[str, Claim]:
    """`perceptrons` are the presets' test accuracies, `best` those of each probe and code size."""
    presets = {name: {"test_accuracy": value} for name, value in (perceptrons or {}).items()}
    winners = [
        again(f"best-{group}", "test_accuracy", [value] * 2, group)
        for group, value in (best or {}).items()
    ]
    run = made("latent_probes", presets, winners=winners, data=data, group="model", trials=trials)
    return judged(run)


@pytest.mark.parametrize(
    "accuracy, data, expected",
    [
        (0.46, "omniglot", (AGREES, "")),
        (0.60, "omniglot", (DIFFERS, "")),
        (0.30, "omniglot", (DIFFERS, "")),
        (0.46, "glyphs", (UNKNOWN, OTHER_DATA)),
    ],
)
def test_the_best_perceptron_is_set_beside_the_same_settings(accuracy, data, expected):
    claim = probes({TWO_STAGE: accuracy}, {"mlp-128": 0.7}, data)["perceptron"]
    assert verdict(claim) == expected
    assert claim.ours == {TWO_STAGE: accuracy, "mlp-128": 0.7}
    if data == "omniglot":
        assert claim.numbers["difference"] == pytest.approx(accuracy - 0.45)


@pytest.mark.parametrize(
    "two, four, best, expected",
    [(0.8, 0.5, 2, AGREES), (0.5, 0.8, 4, DIFFERS), (0.7, 0.71, 4, UNKNOWN)],
)
def test_the_number_of_blocks_is_judged(two, four, best, expected):
    """1,000 test images leave 2.9 points to chance."""
    values = {"mlp-1-blocks": 0.4, "mlp-2-blocks": two, "mlp-4-blocks": four}
    claim = probes(values, {"mlp-32": 0.7})["blocks"]
    assert verdict(claim) == (expected, CHANCE if expected == UNKNOWN else "")
    assert claim.numbers["best"] == best
    assert claim.noise == pytest.approx(2 * math.sqrt(0.7 * 0.3 / 1000))


@pytest.mark.parametrize(
    "test, train, expected, falls, underfits",
    [
        ([0.54, 0.53, 0.52, 0.5, 0.3], [0.9, 0.9, 0.8, 0.8, 0.7], AGREES, True, True),
        ([0.5, 0.55, 0.56, 0.5, 0.4], [0.8] * 5, AGREES, False, False),
        ([0.5, 0.51, 0.52, 0.53, 0.9], [0.9, 0.8, 0.7, 0.6, 0.5], DIFFERS, False, False),
        ([0.54, 0.5, 0.5, 0.5, 0.53], [0.5] * 5, UNKNOWN, False, False),
    ],
)
def test_stronger_l2_is_judged_by_its_ends(test, train, expected, falls, underfits):
    reached = {
        name: {"test_accuracy": tested, "train_accuracy": trained}
        for name, tested, trained in zip(L2, test, train, strict=True)
    }
    best = [again("best", "test_accuracy", [0.7] * 2, "mlp-32")]
    claim = judged(made("latent_probes", reached, winners=best, group="model"))["l2"]
    assert claim.verdict == expected and claim.gain == pytest.approx(test[0] - test[-1])
    assert claim.numbers["train_gain"] == pytest.approx(train[-1] - train[0])
    assert claim.numbers["falls_at_every_step"] is falls
    assert claim.numbers["underfits"] is underfits


@pytest.mark.parametrize("share, expected", [(0.6, DIFFERS), (0.4, AGREES)])
def test_forests_and_boosting_are_usable_from_half_of_the_perceptron(share, expected):
    best = {"mlp-32": 0.6, "random-forest-32": 0.6 * share, "catboost-32": 0.6 * share}
    found = probes(best=best)
    for question in ("forests", "boosting"):
        assert found[question].verdict == expected
        assert found[question].numbers["share"] == pytest.approx(share)
    assert probes(best={"catboost-32": 0.6})["boosting"].why_unknown == MISSING


@pytest.mark.parametrize("smaller, expected", [(0.5, AGREES), (0.6, DIFFERS)])
def test_smaller_codes_are_set_beside_1024(smaller, expected):
    best = {"catboost-1024": 0.5, "catboost-32": smaller, "mlp-1024": 0.7, "mlp-32": 0.6}
    claim = probes(best=best)["code_size"]
    assert claim.verdict == expected and claim.ours["catboost"] == pytest.approx(smaller - 0.5)
    assert (claim.numbers["probe"], claim.numbers["by_size"]) == ("mlp", {1024: 0.7, 32: 0.6})


@pytest.mark.parametrize("gain, expected", [(0.01, AGREES), (0.1, DIFFERS)])
def test_tuning_is_what_a_trial_gains_on_the_default(gain, expected):
    tried = {"catboost-default-32": 0.6 - gain, "sampled": 0.6}
    trials = [
        {"id": name, "preset": name, "model": "catboost-32", "number": number}
        | {"state": COMPLETE, "best_validation_accuracy": value}
        for number, (name, value) in enumerate(tried.items())
    ]
    claim = probes(best={"catboost-32": 0.6}, trials=trials)["tuning"]
    assert claim.verdict == expected and claim.numbers["tried"] == 2
    assert claim.ours["catboost-32"] == pytest.approx(gain)
    alone = probes(best={"catboost-32": 0.6}, trials=trials[:1])["tuning"]
    assert alone.why_unknown == MISSING


# The page


@pytest.mark.parametrize("write", [write_autoencoders, write_classifiers, write_probes])
@pytest.mark.parametrize("state", [SEARCH_FINISHED, SEARCH_INTERRUPTED])
def test_each_claim_that_is_judged_is_an_entry_of_one_list(tmp_path, write, state):
    run = read_run(write(tmp_path / "run", trials=9, state=state))
    judged = [claim for claim in claims(run) if claim.why_unknown != MISSING]
    page = "\n".join(block for block in claim_blocks(run) if isinstance(block, str))
    verdicts = re.findall(r"^- \*\*(Agrees|Differs|Cannot be told)\*\*", page, re.MULTILINE)
    assert [word.lower() for word in verdicts] == [claim.verdict for claim in judged]
    assert "nan" not in page and "None" not in page


def test_what_is_missing_is_named_with_the_command_that_trains_it(tmp_path):
    run = read_run(write_autoencoders(tmp_path / "two", trials=2, pictures=False))
    page = "\n".join(block for block in claim_blocks(run) if isinstance(block, str))
    (entry,) = [line for line in page.splitlines() if line.startswith("- **Not judged yet**")]
    assert "`sae`" in entry and "`dae-l1`" not in entry
    assert "--name two" in entry and "--resume --num-samples 6`" in entry
