"""Units that are never active are counted, and get a task."""

import pytest
import torch

from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training import dead_units
from models.training.dead_units import SilentUnits, auxk_loss


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
    assert moved.tolist() == [False, False, True, False, True, False]
    assert not values.grad[2:].any()


@pytest.mark.parametrize("dead", [torch.zeros(6, dtype=torch.bool)])
def test_without_dead_units_it_is_the_error_of_the_codes(dead):
    net, values = network(), torch.rand(4, 6)
    images = torch.rand(4, 1, 28, 28)
    codes = net.activate(values)
    expected = (net.decode(codes[:1]) - images[:1]).square().mean()
    assert float(auxk_loss(net, values, codes, dead, images)) == pytest.approx(float(expected))
