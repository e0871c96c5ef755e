"""Noise on the input."""

import pytest
import torch

from models.training.noise import NOISES, corrupt


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(value: float = 1.0, count: int = 50, side: int = 28) -> torch.Tensor:
    return torch.full((count, 1, side, side), value)


@pytest.mark.parametrize("noise, level", [("none", 0.5), *((noise, 0.0) for noise in NOISES)])
def test_no_noise_changes_nothing(noise, level):
    images = torch.rand(3, 1, 28, 28, generator=generator())
    assert torch.equal(corrupt(images, noise, level, generator()), images)


@pytest.mark.parametrize("noise", ["dropout", "gaussian", "block"])
def test_noise_leaves_the_clean_images_as_they_were(noise):
    images = torch.rand(5, 1, 28, 28, generator=generator())
    before = images.clone()
    noised = corrupt(images, noise, 0.3, generator())
    assert torch.equal(images, before)
    assert noised.shape == images.shape and not torch.equal(noised, images)
    assert 0 <= noised.min() and noised.max() <= 1


@pytest.mark.parametrize("noise", ["dropout", "gaussian", "block"])
def test_noise_is_the_generator_s_and_every_image_has_its_own(noise):
    images = grey(0.5)
    noised = corrupt(images, noise, 0.3, generator(1))
    assert torch.equal(noised, corrupt(images, noise, 0.3, generator(1)))
    assert not torch.equal(noised, corrupt(images, noise, 0.3, generator(2)))
    assert len(noised.unique(dim=0)) == len(noised)


@pytest.mark.parametrize("level", [0.1, 0.3, 0.8])
def test_dropout_zeroes_that_fraction_of_the_pixels_and_keeps_the_others(level):
    noised = corrupt(grey(0.7), "dropout", level, generator())
    assert set(noised.unique().tolist()) == {0.0, grey(0.7)[0, 0, 0, 0].item()}
    assert (noised == 0).float().mean().item() == pytest.approx(level, abs=0.01)


def test_gaussian_noise_has_that_deviation_and_no_bias():
    noised = corrupt(grey(0.5), "gaussian", 0.1, generator())
    assert noised.std().item() == pytest.approx(0.1, rel=0.02)
    assert noised.mean().item() == pytest.approx(0.5, abs=0.002)


def test_gaussian_noise_is_clipped():
    noised = corrupt(grey(0.5), "gaussian", 1.0, generator())
    assert noised.min() == 0 and noised.max() == 1


@pytest.mark.parametrize("side", [28, 30])
def test_block_noise_zeroes_whole_blocks_of_4_by_4(side):
    noised = corrupt(grey(side=side, count=200), "block", 0.3, generator())
    assert noised.shape == (200, 1, side, side)
    inside = noised[..., :28, :28].reshape(200, 7, 4, 7, 4).transpose(2, 3).flatten(3)
    assert torch.equal(inside.amin(3), inside.amax(3))
    assert (inside[..., 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_an_unknown_noise_lists_the_noises():
    with pytest.raises(ValueError, match="none, dropout, gaussian, block, got 'salt'"):
        corrupt(grey(), "salt", 0.1, generator())


@pytest.mark.parametrize("noise", ["dropout", "block"])
def test_a_pixel_in_colour_is_lost_in_all_channels(noise):
    noised = corrupt(torch.ones(20, 3, 28, 28), noise, 0.4, generator())
    assert set(noised.sum(1).unique().tolist()) == {0.0, 3.0}
    assert torch.equal(noised[:, :1], corrupt(grey(count=20), noise, 0.4, generator()))


@pytest.mark.parametrize(("side", "block"), [(16, 2), (32, 5), (128, 18)])
def test_blocks_are_a_seventh_of_the_side(side, block):
    noised = corrupt(grey(side=side), "block", 0.5, generator())
    cells = noised[:, :, ::block, ::block]
    whole = cells.repeat_interleave(block, 2).repeat_interleave(block, 3)
    assert torch.equal(noised, whole[..., :side, :side])
