"""The Frechet and kernel distances in the features of a classifier."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data import ImageData, load
from models.data.prepared import prepare
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.networks.classifier import Classifier, ClassifierConfig
from models.training.classification import classifier_run
from models.training.loop import TrainingConfig
from models.training.noise import corrupt
from probes.generation import distances as frechet
from probes.generation.distances import (
    _gaussian_distance,
    _moments,
    autoencoder_distances,
    classifier_features,
    compare,
    covariance_rank,
    frechet_distance,
    kernel_distance,
    mixture_samples,
    reference,
)

FULL_RANK, DEFICIENT = 1e-12, 3e-7  # errors, as fractions of the traces of the covariances


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> ImageData:
    """1500 images to train, 500 to test."""
    folder = tmp_path_factory.mktemp("data")
    return load("mnist5k", folder, train_size=1500, download=False)


@pytest.fixture(scope="module")
def classifier(digits) -> Classifier:
    config = ClassifierConfig(width=8, hidden=32)
    run = classifier_run(config, TrainingConfig(max_epochs=2), prepare(digits))
    accuracy = [record["validation_accuracy"] for record in run.epochs()][-1]
    assert accuracy > 0.8
    network = Classifier(config)
    network.load_state_dict(run.weights())
    return network


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(AutoencoderConfig(depth=3, width=8, latent_size=6))


def pixels(data: ImageData, indices: Tensor) -> Tensor:
    return data.images[indices].unsqueeze(1) / 255


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def pair(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Two sets with different means and covariances, far from the origin."""
    scale = torch.linspace(0.5, 2, d, dtype=torch.float64)
    return 7 + gaussian(n, d) * scale, 7.2 + gaussian(n + 3, d, 1) @ gaussian(d, d, 2) / d**0.5


def traces(*sets: Tensor) -> float:
    return sum(float(features.var(0).sum()) for features in sets)


# The Frechet distance


@pytest.mark.parametrize("d", [2, 8, 64, 256])
@pytest.mark.parametrize("n", [2, 5, 40, 300, 1000])
def test_it_is_the_closed_form(n, d):
    real, other = pair(n, d)
    covariances = np.cov(real.numpy().T), np.cov(other.numpy().T)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a covariance of few images is singular
        root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    offset = (real.mean(0) - other.mean(0)).square().sum()
    expected = float(offset) + np.trace(covariances[0] + covariances[1] - 2 * root.real)
    tolerance = (FULL_RANK if n > d else DEFICIENT) * traces(real, other)
    assert frechet_distance(real, other) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("n, d", [(20, 2), (20, 64), (1000, 64), (1000, 256)])
def test_the_form_that_resamples_take_is_the_same(n, d):
    real, other = pair(n, d)
    found = _gaussian_distance(_moments(real), _moments(other))
    tolerance = (FULL_RANK if n > d else DEFICIENT) * traces(real, other)
    assert found == pytest.approx(frechet_distance(real, other), abs=tolerance)


@pytest.mark.parametrize("n, d, error", [(500, 16, FULL_RANK), (10, 64, DEFICIENT)])
def test_a_set_is_at_no_distance_from_itself(n, d, error):
    features, _ = pair(n, d)
    assert 0 <= frechet_distance(features, features) <= error * traces(features, features)


@pytest.mark.parametrize("n, d, error", [(500, 16, FULL_RANK), (10, 64, DEFICIENT)])
def test_it_is_symmetric(n, d, error):
    a, b = pair(n, d)
    there, back = frechet_distance(a, b), frechet_distance(b, a)
    assert there == pytest.approx(back, abs=error * traces(a, b))


def test_of_equal_covariances_only_the_means_count():
    features, shift = gaussian(300, 5), torch.tensor([3.0, 0, -4, 0, 0])
    assert frechet_distance(features, features + shift) == pytest.approx(25, rel=1e-12)


