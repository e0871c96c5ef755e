"""What the report says of a run of `search.autoencoders` beside the seed report's autoencoders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pandas as pd

from analysis.figures import autoencoders as autoencoder_figures
from analysis.figures import style as figures
from analysis.figures.style import DASHED, DOTTED, ERROR, Level, Panel
from analysis.page import blocks
from analysis.page.blocks import Block, Heading, picture
from analysis.read.runs import (
    PIXELS,
    Examples,
    Floor,
    Group,
    Result,
    Run,
    RunError,
    preset_results,
    read_examples,
    winners,
)
from analysis.read.seed_report import BEST_TEST_LOSS, MODELS, SAE_MISPRINT, reported
from analysis.tables.frames import (
    CONFIGURATION,
    Column,
    Row,
    Table,
    accuracy,
    configuration,
    count,
    mse,
    short,
    signed,
    spread,
)


def autoencoder_blocks(run: Run) -> Iterator[Block]:
    """The winners beside the floors, and what they draw."""
    chosen = winners(run)
    yield Heading("#### Best configuration per code size")
    yield from _best(run, chosen)
    yield picture(
        "overview",
        autoencoder_figures.overview(run, _examples(run, chosen)),
        "Best configuration per code size: error beside the floors, and pictures.",
    )


def report_blocks(run: Run) -> Iterator[Block]:
    """The seed report's models beside its numbers, and its training curves."""
    yield Heading("#### The report's models")
    yield from _presets(run)
    yield Heading("#### The report's training curves")
    yield _preset_curves(run)


def best_per_code_size(run: Run) -> Table:
    """Best configuration per code size beside PCA, the mean image and the seed report."""
    chosen = winners(run)
    rows = [_best_row(run, size, chosen.get(size)) for size in run.groups]
    return Table(
        "best",
        pd.DataFrame(rows, columns=_BEST_KEYS),
        (
            Column("code size", lambda row: str(row["latent_size"])),
            CONFIGURATION,
            *_probe_column(run),
            Column("validation MSE", lambda row: _spread(row, "validation")),
            Column("test MSE", lambda row: _spread(row, "test", count_seeds=True)),
            Column("PCA, as many components", lambda row: mse(row["pca_test_mse"])),
            Column("mean image", lambda row: mse(row["mean_image_test_mse"])),
            Column("seed report", lambda row: mse(row["seed_report_test_loss"])),
            Column("test / PCA", lambda row: short(row["test_over_pca"])),
        ),
    )


def _probe_column(run: Run) -> list[Column]:
    """What was searched for, where that is the accuracy of a probe."""
    if run.metric != "probe_accuracy":
        return []
    return [
        Column(
            "probe accuracy",
            lambda row: spread(
                row["probe_accuracy"], row["probe_accuracy_std"], row["seeds"], accuracy
            ),
        )
    ]


def presets_beside_report(run: Run) -> Table:
    """Each of the seed report's models beside its row, then the floors.

    `train_loss` is as optimised (noise, dropout and penalties included), `train_mse` is measured
    with noise and dropout off.
    """
    names = [model.preset for model in MODELS]
    found = [result for result in preset_results(run) if result.preset in names]
    absent = [Result(preset=name) for name in names if name not in {r.preset for r in found}]
    results = sorted(found + absent, key=lambda result: _rank(result.preset))
    states = dict(zip(run.trials["id"], run.trials["state"], strict=True))
    rows = [_preset_row(result, states.get(result.trial, "")) for result in results]
    return Table(
        "presets",
        pd.DataFrame([*rows, *_floor_rows(run)]),
        (
            Column(
                "model",
                lambda row: f"`{row['model']}`" if row["kind"] == "preset" else row["model"],
                numeric=False,
            ),
            Column("code", lambda row: count(row["latent_size"])),
            Column("epochs", lambda row: count(row["epochs"])),
            Column("train loss, ours", lambda row: mse(row["train_loss"])),
            Column("train loss, theirs", lambda row: _theirs(row, "train")),
            Column("train MSE, noise and dropout off, ours", lambda row: mse(row["train_mse"])),
            Column("validation MSE, ours", lambda row: mse(row["validation_mse"])),
            Column("test MSE, ours", lambda row: mse(row["test_mse"])),
            Column("test loss, theirs", lambda row: _theirs(row, "test")),
            Column("test - train loss, ours", lambda row: signed(row["gap"])),
            Column("test - train loss, theirs", lambda row: signed(row["seed_report_gap"])),
        ),
    )


