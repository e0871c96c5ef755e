"""What is kept of a network so that its pictures can be drawn without it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models.data import ImageData, load
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from probes.generation.gallery import gallery, kinds


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> ImageData:
    return load("mnist5k", tmp_path_factory.mktemp("data"), train_size=300)


@pytest.fixture(scope="module")
def network() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(AutoencoderConfig(depth=2, width=4, latent_size=12)).eval()


@pytest.fixture(scope="module")
def made(network, digits) -> dict[str, np.ndarray]:
    return gallery(network, digits)


class Pixels(nn.Module):
    """Its codes are the pixels, so that what it decodes is known."""

    config = AutoencoderConfig(latent_size=784)

    def __init__(self):
        super().__init__()
        self.device = nn.Parameter(torch.zeros(1))

    def encode(self, images):
        return images.flatten(1)

    def decode(self, codes):
        return codes.unflatten(1, (1, 28, 28))


def few(data: ImageData, n: int) -> ImageData:
    apart = len(data.validation) // n  # drawings lie class by class
    return replace(data, validation=data.validation[::apart][:n])


def test_its_arrays_are_what_the_report_reads_and_small(made):
    assert {name: (array.dtype.name, array.shape) for name, array in made.items()} == {
        "samples": ("uint8", (16, 28, 28)),
        "interpolations": ("uint8", (4, 9, 28, 28)),
        "interpolation_ends": ("uint8", (4, 2, 28, 28)),
        "code_spread": ("float32", (12,)),
        "map": ("float32", (500, 2)),
        "map_kinds": ("int16", (500,)),
        "map_names": ("str32", (10,)),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **made)
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        assert [*archive["map_names"]] == [*"0123456789"]
    assert file.getbuffer().nbytes < 1e5


def test_equal_seeds_give_equal_galleries_and_leave_random_states_alone(network, digits, made):
    torch.manual_seed(7)
    np.random.seed(7)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    again = gallery(network, digits)
    assert all(np.array_equal(made[name], again[name]) for name in made)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])


def test_no_test_image_is_looked_at(network, digits, made):
    images = digits.images.clone()
    images[digits.test] = 255
    blind = gallery(network, replace(digits, images=images))
    assert all(np.array_equal(made[name], blind[name]) for name in made)


def test_the_way_leads_in_equal_steps_from_one_drawing_to_another(digits):
    data = few(digits, 20)
    made = gallery(Pixels(), data)
    ends, way = made["interpolation_ends"].astype(int), made["interpolations"].astype(int)
    assert np.array_equal(way[:, [0, -1]], ends)
    assert np.abs(way[:, 4] - ends.mean(1)).max() <= 1
    known = {data.images[i].numpy().tobytes(): int(data.labels[i]) for i in data.validation}
    for one, other in made["interpolation_ends"]:
        assert known[one.tobytes()] != known[other.tobytes()]


def test_the_spread_is_the_deviation_of_each_unit_largest_first(digits):
    units = gallery(Pixels(), digits)["code_spread"]
    pixels = digits.images[digits.validation].flatten(1).double() / 255
    expected = pixels.std(0, correction=0).sort(descending=True).values.numpy()
    assert np.allclose(units, expected, atol=1e-6)


def test_classes_that_look_apart_lie_apart_on_the_map(digits):
    stripes = digits.images.clone()
    for label in range(10):
        stripes[digits.labels == label, 2 * label : 2 * label + 8] = 255
    made = gallery(Pixels(), replace(digits, images=stripes))
    points, of_kind = made["map"], made["map_kinds"]
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (of_kind[distances.argmin(1)] == of_kind).mean() > 0.95


def test_a_map_is_of_the_ten_most_frequent_alphabets_the_first_by_name_of_equals(network, digits):
    names = tuple(f"alphabet{label // 2:02d}/character{label:02d}" for label in range(26))
    labels = torch.zeros_like(digits.labels)
    labels[digits.validation] = torch.arange(500) % 26  # of 13 alphabets, 500 = 19 * 26 + 6
    made = gallery(network, replace(digits, labels=labels, class_names=names))
    assert [*made["map_names"]] == [f"alphabet{number:02d}" for number in range(10)]
    assert np.bincount(made["map_kinds"]).tolist() == [40] * 3 + [38] * 7


def test_kinds_are_classes_where_not_every_name_has_an_alphabet(digits):
    clothes = replace(digits, class_names=("T-shirt/top", "Trouser"))
    assert kinds(clothes) == ["T-shirt/top", "Trouser"]
    letters = replace(digits, class_names=("Greek/character01", "Greek/character02"))
    assert kinds(letters) == ["Greek", "Greek"]


def test_a_map_has_at_most_a_thousand_drawings(network, digits):
    both = torch.cat([digits.validation, digits.test, digits.train])
    made = gallery(network, replace(digits, validation=both))
    assert len(made["map"]) == len(made["map_kinds"]) == 1000


@pytest.mark.parametrize(
    "n, missing",
    [
        (29, {"map", "map_kinds", "map_names"}),
        (
            1,
            {"map", "map_kinds", "map_names", "interpolations", "interpolation_ends"},
        ),
    ],
)
def test_too_few_drawings_leave_out_what_cannot_be_shown(network, digits, made, n, missing):
    assert set(made) - set(gallery(network, few(digits, n))) == missing


def test_drawings_of_one_class_have_no_way_between_them(network, digits):
    one = gallery(network, replace(digits, labels=torch.zeros_like(digits.labels)))
    assert "interpolations" not in one and set(one["map_kinds"]) == {0}


def test_codes_that_are_all_equal_have_no_map(digits):
    torch.manual_seed(0)
    collapsed = Autoencoder(AutoencoderConfig(depth=2, width=4, latent_size=4))
    nn.init.zeros_(collapsed.to_code.weight)
    made = gallery(collapsed, digits)
    assert "map" not in made and not made["code_spread"].any()
    assert made["samples"].shape == (16, 28, 28)


def test_weights_that_are_not_finite_show_nothing(digits):
    broken = Autoencoder(AutoencoderConfig(depth=2, width=4, latent_size=4))
    nn.init.constant_(broken.to_code.weight, float("nan"))
    assert gallery(broken, digits) == {}


def test_images_in_colour_without_labels_have_pictures_and_no_map():
    images = torch.randint(0, 256, (90, 20, 20, 3), dtype=torch.uint8)
    parts = [torch.arange(30) + 30 * part for part in range(3)]
    data = ImageData("own", images, torch.zeros(90).long(), None, (), *parts, "random", False, "")
    config = AutoencoderConfig(depth=2, width=4, latent_size=6, image_side=20, image_channels=3)
    made = gallery(Autoencoder(config).eval(), data)
    assert made["samples"].shape == (16, 20, 20, 3)
    assert made["interpolations"].shape == (4, 9, 20, 20, 3)
    assert made["interpolation_ends"].dtype == np.uint8 and "map" not in made