def test_an_offset_of_both_sets_changes_nothing():
    a, b = pair(300, 8)
    assert frechet_distance(a + 1e6, b + 1e6) == pytest.approx(frechet_distance(a, b), rel=1e-8)


def test_float32_features_are_measured_in_float64():
    a, b = (features.float() for features in pair(300, 8))
    assert frechet_distance(a, b) == frechet_distance(a.double(), b.double())


# Real images


def blurred(images: Tensor, level: int) -> Tensor:
    return F.avg_pool2d(images, 2 * level + 1, stride=1, padding=level, count_include_pad=False)


def noised(images: Tensor, level: int) -> Tensor:
    return corrupt(images, "gaussian", 0.15 * level, torch.Generator().manual_seed(level))


def cropped(images: Tensor, level: int) -> Tensor:
    margin = 4 + 2 * level  # the outer 4 pixels are empty
    return F.pad(images[..., margin:-margin, margin:-margin], [margin] * 4)


@pytest.mark.parametrize("damage", [blurred, noised, cropped])
def test_both_distances_grow_with_the_damage(damage, digits, classifier):
    images = pixels(digits, digits.test)
    real = classifier_features(classifier, images)
    damaged = [classifier_features(classifier, damage(images, level)) for level in range(4)]
    for distance in (frechet_distance, lambda a, b: kernel_distance(a, b)[0]):
        values = [distance(real, features) for features in damaged]
        assert all(a < b for a, b in zip(values, values[1:], strict=False)), values


def test_halves_of_a_set_are_far_closer_than_noise(digits, classifier):
    features = classifier_features(classifier, pixels(digits, digits.test))
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    halves = features[order[:250]], features[order[250:]]
    noise = classifier_features(classifier, torch.rand(250, 1, 28, 28, generator=torch.Generator()))
    assert 20 * frechet_distance(*halves) < frechet_distance(halves[0], noise)


def test_features_are_what_the_last_layer_sees(digits, classifier):
    images = pixels(digits, digits.train[:600])
    classifier.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = classifier_features(classifier, images)
    assert features.shape == (600, 32) and features.dtype == torch.float64
    assert not features.requires_grad
    with torch.no_grad():
        logits = classifier.eval()(images)
        assert torch.allclose(classifier.to_logits(features.float()), logits, atol=1e-4)


# The kernel distance


def test_the_kernel_distance_is_the_unbiased_estimate_up_to_its_subsets():
    (real, other), n = (features[:60] for features in pair(60, 8)), 60
    within = sum(
        float(((a @ a.T / 8 + 1) ** 3).fill_diagonal_(0).sum()) / (n * (n - 1))
        for a in (real, other)
    )
    across = float(((real @ other.T / 8 + 1) ** 3).mean())
    mean, deviation = kernel_distance(real, other)
    assert 0 < deviation
    assert abs(mean - (within - 2 * across)) < 4 * deviation / 20**0.5  # of 20 subsets


def test_the_kernel_distance_of_large_sets_varies_with_the_subset():
    mean, deviation = kernel_distance(gaussian(1500, 4), gaussian(1500, 4, 1))
    assert abs(mean) < 0.05 and deviation > 0


def test_the_kernel_distance_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel_distance(*pair(50, 4))


# Rank


def test_rank_counts_the_directions_of_the_features():
    spanned = gaussian(300, 5) @ gaussian(5, 20, 1)
    assert covariance_rank(spanned) == covariance_rank(1e-6 * spanned + 3) == 5
    assert covariance_rank(spanned.float()) == 5
    assert covariance_rank(gaussian(300, 20)) == 20


@pytest.mark.parametrize("n, d", [(2, 3), (10, 64), (64, 64)])
def test_rank_is_less_than_the_number_of_images(n, d):
    assert covariance_rank(gaussian(n, d) + 5) == n - 1


@pytest.mark.parametrize("value", [0.0, 0.1, -3e4])
def test_rank_of_equal_features_is_0(value):
    assert covariance_rank(torch.full((100, 8), value)) == 0


