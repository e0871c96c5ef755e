"""`--network`: the networks of docs/own-network.md are searched, and what is wrong is told."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from models.networks.own import NetworkError, NetworkFile, OwnConfig, read_network, try_batch
from models.training.loop import TrainingConfig
from models.training.own_network import own_run
from search.autoencoders.command import COMMAND
from search.autoencoders.own_network import OwnNetwork
from search.autoencoders.task import AutoencoderTask
from search.session.command import main
from tests.models.made_data import prepared_glyphs

PAGE = Path(__file__).parents[3] / "docs" / "own-network.md"
SHAPE = (1, 28, 28)


@pytest.fixture(scope="module")
def source():
    return "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S))


@pytest.fixture
def file(source, tmp_path):
    path = tmp_path / "my_networks.py"
    path.write_text(source)
    return path


def config(source: str, name: str = "Dense", latent_size: int = 16, **values) -> OwnConfig:
    network = NetworkFile("my_networks.py", name, source)
    return OwnConfig(network, {**network.ranges()[0], **values}, latent_size, SHAPE)


def test_the_first_network_of_the_page_is_built_in_40_lines():
    first = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)[0]
    assert len([line for line in first.splitlines() if line.strip()]) <= 40


def test_a_training_lowers_the_error_and_records_each_term(source):
    data = prepared_glyphs(20, 3)
    run = own_run(config(source, "Variational"), TrainingConfig(max_epochs=4, l1=1e-6), data)
    records = list(run.epochs())
    assert records[-1]["validation_mse"] < records[0]["validation_mse"]
    assert records[-1]["loss_kl"] > 0 and records[-1]["loss_mse"] > 0
    plain = own_run(config(source), TrainingConfig(max_epochs=1), data)
    assert "loss_mse" not in next(plain.epochs())


@pytest.mark.parametrize("name", ["Dense", "Variational"])
def test_the_contrastive_loss_is_added_and_its_weights_are_not_kept(source, name):
    data, model = prepared_glyphs(8, 2), config(source, name)
    losses = []
    for weight in (0.0, 0.5):
        training = TrainingConfig(max_epochs=1, contrastive_weight=weight, affine=0.5)
        run = own_run(model, training, data)
        losses.append(next(run.epochs())["train_loss"])
        model.build().load_state_dict(run.weights())
    assert losses[1] > losses[0] + 0.1


def test_the_space_for_probes_has_the_training_of_ours_and_presets_for_it(source):
    network = OwnNetwork(NetworkFile("my_networks.py", "Dense", source), SHAPE)
    task = AutoencoderTask((32, 16), 3, "quick", "probe_accuracy", network=network)
    space = task.space()
    assert {"hidden", "units", "contrastive_weight", "batch_size"} <= space.distributions.keys()
    assert not {"depth", "code_activation", "kept_units", "auxk"} & space.distributions.keys()
    for preset in task.presets():
        assert space.distributions.keys() <= preset.parameters.keys()
        _, training = task.configs(preset.parameters, 0)
        assert training.batch_size == task.batch_size


def test_two_epochs_resumed_are_four_at_once(source):
    data, model = prepared_glyphs(12, 2), config(source, "Variational")
    training = TrainingConfig(
        max_epochs=4, noise="block", noise_level=0.1, l1=1e-6, contrastive_weight=0.1
    )
    whole = list(own_run(model, training, data).epochs())
    first = own_run(model, training, data)
    epochs = first.epochs()
    halves = [next(epochs), next(epochs)]
    second = own_run(model, training, data)
    second.load_state_dict(first.state_dict())
    halves += list(second.epochs())
    for ours, theirs in zip(halves, whole, strict=True):
        same = {k: v for k, v in ours.items() if k != "images_per_s"}
        np.testing.assert_equal(same, {k: v for k, v in theirs.items() if k != "images_per_s"})


WRONG = {  # what is replaced, what comes in its place, the line that is named, what is said
    "a shape inside": ("prod(shape), *", "700, *", "return self.encoder(images", "RuntimeError"),
    "the shape of images": (".unflatten(1, self.shape)", "", "def decode", "returns (8, 784)"),
    "the shape of codes": ("self.encoder(images.flatten(1))", "images", "def encode", "returns"),
    "an exception": ("self.shape = shape", "1 / 0", "1 / 0", "ZeroDivisionError"),
    "no method": ("def decode", "def decoder_", "class Dense", "no method decode"),
    "no import": ("from torch import nn", "import not_there", "import not_there", "not_there"),
    "no syntax": ("super().__init__()", "super().__init__(", "super().__init__(", "SyntaxError"),
    "a name that is taken": ("units", "l1", "class Dense", "Config.l1 is a name of the search"),
    "a range that is none": ('"1..3"', '"3..1"', "class Dense", "empty"),
    "a default that is missing": ('"1..3"] = 1', '"1..3"]', "class Dense", "no default"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line_with_its_line_before_the_search(case, tmp_path, capsys):
    before, after, named, told = WRONG[case]
    text = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)[0]
    assert before in text
    text = text.replace(before, after)
    line = 1 + next(n for n, content in enumerate(text.splitlines()) if named in content)
    path = tmp_path / "wrong.py"
    path.write_text(text)
    where = ["--storage-path", str(tmp_path / "runs"), "--data-dir", str(tmp_path.parent)]
    try:
        flags = ["--dataset", "mnist5k", "--latent-sizes", "32", "--network", f"{path}:Dense"]
        status = main(COMMAND, [*flags, *where])
    except SystemExit as stop:
        status = stop.code
    (error,) = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and told in error and f"wrong.py, line {line}:" in error
    assert not (tmp_path / "runs").exists()


def test_a_loss_without_a_gradient_is_refused(source):
    text = source.replace("self.decode(codes), targets)", "targets, targets)").replace(
        "self.beta * kl", "kl.detach()"
    )
    with pytest.raises(NetworkError, match="nothing to train"):
        try_batch(config(text, "Variational"))


def test_a_file_that_cannot_be_read_or_lacks_the_class_is_refused(file):
    for text in (str(file), f"{file}:Other", f"{file}x:Dense", f"{file}:"):
        with pytest.raises(NetworkError):
            read_network(text)


@pytest.mark.slow  # two searches and a report
def test_both_networks_are_searched_resumed_and_reported(file, tmp_path):
    from tests.search.session.test_command import command

    for name, columns in (("Dense", set()), ("Variational", {"loss_mse", "loss_kl"})):
        where = ("--name", name, "--storage-path", tmp_path / "runs", "--data-dir", tmp_path)
        done = command(
            *("--network", f"{file}:{name}", "--dataset", "mnist5k", "--train-size", 200),
            *("--max-epochs", 2, "--num-samples", 5, "--final-seeds", 1, "--latent-sizes", 64, 16),
            *where,
        )
        assert done.returncode == 0, done.stderr
        if name == "Dense":
            file.write_text(file.read_text() + "\nraise ValueError('edited')\n")
            done = command("--resume", "--num-samples", 7, *where)  # goes on with the recorded text
            assert done.returncode == 0, done.stderr
            file.write_text(file.read_text().replace("\nraise ValueError('edited')\n", ""))
        folder = tmp_path / "runs" / name
        with open(folder / "trials.csv", newline="") as table:
            trials = list(csv.DictReader(table))
        assert {"hidden", "units", "activation"} <= set(trials[0]) and "depth" not in trials[0]
        assert trials[0]["preset"] == f"{name}-64" and len(trials) == (7 if name == "Dense" else 5)
        with open(folder / "epochs.csv", newline="") as table:
            assert columns <= set(csv.DictReader(table).fieldnames)
        network = models.load(folder / "best" / "16")
        assert network.encode(torch.rand(3, *SHAPE)).shape == (3, 16)
        assert json.loads((folder / "final.json").read_text())["winners"][0]["mean"]["test_mse"] > 0
    done = command("--runs", tmp_path / "runs", "--out", tmp_path / "out", module="analysis.report")
    assert done.returncode == 0, done.stderr
