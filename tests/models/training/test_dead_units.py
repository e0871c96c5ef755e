"""Units that are never active are counted, and get a task."""

import pytest
import torch

from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training import dead_units
from models.training.dead_units import SilentUnits, auxk_loss
from models.training.loop import TrainingConfig
from models.training.reconstruction import autoencoder_run
from tests.models.made_data import prepared_glyphs


def test_a_unit_is_dead_after_so_many_images_without_it(monkeypatch):
    monkeypatch.setattr(dead_units, "DEAD_AFTER", 9)
    units = SilentUnits(3)
    codes = torch.zeros(5, 3)
    codes[2, 0] = 1.0
    assert units.update(codes).tolist() == [False, False, False]
    assert units.update(codes).tolist() == [False, True, True]
    codes[0, 2] = 0.5
    assert units.update(codes).tolist() == [False, True, False]
    assert units.images.tolist() == [0, 15, 0]


def network() -> Autoencoder:
    torch.manual_seed(0)
    config = AutoencoderConfig(
        depth=2, width=4, latent_size=6, code_activation="topk", kept_units=2
    )
    return Autoencoder(config).eval()


def test_the_loss_moves_dead_units_alone():
    values = torch.tensor([[3.0, 2.0, 1.0, 0.5, 0.4, -1.0]]).repeat(8, 1).requires_grad_()
    net = network()
    codes = net.activate(values)
    dead = torch.tensor([False, False, True, False, True, True])
    auxk_loss(net, values, codes, dead, torch.rand(8, 1, 28, 28)).backward()
    moved = values.grad[:2].abs().sum(0) > 0  # a quarter of the batch
    assert moved.tolist() == [False, False, True, False, True, False]  # two of three, the largest
    assert not values.grad[2:].any()


def test_a_unit_that_is_negative_for_every_image_has_a_gradient():
    values = -torch.rand(4, 6).requires_grad_()
    values.retain_grad()
    net, dead = network(), torch.tensor([True] + 5 * [False])
    auxk_loss(net, values, net.activate(values), dead, torch.rand(4, 1, 28, 28)).backward()
    assert (values.grad[0] != 0).tolist() == dead.tolist()


def test_it_revives_units_in_a_training(monkeypatch):
    """Without it they stay dead: at first the same few units are the largest for every image."""
    model = AutoencoderConfig(
        depth=2, width=8, latent_size=128, code_activation="topk", kept_units=6
    )
    monkeypatch.setattr(dead_units, "DEAD_AFTER", 300)
    dead = {}
    for auxk in (0.0, 0.03):
        training = TrainingConfig(max_epochs=12, batch_size=40, learning_rate=5e-3, auxk=auxk)
        *_, record = autoencoder_run(model, training, prepared_glyphs(24, validation=6)).epochs()
        dead[auxk] = record["dead_units"]
    assert dead[0.03] < 0.8 * dead[0.0]


def test_without_dead_units_it_is_the_error_of_the_codes():
    dead = torch.zeros(6, dtype=torch.bool)
    net, values = network(), torch.rand(4, 6)
    images = torch.rand(4, 1, 28, 28)
    codes = net.activate(values)
    expected = (net.decode(codes[:1]) - images[:1]).square().mean()
    found = auxk_loss(net, values, codes, dead, images)
    assert found.item() == pytest.approx(expected.item())