def test_the_rank_of_one_image_is_refused():
    with pytest.raises(ValueError, match="at least 2 rows"):
        covariance_rank(gaussian(1, 8))


def test_full_rank_is_not_warned_of():
    found = compare(*pair(100, 8), resamples=2)
    assert (found.images, found.rank, found.dimensions, found.warning) == (100, 8, 8, "")


def test_a_dead_feature_is_warned_of():
    real, other = pair(100, 8)
    real[:, 3] = 0.1
    found = compare(real, other, resamples=2)
    assert (found.rank, found.dimensions) == (7, 8)
    assert "rank 7 and 8 of 8" in found.warning and "number of images" not in found.warning


def test_too_few_images_are_warned_of():
    found = compare(*pair(20, 32), resamples=2)
    assert found.rank == 19 and "depends on the number of images" in found.warning


# The interval


@pytest.mark.parametrize("n, d", [(30, 4), (300, 4), (20, 64)])
def test_the_interval_holds_the_value(n, d):
    real, other = pair(n, d)
    found = compare(real, other)
    assert 0 <= found.low < found.frechet < found.high
    assert found.frechet == frechet_distance(real, other)


def test_the_interval_of_equal_sets_begins_at_0():
    found = compare(gaussian(100, 4), gaussian(100, 4))
    assert found.low == 0 and found.frechet < 1e-12 < found.high


def test_the_interval_mirrors_the_skew_of_the_resamples():
    found = compare(gaussian(100, 1), gaussian(100, 1, 1) + 0.5, resamples=400)
    assert found.frechet - found.low > 1.1 * (found.high - found.frechet)


def test_the_interval_is_narrower_for_more_images():
    widths = [
        found.high - found.low for found in (compare(*pair(n, 4)) for n in (100, 1000, 10_000))
    ]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_the_interval_is_as_wide_as_the_scatter_of_other_draws():
    def draw(seed):
        return gaussian(200, 6, 2 * seed), 0.5 + 1.5 * gaussian(200, 6, 2 * seed + 1)

    values = torch.tensor([frechet_distance(*draw(seed)) for seed in range(100)])
    found = [compare(*draw(seed)) for seed in range(30)]
    assert sum(some.low <= values.mean() <= some.high for some in found) >= 24
    width = sum(some.high - some.low for some in found) / len(found)
    assert 0.7 < width / float(3.92 * values.std()) < 1.4


# Seeds


def test_equal_seeds_give_equal_results():
    sets = pair(1200, 4)
    found = compare(*sets, resamples=5, seed=3)
    assert compare(*sets, resamples=5, seed=3) == found
    other = compare(*sets, resamples=5, seed=4)
    assert other.frechet == found.frechet
    assert other.high != found.high and other.kernel != found.kernel


def test_random_states_are_left_alone(digits, classifier, autoencoder):
    states = torch.get_rng_state(), np.random.get_state()
    autoencoder_distances(autoencoder, reference(classifier, few(digits, 40), resamples=2))
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_equal(np.random.get_state(), states[1])


# Wrong input

GOOD = gaussian(10, 3)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance, compare])
@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (gaussian(10, 4), r"\(10, 3\)|\(10, 4\)"),
        (gaussian(10, 1)[:, 0], "features must be"),
        (gaussian(1, 3), "at least 2 rows"),
        (torch.full((10, 3), math.nan), "finite"),
        (torch.full((10, 3), math.inf), "finite"),
    ],
)
def test_wrong_features_are_refused(distance, wrong, complaint):
    for sets in ((GOOD, wrong), (wrong, GOOD)):
        with pytest.raises(ValueError, match=complaint):
            distance(*sets)


def test_an_interval_of_one_resample_is_refused():
    with pytest.raises(ValueError, match="at least 2 resamples"):
        compare(GOOD, GOOD, resamples=1)


# Autoencoders


