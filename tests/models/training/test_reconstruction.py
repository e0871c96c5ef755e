"""What an autoencoder minimises beyond its error: exact resume, and what is off changes nothing."""

import functools
import io
from dataclasses import replace

import pytest
import torch

from models.data.prepared import PreparedData
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training import dead_units
from models.training.loop import TrainingConfig
from models.training.reconstruction import autoencoder_run, evaluate
from tests.models.made_data import prepared_glyphs

MODEL = AutoencoderConfig(depth=2, width=8, latent_size=12, dropout=0.1)
TRAINING = TrainingConfig(
    max_epochs=3, batch_size=40, learning_rate=5e-3, noise="block", noise_level=0.2, warp=0.5
)
TOPK = replace(MODEL, code_activation="topk", kept_units=3)
SPARSE = TOPK, replace(TRAINING, auxk=0.5)
CONTRASTIVE = MODEL, replace(TRAINING, contrastive_weight=0.5)
VICREG = MODEL, replace(TRAINING, contrastive_weight=0.5, contrast="vicreg")


@functools.cache
def glyphs() -> PreparedData:
    return prepared_glyphs(12, validation=2)


@pytest.fixture(autouse=True)
def soon_dead(monkeypatch):
    monkeypatch.setattr(dead_units, "DEAD_AFTER", 100)


def start(model: AutoencoderConfig, training: TrainingConfig):
    return autoencoder_run(model, training, glyphs())


def curve(run) -> list[tuple[float, float]]:
    return [(record["train_loss"], record["validation_mse"]) for record in run.epochs()]


@pytest.mark.parametrize("model, training", [SPARSE, CONTRASTIVE, VICREG])
def test_a_run_that_is_saved_and_read_goes_on_with_the_same_curve(model, training):
    whole = start(model, training)
    expected = curve(whole)
    first = start(model, replace(training, max_epochs=1))
    found = curve(first)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = start(model, training)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert found + curve(second) == expected
    ours, theirs = second.weights(), whole.weights()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("model, training", [SPARSE, CONTRASTIVE])
def test_what_only_the_training_needs_is_no_part_of_the_weights(model, training):
    run = start(model, replace(training, max_epochs=1))
    (record,) = run.epochs()
    assert any(name.startswith("training_only.") for name in run.state_dict()["network"])
    network = Autoencoder(model)
    network.load_state_dict(run.weights())  # raises for a name too many
    error, codes = evaluate(network, glyphs(), glyphs().validation)
    assert float(error) == pytest.approx(record["validation_mse"], rel=2e-3)
    if model.code_activation == "topk":
        assert record["units_per_image"] <= 3 and (codes != 0).sum(1).max() <= 3


@pytest.mark.parametrize(
    "off", [{"contrast": "vicreg", "temperature": 0.5}, {"auxk": 0.5}, {"contrastive_weight": 0.0}]
)
def test_what_is_off_changes_nothing(off):
    """A weight of zero is off, whatever the other settings say; auxk is of `topk` alone."""
    training = replace(TRAINING, max_epochs=2)
    assert curve(start(MODEL, replace(training, **off))) == curve(start(MODEL, training))


def test_k_does_nothing_without_topk():
    training = replace(TRAINING, max_epochs=1)
    other = replace(MODEL, kept_units=2)
    assert curve(start(other, training)) == curve(start(MODEL, training))


@pytest.mark.parametrize(
    "other",
    [{"contrast": "vicreg"}, {"temperature": 1.0}, {"contrastive_weight": 0.1}],
)
def test_the_settings_of_the_term_matter(other):
    model, training = CONTRASTIVE
    training = replace(training, max_epochs=1)
    assert curve(start(model, training)) != curve(start(model, replace(training, **other)))


def test_the_term_draws_the_codes_of_two_views_together():
    """Beside the codes of the same training without it: two warped views of one drawing are nearer
    to each other than to views of other drawings."""

    def right(training: TrainingConfig) -> float:
        run = start(MODEL, replace(training, max_epochs=8, warp=1.0))
        for _ in run.epochs():
            pass
        data, generator = glyphs(), torch.Generator().manual_seed(0)
        views = [
            torch.nn.functional.normalize(
                run.average.encode(run.objective.view(data.batch(data.validation), generator)),
                dim=1,
            )
            for _ in range(2)
        ]
        nearest = (views[0] @ views[1].T).argmax(1)
        return float((nearest == torch.arange(len(nearest))).float().mean())

    model, training = CONTRASTIVE
    assert right(training) > right(TRAINING)


@pytest.mark.parametrize(
    "wrong", [{"auxk": -1.0}, {"contrastive_weight": -0.1}, {"temperature": 0.0}, {"contrast": "x"}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError):
        TrainingConfig(**wrong)
