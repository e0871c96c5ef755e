"""What the report says of the seed report's text, on made-up run folders."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures import style as figures
from analysis.figures.running_loss import sae_by_step
from analysis.page.findings.autoencoders import autoencoder_findings
from analysis.page.findings.classifiers import classifier_findings
from analysis.page.findings.probes import probe_findings
from analysis.page.findings.verdicts import AGREES, DIFFERS, NEITHER, WITHIN_CHANCE
from analysis.read.runs import read_run
from tests.analysis.test_analysis import _change, _write_csv, write_classifiers, write_run
from tests.analysis.test_latent_probe_report import write_probes

LIKE_THEIRS = {
    "deeper-dae": 0.050,
    "even-deeper-dae": 0.060,
    "deeper-dae-0.2": 0.040,
    "sae": 0.020,
    "deeper-sae": 0.030,
}
"""Errors that say what the seed report says."""


def _rows(path: Path) -> list[dict]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def _alter(path: Path, change) -> None:
    rows = _rows(path)
    for row in rows:
        change(row)
    _write_csv(path, rows)


def _reach(folder: Path, errors: dict[str, float]) -> Path:
    """Let presets have these errors on every split in final.json."""

    def change(final):
        for preset in final["presets"]:
            if error := errors.get(preset["preset"]):
                names = ("train_loss", "train_mse", "validation_mse", "test_mse")
                preset.update(dict.fromkeys(names, error))

    _change(folder, change)
    return folder


def _curves(folder: Path, metric: str, of: dict[str, list[float]]) -> Path:
    """Let presets have these values of a metric, epoch by epoch."""
    names = {row["id"]: row["preset"] for row in _rows(folder / "trials.csv")}

    def change(row):
        if values := of.get(names[row["id"]]):
            row[metric] = values[int(float(row["epoch"])) - 1]

    _alter(folder / "epochs.csv", change)
    return folder


def _said(found, words: str) -> str:
    """The one sentence that holds the words."""
    matching = [sentence for sentence in found if words in sentence]
    assert len(matching) == 1, (words, matching)
    return matching[0]


def _autoencoders(folder: Path) -> list[str]:
    return list(autoencoder_findings(read_run(folder)))


@pytest.fixture
def run_folder(tmp_path) -> Path:
    return write_run(tmp_path / "run", trials=8)


CLAIMS = ("Less dropout", "sparse autoencoder beats", "in the sparse one", "is the best of all")


def test_errors_like_the_seed_reports_agree_with_its_text(run_folder):
    found = _autoencoders(_reach(run_folder, LIKE_THEIRS | {"dae-l1": 0.07}))
    for words in CLAIMS:
        assert f": {AGREES}." in _said(found, words)
    assert "from 0.05000 to 0.04000 in test MSE (-20 %)" in _said(found, "Less dropout")
    assert "2 times lower than the 0.04000 of `deeper-dae-0.2`" in _said(found, "beats")


def test_errors_the_other_way_round_differ_from_its_text(run_folder):
    turned = {
        "dae-l1": 0.07,
        "deeper-dae": 0.03,
        "even-deeper-dae": 0.05,
        "deeper-dae-0.2": 0.04,
        "sae": 0.06,
        "deeper-sae": 0.02,
    }
    found = _autoencoders(_reach(run_folder, turned))
    for words in CLAIMS:
        assert f": {DIFFERS}." in _said(found, words)
    assert "the best is `deeper-sae` (test MSE 0.02000)" in _said(found, "is the best of all")


def test_errors_no_further_apart_than_seeds_are_not_told_apart(run_folder):
    near = {"deeper-dae": 0.0400, "deeper-dae-0.2": 0.0399}
    assert f": {NEITHER}." in _said(_autoencoders(_reach(run_folder, near)), "Less dropout")

    def without_seeds(final):
        for winner in final["winners"]:
            winner["runs"] = winner["runs"][:1]

    _change(run_folder, without_seeds)
    found = _autoencoders(run_folder)
    assert "how far seeds differ is not measured" in found[0] and "--final-seeds 3" in found[0]
    assert f": {AGREES}." in _said(found, "Less dropout")


def test_the_scatter_is_that_of_the_retrained(run_folder):
    def retrained(final):
        for winner in final["winners"]:
            winner["mean"]["test_mse"], winner["std"]["test_mse"] = 0.01, 0.001

    _change(run_folder, retrained)
    caution = _autoencoders(run_folder)[0]
    assert "scatters by 10 % from seed to seed" in caution and "closer than 28 %" in caution


@pytest.mark.parametrize(
    "deep, deeper, error, told",
    [
        ([0.2, 0.1, 0.08], [0.1, 0.09, 0.09], 0.06, f": {AGREES}."),
        ([0.1, 0.09, 0.08], [0.2, 0.1, 0.07], 0.04, f": {DIFFERS}."),
        ([0.1, 0.09, 0.08], [0.2, 0.1, 0.09], 0.06, f"the start {DIFFERS}; of the end {AGREES}."),
        ([0.1, 0.09, 0.08], [0.1, 0.1, 0.09], 0.05, f": {NEITHER}."),
    ],
)
def test_more_denoising_blocks_are_judged_by_start_and_end(tmp_path, deep, deeper, error, told):
    folder = write_run(tmp_path / "run", epochs=3)
    _reach(folder, {"deeper-dae": 0.05, "even-deeper-dae": error})
    _curves(folder, "train_loss", {"deeper-dae": deep, "even-deeper-dae": deeper})
    sentence = _said(_autoencoders(folder), "denoising blocks learn")
    assert told in sentence
    assert f"epoch 1 {deeper[0]:.5f} against {deep[0]:.5f}" in sentence
    assert f"epoch 3 {deeper[2]:.5f} against {deep[2]:.5f}" in sentence


@pytest.mark.parametrize(
    "train, test, verdict",
    [(0.02, 0.06, AGREES), (0.08, 0.06, DIFFERS), (0.02, 0.03, DIFFERS), (0.02, 0.05, NEITHER)],
)
def test_over_fitting_is_better_in_training_and_worse_on_test(run_folder, train, test, verdict):
    _reach(run_folder, {"deeper-dae": 0.05})

    def change(final):
        for preset in final["presets"]:
            if preset["preset"] == "even-deeper-dae":
                preset.update(train_mse=train, test_mse=test)

    _change(run_folder, change)
    assert f": {verdict}." in _said(_autoencoders(run_folder), "over-fitting")


@pytest.mark.parametrize(
    "sparse, denoising, told",
    [
        ([0.04, 0.025, 0.019], [0.05, 0.04, 0.03], AGREES),
        ([0.04, 0.04, 0.031], [0.05, 0.029, 0.02], DIFFERS),
        ([0.04, 0.029, 0.025], [0.05, 0.04, 0.029], AGREES),
        ([0.04, 0.029, 0.019], [0.02, 0.02, 0.019], "in the same epoch"),
        ([0.04] * 3, [0.05] * 3, "ours cannot say"),
    ],
)
def test_speed_is_the_epoch_of_an_error(tmp_path, sparse, denoising, told):
    folder = write_run(tmp_path / "run", epochs=3)
    curves = {"sae": sparse, "deeper-dae": [0.06] * 3, "deeper-dae-0.2": denoising}
    _curves(folder, "validation_mse", curves)
    sentence = _said(_autoencoders(folder), "learns faster")
    assert told in sentence and "later (" not in sentence
    assert "`deeper-dae` not below 0.03 in 3 epochs" in sentence
    if told is AGREES and sparse[-1] < 0.02:
        assert "`sae` below 0.03 from epoch 2, below 0.02 from epoch 3" in sentence


def test_forty_epochs_later_is_said_where_there_are_so_many(tmp_path):
    folder = write_run(tmp_path / "run", epochs=60)
    values = [0.02] * 59 + [0.01]
    sentence = _said(
        _autoencoders(_curves(folder, "validation_mse", {"sae": values})), "learns faster"
    )
    assert "0.02000 in epoch 20 to 0.01000 40 epochs later (-50 %)" in sentence


def test_l1_is_judged_only_beside_the_same_model_without_it(run_folder):
    assert "not tested as a pair" in _said(_autoencoders(run_folder), "L1 on the code")
    rows = _rows(run_folder / "trials.csv")
    simple = next(row for row in rows if row["preset"] == "dae-l1")
    simple["l1"] = "0.0001"
    rows.append(
        {
            **simple,
            "id": "trial_00099",
            "number": "99",
            "preset": "sampled",
            "l1": "0.0",
            "best_validation_mse": "0.01",
        }
    )
    _write_csv(run_folder / "trials.csv", rows)
    _reach(run_folder, {"dae-l1": 0.02})
    sentence = _said(_autoencoders(run_folder), "L1 on the code")
    assert f"0.02000 with it, 0.01000 without (trial\\_00099): {AGREES}." in sentence
    rows[-1]["depth"] = "99"
    _write_csv(run_folder / "trials.csv", rows)
    assert "not tested as a pair" in _said(_autoencoders(run_folder), "L1 on the code")


def test_the_seed_reports_best_stands_beside_linear_components(run_folder):
    sentence = _said(_autoencoders(run_folder), "read as MSE per pixel")
    assert "no better than 32 linear components (PCA, 0.01751)" in sentence
    assert "0.314 times the mean image's 0.06680" in sentence

    def harder(final):
        final["floors"]["pca"]["32"]["test_mse"] = 0.0225

    _change(run_folder, harder)
    sentence = _said(_autoencoders(run_folder), "read as MSE per pixel")
    assert "no better than 128 linear components (PCA, 0.00462) but better than 32" in sentence


def test_what_is_missing_is_said_once_with_the_command(tmp_path):
    found = _autoencoders(write_run(tmp_path / "two", trials=2))
    sentence = _said(found, "Not judged yet")
    assert "`sae`, `deeper-sae` not trained to the end" in sentence
    assert "--name two --resume --num-samples 6" in sentence
    assert not any("learns faster" in one for one in found)
    cut = _autoencoders(write_run(tmp_path / "cut", trials=2, state="interrupted"))
    assert "--resume` goes on." in _said(cut, "no floor is measured yet")
    assert "--resume` goes on." in _said(cut, "Not judged yet")


def test_an_interrupted_run_is_judged_on_validation(tmp_path):
    folder = write_run(tmp_path / "cut", trials=8, state="interrupted")
    assert "in validation MSE" in _said(_autoencoders(folder), "Less dropout")


@pytest.mark.parametrize("state", ["diverged", "running"])
def test_a_preset_that_did_not_end_well_is_not_judged(tmp_path, state):
    folder = write_run(tmp_path / "cut", trials=8, state="interrupted")
    _alter(
        folder / "trials.csv",
        lambda row: row.update(state=state) if row["preset"] == "sae" else None,
    )
    sentence = _said(_autoencoders(folder), "Not judged yet")
    words = "diverged or failed" if state == "diverged" else "not trained to the end"
    assert f"`sae` {words}" in sentence and "sparse against denoising" in sentence


@pytest.mark.parametrize("hole", ["nan", ""])
def test_runs_with_holes_raise_nothing(tmp_path, hole):
    folder = write_run(tmp_path / "run", trials=8)

    def empty(row):
        row.update({name: hole for name in row if name.endswith(("_mse", "_loss"))})

    for name in ("trials.csv", "epochs.csv"):
        _alter(folder / name, empty)
    _change(folder, lambda final: final.update(presets=[{"preset": "sae"}], floors={}, winners=[]))
    found = _autoencoders(folder)
    assert "speed, the best of all): figures are missing" in _said(found, "Not judged yet")
    assert not any("nan" in sentence for sentence in found)
    assert sae_by_step(read_run(folder)) is None


# Classifiers


def _tested(folder: Path, losses: list[float], accuracies: list[float]) -> list[str]:
    names = ("naive", "another-naive", "corrected-naive")
    values = dict(zip(names, zip(losses, accuracies, strict=True), strict=True))

    def change(final):
        for preset in final["presets"]:
            if known := values.get(preset["preset"]):
                preset.update(train_loss=known[0], test_accuracy=known[1])

    _change(folder, change)
    return list(classifier_findings(read_run(folder)))


@pytest.mark.parametrize(
    "losses, accuracies, verdicts",
    [
        ([0.20, 0.21, 0.09], [0.62, 0.60, 0.65], [AGREES, AGREES, AGREES]),
        ([0.20, 0.21, 0.40], [0.82, 0.80, 0.70], [f"{DIFFERS}, it is higher", DIFFERS, DIFFERS]),
        (
            [0.20, 0.30, 0.25],
            [0.50, 0.64, 0.60],
            [f"{DIFFERS}, 1 of 3 lie outside", NEITHER, NEITHER],
        ),
        ([0.20, 0.21, 0.09], [0.50, 0.51, 0.55], [f"{DIFFERS}, it is lower", AGREES, AGREES]),
    ],
)
def test_omniglots_classifiers_are_judged_by_their_twins(tmp_path, losses, accuracies, verdicts):
    folder = write_classifiers(tmp_path / "run", data="omniglot", split="drawers")
    found = _tested(folder, losses, accuracies)
    starts = ("The same architecture", "Without the activation", "The activation makes")
    for start, verdict in zip(starts, verdicts, strict=True):
        assert f": {verdict}." in _said(found, start)
    assert not any("MNIST" in sentence for sentence in found)


def test_accuracies_of_other_data_are_not_set_beside_omniglots(tmp_path):
    found = _tested(write_classifiers(tmp_path / "run"), [0.2, 0.21, 0.09], [0.91, 0.9, 0.93])
    assert not any("The same architecture" in sentence for sentence in found)
    assert "of Omniglot, ours of mnist5k" in _said(found, "The activation makes")


@pytest.mark.parametrize(
    "reached, verdict",
    [
        (0.994, AGREES),
        (0.91, f"{DIFFERS}, it is lower, with 4000 of 50000 training images"),
        (0.99, AGREES),
    ],
)
def test_mnist_is_judged_within_what_the_test_images_can_tell(tmp_path, reached, verdict):
    folder = write_classifiers(tmp_path / "run", data="mnist")

    def change(final):
        for preset in final["presets"]:
            if "runs" in preset:
                preset["mean"]["test_accuracy"] = reached

    _change(folder, change)
    sentence = _said(classifier_findings(read_run(folder)), "0.995 on MNIST")
    assert f": {verdict}." in sentence and f"`naive` {reached:.4f}" in sentence
    assert f"± {200 * math.sqrt(0.995 * 0.005 / 500):.2f} points" in sentence


def test_classifiers_that_are_missing_are_named(tmp_path):
    folder = write_classifiers(tmp_path / "cut", trials=2, state="interrupted")
    found = list(classifier_findings(read_run(folder)))
    assert "`corrected-naive` not trained" in _said(found, "Not judged yet")
    assert len(found) == 1


# Classifiers of codes


@pytest.fixture
def probes(tmp_path) -> Path:
    return write_probes(tmp_path / "run")


def _probes(folder: Path) -> list[str]:
    return list(probe_findings(read_run(folder)))


def _presets(folder: Path, accuracies: dict[str, float]) -> None:
    def change(final):
        for preset in final["presets"]:
            if preset["preset"] in accuracies:
                preset["test_accuracy"] = accuracies[preset["preset"]]

    _change(folder, change)


@pytest.mark.parametrize(
    "reached, verdict", [(0.46, AGREES), (0.6, f"{DIFFERS}, it is higher"), (0.3, "it is lower")]
)
def test_the_best_perceptron_is_set_beside_the_same_settings(probes, reached, verdict):
    _presets(probes, {"report-two-stage": reached})
    sentence = _said(_probes(probes), "best perceptron on codes")
    assert verdict in sentence and f"reach {reached:.4f}" in sentence
    final = json.loads((probes / "final.json").read_text())
    best = next(one for one in final["winners"] if one["model"] == "mlp-128")
    assert f"{best['mean']['test_accuracy']:.4f} ± " in sentence and "mlp at code 128" in sentence


def test_a_perceptron_of_other_data_is_not_compared(tmp_path):
    found = _probes(write_probes(tmp_path / "run", data="glyphs"))
    assert "do not compare" in _said(found, "best perceptron on codes")


@pytest.mark.parametrize(
    "two, four, verdict, told",
    [
        (0.8, 0.5, AGREES, "2 is best"),
        (0.5, 0.8, DIFFERS, "4 is best, by +30.00 points over 2"),
        (0.7, 0.7001, WITHIN_CHANCE, "4 is best, by +0.01 points over 2"),
    ],
)
def test_the_number_of_blocks_is_judged(probes, two, four, verdict, told):
    _presets(probes, {"mlp-2-blocks": two, "mlp-4-blocks": four})
    sentence = _said(_probes(probes), "numbers of blocks")
    assert f"{told}: {verdict}." in sentence and "does not help (-5.00 points)" in sentence


@pytest.mark.parametrize(
    "strongest, verdict", [(0.2, AGREES), (0.9, DIFFERS), (0.54, WITHIN_CHANCE)]
)
def test_stronger_l2_is_judged_by_its_ends(probes, strongest, verdict):
    _presets(probes, {"mlp-2-blocks": 0.54, "mlp-l2-0.01": strongest})
    assert f": {verdict}." in _said(_probes(probes), "The stronger the L2")


@pytest.mark.parametrize("share, verdict", [(0.6, DIFFERS), (0.4, AGREES)])
def test_forests_and_boosting_are_usable_from_half_of_the_perceptron(probes, share, verdict):
    def change(final):
        for winner in final["winners"]:
            reached = 0.6 if winner["probe"] == "mlp" else 0.6 * share
            winner["mean"]["test_accuracy"] = reached

    _change(probes, change)
    for kind in ("Forests", "Boosting"):
        sentence = _said(_probes(probes), f"{kind} on codes")
        assert f"{100 * share:.0f} % of the best perceptron's 0.6000" in sentence
        assert f": {verdict}." in sentence


@pytest.mark.parametrize("smaller, verdict", [(0.5, AGREES), (0.6, DIFFERS)])
def test_smaller_codes_are_set_beside_1024_for_forests_and_boosting(probes, smaller, verdict):
    def change(final):
        for winner in final["winners"]:
            size = winner["latent_size"]
            winner["mean"]["test_accuracy"] = 0.5 if size == 1024 else smaller

    _change(probes, change)
    sentence = _said(_probes(probes), "Codes of 128 and 32")
    assert f"catboost {100 * (smaller - 0.5):+.2f}" in sentence and f": {verdict}." in sentence
    best = _said(_probes(probes), "best probe, mlp")
    assert f"0.5000 at code 1024, {smaller:.4f} at code 128" in best


@pytest.mark.parametrize("gain, verdict", [(0.01, AGREES), (0.1, DIFFERS)])
def test_tuning_is_what_a_trial_gains_on_the_default(probes, gain, verdict):
    assert not any("tuning" in sentence for sentence in _probes(probes))
    rows = _rows(probes / "trials.csv")
    default = next(row for row in rows if row["preset"] == "catboost-default-32")
    reached = float(default["best_validation_accuracy"]) + gain
    tuned = {"id": "trial_00099", "preset": "sampled", "best_validation_accuracy": reached}
    _write_csv(probes / "trials.csv", [*rows, {**default, **tuned}])

    def change(final):
        for winner in final["winners"]:
            if winner["model"] == "catboost-32":
                winner["searched"]["validation_accuracy"] = reached

    _change(probes, change)
    sentence = _said(_probes(probes), "tuning")
    assert f"the most is {100 * gain:+.2f} points, catboost at code 32" in sentence
    assert f": {verdict}." in sentence


def test_probes_that_are_missing_are_named(tmp_path):
    folder = write_probes(tmp_path / "cut", (32,), ("mlp", "knn"), state="interrupted")
    sentence = _said(_probes(folder), "Not judged yet")
    assert "forests, boosting" in sentence and "--name cut --resume` goes on." in sentence


# The plot by step


def _configure(folder: Path, content: str) -> None:
    place = folder / "best" / "sae"
    place.mkdir(parents=True)
    (place / "config.json").write_text(content)


def _drawn(figure) -> dict[str, list[float]]:
    lines = figure.axes[0].get_lines()
    return {line.get_label(): list(line.get_xdata()) for line in lines}


def test_steps_are_epochs_times_the_batches_of_one(run_folder):
    _configure(run_folder, json.dumps({"training": {"batch_size": 64}}))
    figure = sae_by_step(read_run(run_folder))
    drawn = _drawn(figure)
    ours = {label: steps for label, steps in drawn.items() if label.startswith("our ")}
    assert [*ours.values()] == [[63 * epoch for epoch in range(1, 10)]] * 2
    assert "optimiser steps (63 an epoch)" in figure.axes[0].get_xlabel()
    assert any("report's sae" in label and "0.02008" in label for label in drawn)
    assert any("report's deeper-sae" in label and "0.03732" in label for label in drawn)


@pytest.mark.parametrize("content", ["", "[]", '{"training": 3}', '{"training": {}}'])
def test_without_a_batch_size_the_axis_says_epochs(run_folder, content):
    _configure(run_folder, content)
    figure = sae_by_step(read_run(run_folder))
    assert figure.axes[0].get_xlabel().startswith("epochs")
    assert list(range(1, 10)) in _drawn(figure).values()


def test_a_run_without_the_sparse_presets_draws_nothing(tmp_path):
    assert sae_by_step(read_run(write_run(tmp_path / "run", trials=2))) is None


@pytest.mark.parametrize("trials, epochs", [(5, 1), (6, 2), (8, 81)])
def test_the_plot_has_no_overlapping_words_and_the_same_bytes(tmp_path, trials, epochs):
    run = read_run(write_run(tmp_path / "run", trials=trials, epochs=epochs))
    figure = sae_by_step(run)
    FigureCanvasAgg(figure).draw()
    words = [label for label in figure.axes[0].get_xticklabels() if label.get_visible()]
    boxes = sorted((one.get_window_extent() for one in words if one.get_text()), key=lambda b: b.x0)
    assert boxes and all(a.x1 <= b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
    assert figures.png(sae_by_step(run)) == figures.png(sae_by_step(run))
