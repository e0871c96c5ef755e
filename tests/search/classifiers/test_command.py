"""`search.classifiers` as a command: one tiny search from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from models.networks.classifier import Classifier, ClassifierConfig
from models.networks.presets import CLASSIFIER_PRESETS
from tests.search.session.test_command import command, data_dir, refused, rows  # noqa: F401  (a fixture)

MODULE = "search.classifiers"
TINY = (
    "--dataset mnist5k --train-size 120 --max-epochs 2 --num-samples 7 --final-seeds 2 --name tiny"
).split()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, data_dir):  # noqa: F811
    storage = tmp_path_factory.mktemp("runs")
    done = command(*TINY, "--storage-path", storage, "--data-dir", data_dir, module=MODULE)
    assert done.returncode == 0, done.stderr
    return storage / "tiny", done.stdout


def final(folder) -> dict:
    return json.loads((folder / "final.json").read_text())


def test_the_report_s_models_run_to_the_end_and_another_naive_is_naive_with_another_seed(tiny):
    trials = rows(tiny[0] / "trials.csv")
    assert [trial["preset"] for trial in trials[:4]] == [*CLASSIFIER_PRESETS, "augmented"]
    assert all(trial["state"] == "complete" for trial in trials[:4])
    naive, another = trials[:2]
    differ = {key for key in CLASSIFIER_PRESETS["naive"] if naive[key] != another[key]}
    assert differ == {"seed_offset"}
    assert naive["best_train_loss"] != another["best_train_loss"]


def test_the_best_weights_load_and_match_their_config(tiny):
    folder = tiny[0] / "best" / "classifier"
    config = json.loads((folder / "config.json").read_text())
    network = Classifier(ClassifierConfig(**config["model"]))
    network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    assert config["model"]["classes"] == 10


def test_the_winner_is_tested_with_new_seeds_beside_its_floors(tiny):
    found = final(tiny[0])
    winner = found["winners"][0]
    assert found["seeds"] == [1, 2] == [run["seed"] for run in winner["runs"]]
    accuracies = [run["test_accuracy"] for run in winner["runs"]]
    assert winner["mean"]["test_accuracy"] == pytest.approx(np.mean(accuracies))
    assert winner["std"]["test_accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert found["floors"]["most_frequent"]["test_accuracy"] == pytest.approx(0.1)
    assert found["floors"]["1-nn"]["test_accuracy"] > 0.5
    by = winner["accuracy_by"]
    assert set(by) == set("0123456789")  # as many test images of each: the mean is the accuracy
    assert np.mean(list(by.values())) == pytest.approx(winner["mean"]["test_accuracy"])


def test_naive_and_corrected_are_retrained_with_the_same_seeds(tiny):
    presets = {preset["preset"]: preset for preset in final(tiny[0])["presets"]}
    for name in ("naive", "corrected-naive"):
        assert [run["seed"] for run in presets[name]["runs"]] == [1, 2]
        assert 0 < presets[name]["mean"]["test_accuracy"] <= 1
    assert "runs" not in presets["another-naive"] and presets["another-naive"]["test_accuracy"] > 0


def test_the_confused_pairs_are_named_counted_and_pictured(tiny):
    pairs = final(tiny[0])["winners"][0]["confused"]
    assert pairs == sorted(pairs, key=lambda pair: -pair["times"])
    assert all(0 < pair["times"] <= pair["of"] == 2 * 50 for pair in pairs)
    with np.load(tiny[0] / "best" / "classifier" / "confusions.npz") as pictures:
        for name in ("mistaken", "class", "taken_for"):
            assert pictures[name].shape == (len(pairs), 28, 28)


def test_a_finished_search_resumes_to_the_same_tables(tiny, data_dir):  # noqa: F811
    folder = tiny[0]
    files = ("trials.csv", "epochs.csv", "final.json")
    before = [(folder / name).read_bytes() for name in files]
    more = ("--resume", "--name", "tiny", "--storage-path", folder.parent, "--data-dir", data_dir)
    done = command(*more, module=MODULE)
    assert done.returncode == 0, done.stderr
    assert [(folder / name).read_bytes() for name in files] == before
    assert not list((folder / "finals").glob("*.pt"))


@pytest.mark.parametrize(
    "flags, named",
    [
        (["--dataset", "mnist5k", "--split", "drawers"], "drawers"),
        (["--split", "drawers"], "--dataset"),
        (["--metric", "test_accuracy"], "test_accuracy"),
        (["--latent-sizes", "32"], "--latent-sizes"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(flags, named, tmp_path, capsys):
    done = refused(*flags, "--storage-path", tmp_path, capsys=capsys, module=MODULE)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and named in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_search_of_autoencoders_is_not_resumed_as_one_of_classifiers(tiny, data_dir):  # noqa: F811
    more = ("--resume", "--name", "tiny", "--storage-path", tiny[0].parent)
    done = command(*more, "--data-dir", data_dir)
    assert done.returncode == 2 and "python -m search.classifiers" in done.stderr
