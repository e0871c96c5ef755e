"""`search.classifiers` as a command: one tiny search from end to end, and its conclusions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from models.data import ImageData
from models.networks.classifier import Classifier, ClassifierConfig
from models.networks.presets import CLASSIFIER_PRESETS
from search.classifiers.task import ClassifierTask
from search.session.mistakes import accuracy_by_kind, confusion_pictures, most_confused
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
    place = tiny[0] / "best" / "classifier"
    config = json.loads((place / "config.json").read_text())
    network = Classifier(ClassifierConfig(**config["model"]))
    network.load_state_dict(torch.load(place / "weights.pt", weights_only=True))
    assert config["model"]["classes"] == 10


def test_the_winner_is_tested_with_new_seeds_beside_its_floors(tiny):
    told = final(tiny[0])
    winner = told["winners"][0]
    assert told["seeds"] == [1, 2] == [run["seed"] for run in winner["runs"]]
    accuracies = [run["test_accuracy"] for run in winner["runs"]]
    assert winner["mean"]["test_accuracy"] == pytest.approx(np.mean(accuracies))
    assert winner["std"]["test_accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert told["floors"]["most_frequent"]["test_accuracy"] == pytest.approx(0.1)
    assert told["floors"]["1-nn"]["test_accuracy"] > 0.5
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
    "flags, said",
    [
        (["--dataset", "mnist5k", "--split", "drawers"], "drawers"),
        (["--split", "drawers"], "--dataset"),
        (["--metric", "test_accuracy"], "test_accuracy"),
        (["--latent-sizes", "32"], "--latent-sizes"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(flags, said, tmp_path, capsys):
    done = refused(*flags, "--storage-path", tmp_path, capsys=capsys, module=MODULE)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_search_of_autoencoders_is_not_resumed_as_one_of_classifiers(tiny, data_dir):  # noqa: F811
    more = ("--resume", "--name", "tiny", "--storage-path", tiny[0].parent)
    done = command(*more, "--data-dir", data_dir)
    assert done.returncode == 2 and "python -m search.classifiers" in done.stderr


@pytest.mark.parametrize("classes, start", [(10, "augmented"), (964, "residual")])
@pytest.mark.parametrize("budget", ["quick", "full"])
def test_every_preset_and_corner_of_the_space_builds_a_network(budget, classes, start):
    task = ClassifierTask(classes=classes, max_epochs=2, budget=budget)
    assert [preset.name for preset in task.presets()] == [*CLASSIFIER_PRESETS, start]
    space = task.space()
    corners = [
        {name: d.choices[end] if hasattr(d, "choices") else (d.low, d.high)[end]}
        for name, d in space.distributions.items()
        for end in (0, -1)
    ]
    base = {"model": "classifier", **space.constants, **space.nearest(task.presets()[0].parameters)}
    for parameters in [*(preset.parameters for preset in task.presets()), *corners]:
        model, training = task.configs({**base, **parameters}, seed=3)
        assert Classifier(model).config.classes == classes
        assert training.seed == 3 + parameters.get("seed_offset", 0)


# Conclusions

LABELS = np.array([0, 0, 1, 1, 2, 2])
PREDICTIONS = np.array([[0, 1, 1, 1, 2, 0], [0, 1, 2, 1, 2, 2]])  # two seeds


def test_confused_pairs_are_counted_over_all_seeds_most_frequent_first():
    assert most_confused(PREDICTIONS, LABELS) == [((0, 1), 2), ((1, 2), 1), ((2, 0), 1)]
    assert most_confused(LABELS[None], LABELS) == []


def test_accuracy_is_by_class_or_by_alphabet():
    assert accuracy_by_kind(PREDICTIONS, LABELS, ("0", "1", "2")) == {
        "0": 0.5,
        "1": 0.75,
        "2": 0.75,
    }
    named = ("Greek/character01", "Greek/character02", "Latin/character01")
    found = accuracy_by_kind(PREDICTIONS, LABELS, named)
    assert found == {"Greek": pytest.approx(0.625), "Latin": 0.75}


def small_set(train: list[int], validation: list[int]) -> ImageData:
    """Six test images of LABELS, then images of the classes listed; pixel (0, 0) tells which."""
    labels = torch.tensor([*LABELS, *train, *validation])
    images = torch.zeros(len(labels), 28, 28, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(len(labels))
    rows = torch.arange(len(labels)).split([6, len(train), len(validation)])
    return ImageData(
        "made", images, labels, None, ("a", "b", "c"), rows[1], rows[2], rows[0], "made", False, ""
    )


def test_a_confusion_is_pictured_by_the_mistaken_drawing_and_one_of_either_class():
    pictures = confusion_pictures(
        most_confused(PREDICTIONS, LABELS), PREDICTIONS, small_set([2, 1, 0], [])
    )
    shown = {name: images[:, 0, 0].tolist() for name, images in pictures.items()}
    assert shown == {"mistaken": [1, 2, 5], "class": [8, 7, 6], "taken_for": [7, 6, 8]}


def test_a_class_without_training_images_is_pictured_by_a_validation_image():
    pictures = confusion_pictures([((0, 1), 2)], PREDICTIONS, small_set([1], [2, 0]))
    assert pictures["class"][0, 0, 0] == 8 and pictures["taken_for"][0, 0, 0] == 6


def test_no_confusion_gives_no_picture():
    pictures = confusion_pictures([], LABELS[None], small_set([0], [1, 2]))
    assert {images.shape for images in pictures.values()} == {(0, 28, 28)}
