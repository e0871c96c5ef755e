"""Random affine maps and bending."""

import pytest
import torch

from models.data.glyphs import draw_glyphs
from models.data.images import centre_of_mass
from models.training.augmentation import Affine, augment, warp


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(count: int = 100) -> torch.Tensor:
    """The same off-round blob in the middle of every image, far from the border."""
    y, x = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    blob = torch.exp(-(x**2 + 3 * y**2 + 2 * x * y) / 20) * (x**2 + y**2 < 49)
    return blob.expand(count, 1, 28, 28).contiguous()


def test_strength_0_is_the_identity():
    images = torch.rand(3, 1, 28, 28, generator=generator())
    assert torch.equal(augment(images, Affine.of_strength(0), 0.0, generator()), images)


def test_strength_scales_every_range():
    half, whole = Affine.of_strength(0.5), Affine.of_strength(1)
    assert (whole.degrees, whole.scale, whole.shift) == (15, 0.15, 0.07)
    assert (2 * half.degrees, 2 * half.scale, 2 * half.shift) == (15, 0.15, 0.07)


@pytest.mark.parametrize(
    "affine", [Affine.of_strength(1), Affine(degrees=15), Affine(scale=0.15), Affine(shift=0.07)]
)
def test_an_affine_map_keeps_shape_and_range_and_differs_per_image(affine):
    images = blobs(20)
    moved = augment(images, affine, 0.0, generator(1))
    assert moved.shape == images.shape
    assert moved.min() >= 0 and moved.max() <= 1 + 1e-6
    assert len(moved.unique(dim=0)) == 20
    assert torch.equal(moved, augment(images, affine, 0.0, generator(1)))
    assert not torch.equal(moved, augment(images, affine, 0.0, generator(2)))


def test_an_affine_map_roughly_keeps_the_ink():
    images = blobs(200)
    ratio = (
        augment(images, Affine.of_strength(1), 0.0, generator()).sum((1, 2, 3)) / images[0].sum()
    )
    assert ratio.mean().item() == pytest.approx(1, abs=0.1)
    assert 0.6 < ratio.min() and ratio.max() < 1.6


def test_scale_is_relative_and_goes_both_ways():
    images = blobs(200)
    ratio = augment(images, Affine(scale=0.2), 0.0, generator()).sum((1, 2, 3)) / images[0].sum()
    assert ratio.min().item() == pytest.approx(1.2**-2, rel=0.05)
    assert ratio.max().item() == pytest.approx(0.8**-2, rel=0.05)


def test_a_turn_leaves_the_centre_where_it_was():
    moved = augment(blobs(), Affine(degrees=20), 0.0, generator())
    assert (centre_of_mass(moved.squeeze(1)) - 13.5).abs().max() < 0.05


def test_a_shift_moves_the_centre_of_mass_both_ways_by_at_most_that_fraction_of_the_side():
    moved = augment(blobs(200), Affine(shift=0.2), 0.0, generator())
    offset = centre_of_mass(moved.squeeze(1)) - 13.5
    bound = 0.2 * 28
    assert offset.abs().max() <= bound + 1e-3
    assert (offset.amax(0) > 0.9 * bound).all() and (offset.amin(0) < -0.9 * bound).all()


def test_bending_alone_moves_every_image_its_own_way():
    images = blobs(20)
    bent = augment(images, Affine(), 1.0, generator(1))
    assert bent.shape == images.shape and len(bent.unique(dim=0)) == 20
    assert torch.equal(bent, augment(images, Affine(), 1.0, generator(1)))
    assert not torch.equal(bent, augment(images, Affine(), 1.0, generator(2)))
    assert bent.min() >= 0 and bent.max() <= 1


def test_moved_strokes_are_as_sharp_as_before():
    """What a network trains on must look like what it is used on."""
    images = torch.from_numpy(draw_glyphs(3).reshape(-1, 1, 28, 28)).float() / 255
    moved = augment(images, Affine.of_strength(0.5), 0.5, generator())
    assert moved.std().item() == pytest.approx(images.std().item(), rel=0.03)


def test_bending_displaces_by_about_its_deviation_in_pixels():
    ramp = torch.arange(28.0).expand(28, 28).div(27).expand(400, 1, 28, 28).contiguous()
    bent = augment(ramp, Affine(), 1.0, generator())
    moved = ((bent - ramp) * 27)[..., 13:15, 13:15]  # the grid's middle point: where ink is
    assert moved.std().item() == pytest.approx(1.0, rel=0.15)
    assert moved.mean().item() == pytest.approx(0.0, abs=0.1)


def test_bending_is_smooth():
    """Neighbouring pixels move together: what differs between them is a fraction of a pixel."""
    ramp = torch.arange(28.0).expand(28, 28).div(27).expand(100, 1, 28, 28).contiguous()
    moved = (augment(ramp, Affine(), 1.0, generator()) - ramp)[..., 4:24, 4:24] * 27
    assert moved.diff(dim=2).abs().mean().item() < 0.3


def test_bending_leaves_the_draws_of_the_affine_map_as_they_were():
    images = blobs(5)
    plain = augment(images, Affine.of_strength(1), 0.0, generator())
    hardly = augment(images, Affine.of_strength(1), 1e-6, generator())
    assert torch.allclose(plain, hardly, atol=1e-4)


def test_a_warp_is_an_affine_map_and_a_bending_of_one_strength():
    images = blobs(5)
    warped = warp(images, 0.7, generator(3))
    assert torch.equal(warped, augment(images, Affine.of_strength(0.7), 0.7, generator(3)))
    assert torch.equal(warp(images, 0.0, generator(3)), images)


def test_a_larger_image_in_colour_bends_as_a_small_one_does():
    small = blobs(20)
    large = torch.nn.functional.interpolate(small, scale_factor=4, mode="bilinear")
    moved = augment(small, Affine.of_strength(1), 1.5, generator(1))
    in_colour = augment(large.expand(-1, 3, -1, -1), Affine.of_strength(1), 1.5, generator(1))
    again = torch.nn.functional.avg_pool2d(in_colour, 4)
    assert in_colour.shape == (20, 3, 112, 112)
    assert (again - moved).abs().mean() < 0.005 < (small - moved).abs().mean()