def gap_sentence(table: Table) -> str:
    """How much of "test is better than train" is left with noise and dropout off, in numbers.

    `table` is `presets_beside_report`. Averages over the presets that show the gap.
    """
    rows = [row for row in table.rows if row["kind"] == "preset"]
    measured = [row for row in rows if math.isfinite(row["gap"])]
    gapped = [row for row in measured if row["gap"] < 0 and math.isfinite(row["train_mse"])]
    if not measured:
        return (
            'The report\'s "test is better than train" cannot be judged here: '
            "no preset has a test figure yet."
        )
    if not gapped:
        return (
            f"None of the {len(measured)} presets measured here has a test MSE below its "
            'train loss, so the report\'s "test is better than train" does not show.'
        )
    gap = _mean(row["gap"] for row in gapped)
    clean = _mean(row["test_mse"] - row["train_mse"] for row in gapped)
    share = min((clean - gap) / -gap, 1.0)
    rest = (
        "so test is no better than train once both are measured alike"
        if clean >= 0
        else f"so {mse(-clean)} of it stays"
    )
    names = ", ".join(f"`{row['model']}`" for row in gapped)
    return (
        f'"Test is better than train" shows on {len(gapped)} of {len(measured)} presets '
        f"({names}): test MSE minus train loss is {signed(gap)} on average. Measured "
        f"against train MSE, noise and dropout off, it is {signed(clean)}: {share:.0%} of the "
        f"gap vanishes, {rest}."
    )


