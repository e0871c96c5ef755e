"""Training a classifier: that it learns, and that its settings do what they say."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from models.networks.classifier import Classifier, ClassifierConfig
from models.training.classification import (
    Classification,
    accuracy,
    classifier_run,
    predict,
)
from models.training.loop import TrainingConfig
from tests.models.made_data import prepared_glyphs

MODEL = ClassifierConfig(classes=12, depth=3, width=8, hidden=32, activation="silu")
TRAINING = TrainingConfig(max_epochs=6, batch_size=16, learning_rate=3e-3)


@pytest.fixture(scope="module")
def data():
    """12 characters: 14 drawings of each to train, 3 to validate."""
    return prepared_glyphs(12, validation=3)


def trained(data, model=MODEL, training=TRAINING):
    run = classifier_run(model, training, data)
    return run, list(run.epochs())


def test_a_classifier_learns_characters_of_unseen_drawers(data):
    _, records = trained(data)
    assert records[-1]["validation_accuracy"] > 0.8
    assert records[-1]["train_loss"] < records[0]["train_loss"]
    assert records[-1]["validation_loss"] < math.log(12)


def test_equal_seeds_give_equal_curves_and_other_seeds_others(data):
    short = replace(TRAINING, max_epochs=2, affine=1.0, noise="block", noise_level=0.1)
    curves = [trained(data, training=replace(short, seed=seed))[1] for seed in (0, 0, 1)]
    first, same, other = ([r["train_loss"] for r in curve] for curve in curves)
    assert first == same and first != other


def test_a_restored_run_goes_on_to_the_same_curve(data):
    whole = trained(data, training=replace(TRAINING, max_epochs=3))[1]
    run = classifier_run(MODEL, replace(TRAINING, max_epochs=3), data)
    next(run.epochs())
    again = classifier_run(MODEL, replace(TRAINING, max_epochs=3), data)
    again.load_state_dict(run.state_dict())
    rest = [record["validation_loss"] for record in again.epochs()]
    assert rest == [record["validation_loss"] for record in whole[1:]]


def test_the_weights_reproduce_the_recorded_metrics(data):
    run, records = trained(data, training=replace(TRAINING, max_epochs=2))
    network = Classifier(MODEL)
    network.load_state_dict(run.weights())
    network = network.to(memory_format=torch.channels_last)
    logits, labels = predict(network, data, data.validation), data.labels[data.validation]
    assert accuracy(logits, labels) == records[-1]["validation_accuracy"]
    assert float(F.cross_entropy(logits, labels)) == records[-1]["validation_loss"]


def test_accuracy_counts_rows_whose_largest_logit_is_at_the_label():
    logits = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 1, 1])) == pytest.approx(2 / 3)


def test_label_smoothing_is_in_the_training_loss_and_not_in_the_measured_one(data):
    network = Classifier(MODEL).eval()
    rows = data.train[:32]
    images, labels = data.batch(rows), data.labels[rows]
    plain, smoothed = (
        Classification(replace(TRAINING, label_smoothing=share)).loss(
            network, images, labels, torch.Generator()
        )
        for share in (0.0, 0.3)
    )
    wanted = 0.7 * plain + 0.3 * -F.log_softmax(network(images), 1).mean()
    assert smoothed.item() == pytest.approx(wanted.item(), rel=0.02)
    measured = [
        Classification(replace(TRAINING, label_smoothing=share)).measure(network, data)
        for share in (0.0, 0.3)
    ]
    assert measured[0] == measured[1]


def test_noise_is_on_the_training_images_and_not_on_the_measured_ones(data):
    network = Classifier(MODEL).eval()
    rows = data.train[:32]
    images, labels = data.batch(rows), data.labels[rows]
    noisy = replace(TRAINING, noise="block", noise_level=0.5)
    losses = [
        Classification(t).loss(network, images, labels, torch.Generator().manual_seed(0)).item()
        for t in (TRAINING, noisy)
    ]
    assert losses[0] != losses[1]
    measured = [Classification(t).measure(network, data) for t in (TRAINING, noisy)]
    assert measured[0] == measured[1]


def test_a_diverging_run_says_so_and_raises_nothing(data):
    _, records = trained(data, training=replace(TRAINING, learning_rate=1e25, max_epochs=2))
    assert math.isnan(records[-1]["validation_accuracy"])
    assert math.isnan(records[-1]["validation_loss"])


def test_a_last_batch_of_one_image_does_not_stop_a_batch_norm(data):
    odd = replace(data, train=data.train[:33], reference=data.train[:513].repeat(4)[:513])
    _, records = trained(odd, replace(MODEL, hidden_norm=True), replace(TRAINING, max_epochs=2))
    assert all(math.isfinite(record["train_loss"]) for record in records)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_label_smoothing_that_cannot_be_is_refused(share):
    with pytest.raises(ValueError, match="label_smoothing"):
        TrainingConfig(label_smoothing=share)
