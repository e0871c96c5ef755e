"""Networks of every size of image, in grey and in colour."""

import pytest
import torch

from models.networks.autoencoder import Autoencoder, AutoencoderConfig, LinearPath
from models.networks.classifier import Classifier, ClassifierConfig
from models.networks.resolution import Resolution, patches

SIDES = (16, 23, 24, 28, 32, 33, 64, 100, 128)


def images(side: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("side", range(16, 129))
def test_blocks_work_at_three_sides_that_fall_to_about_four(side):
    resolution = Resolution(side)
    first, second, third = resolution.sides
    assert 24 > first > second > third and 3 <= third <= 6
    assert first * resolution.shuffle >= side and resolution.inner * resolution.patch >= side


@pytest.mark.parametrize("linear_path", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", SIDES)
def test_an_autoencoder_gives_images_as_it_gets_them(side, channels, linear_path):
    config = AutoencoderConfig(
        depth=3,
        width=4,
        latent_size=6,
        linear_path=linear_path,
        image_side=side,
        image_channels=channels,
    )
    network = Autoencoder(config).eval()
    outputs, codes = network(images(side, channels))
    assert outputs.shape == (2, channels, side, side) and codes.shape == (2, 6)
    outputs.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("stem", [0, 4])
@pytest.mark.parametrize("side", SIDES)
def test_a_classifier_takes_images_of_every_size(side, stem, residual):
    config = ClassifierConfig(
        width=4, hidden=8, stem=stem, residual=residual, image_side=side, image_channels=3
    )
    assert Classifier(config).eval()(images(side)).shape == (2, 10)


def test_the_weights_of_a_network_hardly_grow_with_the_image():
    def weights(side: int) -> int:
        config = AutoencoderConfig(linear_path=True, image_side=side, image_channels=3)
        return sum(p.numel() for p in Autoencoder(config).parameters())

    assert weights(128) < 1.2 * weights(32)


def test_patches_keep_every_pixel():
    cut = patches(images(33), 2)
    assert cut.shape == (2, 12, 17, 17)
    whole = torch.nn.functional.pixel_shuffle(cut, 2)
    assert torch.equal(whole[..., :33, :33], images(33))


@pytest.mark.parametrize("side", [28, 33, 64, 100])
def test_shrinking_and_enlarging_keep_what_is_constant(side):
    resolution = Resolution(side)
    grey = torch.full((2, 3, side, side), 0.3)
    again = resolution.enlarge(resolution.shrink(grey))
    assert again.shape == grey.shape and torch.allclose(again, grey)


def test_the_linear_path_of_a_smooth_image_starts_near_to_it():
    config = AutoencoderConfig(latent_size=1024, image_side=64)
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    path = LinearPath(config)
    with torch.no_grad():
        logits = path.decode(path.encode(ramp))
    assert (logits - path.GAIN * (ramp - 0.5)).abs()[..., 2:-2].max() < 0.1


@pytest.mark.parametrize("size", [{"image_side": 15}, {"image_side": 129}, {"image_channels": 2}])
def test_images_that_no_network_takes_are_refused(size):
    for config in (AutoencoderConfig, ClassifierConfig):
        with pytest.raises(ValueError, match=next(iter(size))):
            config(**size)