def _best(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    yield (
        f"{blocks.choice(run)} Errors are mean squared errors "
        "per pixel, pixels in [0, 1]; PCA and the mean image are fitted on the same training "
        f"split and measured on the same test split. {blocks.deviations(chosen.values())}"
    )
    yield best_per_code_size(run)
    budgets = blocks.budget_notes(run, chosen, "Code {}".format)
    yield from blocks.bullets([*budgets, *_pca_notes(run), *_seed_report_notes(run)])


def _pca_notes(run: Run) -> Iterator[str]:
    for size in run.groups:
        pca = _pca(run, size)
        if pca.exact:
            yield (
                f"Code {size} is no smaller than an image's {PIXELS} pixels, so PCA with as "
                f"many components as it can have ({pca.components}) is exact, error 0, and "
                "gives no ratio."
            )
        elif 0 < pca.components < size:
            yield (
                f"Code {size}: PCA has {pca.components} components, as many as there are "
                "pixels or training images."
            )


def _seed_report_notes(run: Run) -> Iterator[str]:
    size, loss = next(iter(BEST_TEST_LOSS.items()))
    if size in run.groups:
        yield (
            f"The seed report's number is the test loss of its sparse autoencoder, code {size}: "
            f"{mse(loss)}. It states no code size for its other models."
        )


def _presets(run: Run) -> Iterator[Block]:
    table = presets_beside_report(run)
    yield (
        "Train loss is as optimised, with noise, dropout and penalties; train MSE is measured "
        "on training images with noise and dropout off. Our `sae` is compared with the report's "
        f"test loss {mse(BEST_TEST_LOSS[1024])}; one of its tables prints {SAE_MISPRINT}, by "
        "its text a misprint. The report names neither its data set nor its loss, so its "
        "numbers give an order of magnitude, not a contest."
    )
    yield table
    yield gap_sentence(table)


def _preset_curves(run: Run) -> Block:
    mean = _mean_level(run)
    names = [model.preset for model in MODELS]
    return picture(
        "curves-presets",
        figures.preset_curves(
            run,
            names,
            [
                Panel("train_loss", "training loss, as optimised", ERROR, (mean,)),
                Panel("validation_mse", "validation MSE, noise and dropout off", ERROR, (mean,)),
            ],
        ),
        "The report's models: loss as optimised, and validation MSE, log-log.",
    )


def trial_curves(run: Run) -> Block:
    """The validation error of every trial."""
    panels, mean = {}, _mean_level(run)
    for size in run.groups:
        pca = _pca(run, size).value("validation_mse")
        levels = (Level("PCA, as many components", pca, DASHED), mean)
        panels[size] = Panel("validation_mse", f"code {size}", ERROR, levels)
    return picture(
        "curves-trials",
        figures.trial_curves(run, panels),
        "Validation MSE of every trial by code size, log-log; what lies above the range "
        "is drawn at its upper edge.",
    )


def _mean_level(run: Run) -> Level:
    return Level("mean image", run.floor("mean_image").value("validation_mse"), DOTTED)


def _examples(run: Run, chosen: Iterable[Group]) -> dict[Group, Examples]:
    """Of the winners that have them; what is missing is named with the reconstructions."""
    pictures: dict[Group, Examples] = {}
    for size in chosen:
        with suppress(RunError):
            pictures[size] = read_examples(run, size)
    return pictures


_BEST_KEYS = [
    "latent_size",
    "configuration",
    "preset",
    "trial",
    "state",
    "epochs",
    "validation_mse",
    "validation_std",
    "probe_accuracy",
    "probe_accuracy_std",
    "test_mse",
    "test_std",
    "seeds",
    "pca_components",
    "pca_test_mse",
    "mean_image_test_mse",
    "seed_report_test_loss",
    "test_over_pca",
    "parameters",
]


def _best_row(run: Run, size: Group, winner: Result | None) -> dict[str, Any]:
    pca, reached = _pca(run, size), winner or Result()
    test = reached.value("test_mse")
    return {
        **configuration(winner),
        "latent_size": size,
        "pca_components": pca.components or math.nan,
        "pca_test_mse": pca.value("test_mse"),
        "mean_image_test_mse": run.floor("mean_image").value("test_mse"),
        "seed_report_test_loss": BEST_TEST_LOSS.get(size, math.nan),
        "validation_mse": reached.value("validation_mse"),
        "validation_std": reached.deviation("validation_mse"),
        "probe_accuracy": reached.value("probe_accuracy"),
        "probe_accuracy_std": reached.deviation("probe_accuracy"),
        "test_mse": test,
        "test_std": reached.deviation("test_mse"),
        "test_over_pca": math.nan if pca.exact else _ratio(test, pca.value("test_mse")),
    }


def _preset_row(result: Result, state: str) -> dict[str, Any]:
    theirs = reported(result.preset)
    train, test = result.own("train_loss"), result.own("test_mse")
    return {
        "kind": "preset",
        "model": result.preset,
        "trial": result.trial,
        "state": state,
        "latent_size": math.nan if result.group is None else result.group,
        "epochs": result.epochs,
        "train_loss": train,
        "seed_report_train_loss": theirs.train_loss,
        "train_mse": result.own("train_mse"),
        "validation_mse": result.own("validation_mse"),
        "test_mse": test,
        "seed_report_test_loss": theirs.test_loss,
        "gap": test - train,
        "seed_report_gap": theirs.test_loss - theirs.train_loss,
    }


def _floor_rows(run: Run) -> list[dict[str, Any]]:
    """The floors as rows without a network: only their own two errors are known."""
    floors = [("mean image", None, run.floor("mean_image"))]
    floors += [
        (f"PCA, {pca.components} components", size, pca)
        for size in run.groups
        if (pca := _pca(run, size)).components
    ]
    return [
        {
            **_preset_row(Result(group=size), ""),
            "kind": "floor",
            "model": label,
            "validation_mse": floor.value("validation_mse"),
            "test_mse": floor.value("test_mse"),
        }
        for label, size, floor in floors
    ]


def _theirs(row: Row, which: str) -> str:
    value = row[f"seed_report_{which}_loss"]
    if math.isfinite(value):
        return mse(value)
    model = reported(row["model"])
    return model.train_words if which == "train" else model.test_words


def _spread(row: Row, which: str, count_seeds: bool = False) -> str:
    return spread(row[f"{which}_mse"], row[f"{which}_std"], row["seeds"], mse, count_seeds)


def _pca(run: Run, size: Group) -> Floor:
    return run.floor("pca", str(size))


def _rank(preset: str) -> int:
    names = [model.preset for model in MODELS]
    return names.index(preset) if preset in names else len(names)


def _ratio(value: float, floor: float) -> float:
    return value / floor if floor > 0 else math.nan


def _mean(values: Iterator[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
