"""Which classifier Frechet classifier distances are measured with."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch

from models.data import ImageData
from models.networks.classifier import Classifier, ClassifierConfig
from probes.generation.extractor import find_extractor

CONFIG = ClassifierConfig(depth=1, width=2, hidden=3)


def add_run(runs, name, data="mnist", accuracy=0.9, model=CONFIG):
    """A run folder as far as it matters here; its weights tell its name apart."""
    place = runs / name / "best" / "classifier"
    place.mkdir(parents=True)
    config = {"model": asdict(model), "data": {"name": data}, "validation_accuracy": accuracy}
    (place / "config.json").write_text(json.dumps(config))
    torch.save(Classifier(CONFIG).state_dict(), place / "weights.pt")
    return place


def test_the_best_classifier_of_mnist_is_taken(tmp_path):
    add_run(tmp_path, "a", accuracy=0.97)
    add_run(tmp_path, "b", accuracy=0.99)
    add_run(tmp_path, "c", accuracy=0.98)
    found = find_extractor(tmp_path, tmp_path)
    assert "run b" in found.source and found.validation_accuracy == 0.99
    assert not found.network.training


def test_one_of_full_mnist_comes_before_one_of_mnist5k(tmp_path):
    add_run(tmp_path, "large", "mnist", 0.9)
    add_run(tmp_path, "small", "mnist5k", 0.99)
    found = find_extractor(tmp_path, tmp_path)
    assert found.data == "mnist" and "large" in found.source


def test_classifiers_of_other_images_and_damaged_folders_are_passed_over(tmp_path):
    add_run(tmp_path, "letters", "omniglot", 0.99)
    (add_run(tmp_path, "torn", accuracy=1.0) / "config.json").write_text('{"data": {"na')
    (add_run(tmp_path, "weightless", accuracy=1.0) / "weights.pt").unlink()
    (add_run(tmp_path, "half", accuracy=1.0) / "weights.pt").write_bytes(b"half a file")
    add_run(tmp_path, "other", accuracy=1.0, model=ClassifierConfig(depth=2, width=2, hidden=3))
    add_run(tmp_path, "sound", accuracy=0.5)
    assert "sound" in find_extractor(tmp_path, tmp_path).source


def test_other_weights_have_another_digest(tmp_path):
    place = add_run(tmp_path, "a")
    first = find_extractor(tmp_path, tmp_path).summary()
    assert find_extractor(tmp_path, tmp_path).summary() == first
    torch.save(Classifier(CONFIG).state_dict(), place / "weights.pt")
    assert find_extractor(tmp_path, tmp_path).summary()["sha256"] != first["sha256"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    nowhere = tmp_path_factory.mktemp("nothing")
    return find_extractor(nowhere / "runs", nowhere)


def test_without_any_a_small_one_is_trained_and_says_so(trained):
    assert "trained for this" in trained.source and trained.data == "mnist5k"
    assert trained.validation_accuracy > 0.93


def test_its_features_are_few_enough_for_a_full_covariance_of_500_images(trained):
    assert trained.network.config.hidden < 500


def own(labels: bool, side: int = 20) -> ImageData:
    images = torch.zeros(90, side, side, 3, dtype=torch.uint8)
    classes = torch.arange(90) % 2
    images[classes == 1] = 255
    parts = [torch.arange(30) + 30 * part for part in range(3)]
    names = ("dark", "light") if labels else ()
    return ImageData("own", images, classes, None, names, *parts, "file", False, "", "/own.npz")


def test_images_of_another_size_are_measured_by_a_classifier_of_themselves(tmp_path):
    add_run(tmp_path, "digits")
    found = find_extractor(tmp_path, tmp_path, own(labels=True))
    assert found.data == "own" and found.validation_accuracy > 0.9
    assert found.network.config.image_side == 20 and found.network.config.classes == 2


def test_without_labels_there_is_none(tmp_path):
    assert find_extractor(tmp_path, tmp_path, own(labels=False)) is None


def test_a_run_on_the_same_images_is_taken(tmp_path):
    add_run(tmp_path, "elsewhere", "own")
    place = add_run(tmp_path, "same", "own")
    config = json.loads((place / "config.json").read_text())
    config["data"] = own(labels=True).summary()
    (place / "config.json").write_text(json.dumps(config))
    assert "run same" in find_extractor(tmp_path, tmp_path, own(labels=False)).source


def test_digits_of_another_size_do_not_measure_digits(tmp_path):
    place = add_run(tmp_path, "large", accuracy=0.99)
    config = json.loads((place / "config.json").read_text())
    config["data"]["side"] = 32
    (place / "config.json").write_text(json.dumps(config))
    add_run(tmp_path, "published", accuracy=0.9)
    assert "run published" in find_extractor(tmp_path, tmp_path).source