class Lossless(nn.Module):
    """An autoencoder whose code is the image."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        return codes.unflatten(1, (1, 28, 28)).clamp(0, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, self.encode(images)


def few(data: ImageData, n: int) -> ImageData:
    return replace(data, train=data.train[:n], test=data.test[:n])


def test_an_autoencoder_is_measured_four_ways(digits, classifier, autoencoder):
    found = autoencoder_distances(autoencoder, reference(classifier, digits, resamples=5))
    assert list(found) == ["floor", "reconstructions", "gaussian", "gaussian_mixture"]
    assert {some.images for some in found.values()} == {500}
    assert {some.dimensions for some in found.values()} == {32}
    floor = found.pop("floor")
    assert all(some.low > floor.high for some in found.values())  # it has learned nothing
    assert found["gaussian"].frechet != found["gaussian_mixture"].frechet


def test_what_loses_nothing_has_perfect_reconstructions(digits, classifier):
    found = autoencoder_distances(Lossless(), reference(classifier, digits, resamples=2))
    assert found["reconstructions"].frechet < 1e-6
    assert found["reconstructions"].kernel < found["floor"].kernel
    assert found["floor"].frechet < 0.2 * found["gaussian"].frechet


@pytest.mark.parametrize("train, test", [(40, 500), (1500, 40)])
def test_the_smaller_split_sets_the_size_of_all_sets(
    train, test, digits, classifier, autoencoder, monkeypatch
):
    data = replace(digits, train=digits.train[:train], test=digits.test[:test])
    sizes = []
    monkeypatch.setattr(frechet, "compare", lambda *sets: sizes.append([*map(len, sets[:2])]))
    autoencoder_distances(autoencoder, reference(classifier, data))
    assert sizes == 4 * [[40, 40]]


def test_equal_seeds_measure_an_autoencoder_equally(digits, classifier, autoencoder):
    data = replace(digits, test=digits.test[:100])
    once, again, other = (
        autoencoder_distances(autoencoder, reference(classifier, data, seed, resamples=2))
        for seed in (1, 1, 2)
    )
    assert once == again
    assert all(once[name].frechet != other[name].frechet for name in ("floor", "gaussian"))


def test_a_collapsed_autoencoder_is_measured(digits, classifier, autoencoder):
    network = Autoencoder(autoencoder.config)
    nn.init.zeros_(network.to_code.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are fewer codes than components
        found = autoencoder_distances(network, reference(classifier, few(digits, 50), resamples=2))
    assert found["reconstructions"].rank == 0 and found["reconstructions"].warning
    assert all(math.isfinite(some.frechet) for some in found.values())


def test_one_image_is_refused(digits, classifier, autoencoder):
    with pytest.raises(ValueError, match="2 test and 2 training images"):
        autoencoder_distances(autoencoder, reference(classifier, few(digits, 1)))


def test_weights_that_are_not_finite_are_refused(digits, classifier, autoencoder):
    network = Autoencoder(autoencoder.config)
    nn.init.constant_(network.to_code.weight, math.nan)
    with pytest.raises(ValueError, match="not finite"):
        autoencoder_distances(network, reference(classifier, few(digits, 20)))


# The mixture


@pytest.mark.parametrize("d", [3, 40])  # full covariances, and diagonal for want of codes
def test_a_mixture_draws_from_the_clusters_of_the_codes(d):
    centres = 20 * gaussian(5, d)
    codes = (centres.repeat(80, 1) + 0.1 * gaussian(400, d, 1)).float()
    samples = mixture_samples(codes, 300, seed=0)
    assert samples.shape == (300, d)
    nearest = torch.cdist(samples, centres).min(1).values
    assert float(nearest.max()) < 0.05 * float(torch.pdist(centres).min()) * d**0.5


def test_a_mixture_knows_no_scale():
    codes = gaussian(400, 4).float()
    small = mixture_samples(codes * 2**-10, 50, seed=0)
    assert torch.allclose(small * 2**10, mixture_samples(codes, 50, seed=0), rtol=1e-3, atol=1e-3)
