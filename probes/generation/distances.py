"""Frechet and kernel distance between sets of images, in the features of a small classifier.

This is not the Frechet inception distance (FID). Heusel et al. 2017 (arXiv:1706.08500) measure in
the features of an Inception network trained on ImageNet; here the features are those of a small
classifier of images of that size. The formula is the same, but the scale and the meaning differ:
numbers from here compare neither with a published FID nor with numbers from another classifier.

    print(autoencoder_distances(autoencoder, reference(classifier, data))["reconstructions"])

Distances are in squared units of a feature. The estimate of the Frechet distance from N images is
too large, by an amount that shrinks like 1 / N and differs from set to set (Chong and Forsyth 2020,
arXiv:1911.07023). So compare values only at equal N, and beside the floor: the value that real
images reach.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from sklearn.mixture import GaussianMixture
from torch import Generator, Tensor, nn

from models.data import ImageData
from models.data.images import to_floats
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier

BATCH = 512
MOST_IMAGES = 10_000  # most images of a compared set, and most codes that a density is fitted to
KERNEL_SUBSET = 1000
KERNEL_SUBSETS = 20
COMPONENTS = 10  # of the mixture of codes
FULL_COVARIANCE_UNITS = 128
FULL_COVARIANCE_CODES = 2  # for each unit and component; fewer hardly span a full covariance
MIXTURE_FLOOR = 1e-4  # least variance in a component, relative to the mean variance of a unit

Moments = tuple[Tensor, Tensor]  # mean (D,) and covariance (D, D), float64


@dataclass(frozen=True)
class Distance:
    """How far apart two sets of images are in the features of a classifier (not Inception's)."""

    frechet: float  # squared feature units, as low and high; not an FID
    low: float
    high: float
    kernel: float  # squared maximum mean discrepancy, cubic kernel; unbiased, so it may be below 0
    kernel_std: float  # standard deviation of `kernel` over subsets of the images
    images: int  # N of the smaller set
    rank: int  # rank of the covariance of the features, the smaller rank of the two sets
    dimensions: int  # number D of features
    warning: str  # empty if the rank is full


@dataclass(frozen=True, eq=False)
class Reference:
    """Test images and their features, computed once for all autoencoders of a data set."""

    classifier: Classifier
    test: Tensor  # N test images (N, channels, side, side)
    train: Tensor  # at most 10,000 training images: densities are fitted to their codes
    features: Tensor  # (N, D), of the test images
    floor: Distance  # from N training images to the test images: a perfect generator's distance
    resamples: int
    seed: int


def reference(
    classifier: Classifier,
    data: ImageData,
    seed: int = 0,
    resamples: int = 40,
    most_images: int = MOST_IMAGES,
) -> Reference:
    """Draw N test images and as many training images with `seed`, and compute their features.

    N is the number of test images, of training images or `most_images`, whichever is least. Raises
    ValueError where N < 2 or features are not finite."""
    n = min(len(data.test), len(data.train), most_images)
    if n < 2:
        raise ValueError(f"a distance needs 2 test and 2 training images, {data.name} has {n}")
    generator = Generator().manual_seed(seed)
    test = to_floats(data.images[draw_indices(data.test, n, generator)])
    train = to_floats(data.images[draw_indices(data.train, MOST_IMAGES, generator)])
    features = classifier_features(classifier, test)
    floor = compare(features, classifier_features(classifier, train[:n]), resamples, seed)
    return Reference(classifier, test, train, features, floor, resamples, seed)


def autoencoder_distances(autoencoder: Autoencoder, to: Reference) -> dict[str, Distance]:
    """Distances between the N test images and N other images:

    floor: training images;
    reconstructions: the same test images through the autoencoder;
    gaussian: decoded samples of one Gaussian fitted to the codes of training images;
    gaussian_mixture: the same with a mixture of Gaussians, see `mixture_samples`.

    The random states of the process do not change; both networks are left in evaluation mode.
    Raises ValueError where codes or features are not finite.
    """
    n = len(to.test)
    codes = in_batches(autoencoder, autoencoder.encode, to.train)
    if not codes.isfinite().all():
        raise ValueError("the codes of the autoencoder are not finite")
    generator = Generator().manual_seed(to.seed)
    decode = partial(in_batches, autoencoder, autoencoder.decode)
    images = {
        "reconstructions": in_batches(autoencoder, lambda rows: autoencoder(rows)[0], to.test),
        "gaussian": decode(_gaussian_samples(codes, n, generator)),
        "gaussian_mixture": decode(mixture_samples(codes, n, to.seed)),
    }
    distances = {"floor": to.floor}
    for name, others in images.items():
        features = classifier_features(to.classifier, others)
        distances[name] = compare(to.features, features, to.resamples, to.seed)
    return distances


def classifier_features(network: Classifier, images: Tensor) -> Tensor:
    """Features (N, D), float64 on the CPU, of images (N, C, H, H) in [0, 1]: the inputs of the
    last layer of the network. The network runs in float32 and is left in evaluation mode."""
    return in_batches(network, network.features, images).double()


def compare(real: Tensor, other: Tensor, resamples: int = 40, seed: int = 0) -> Distance:
    """Both distances between features (N, D) and (M, D), with an interval, the rank and a warning.

    The interval of about 95 % comes from a bootstrap of the images of both sets. A resampled set
    holds 63 % of the images, some of them repeatedly. That makes its Frechet distance larger: even
    the 2.5th percentile of the resamples can lie above the value. So only the spread of the
    resamples about their own mean is used, mirrored as in the basic bootstrap (Davison and Hinkley
    1997, section 5.2): low = value - (97.5th percentile - mean), not below 0, and high = value +
    (mean - 2.5th percentile). The interval shows how far another draw of as many images may move
    the value. It covered the mean over such draws in 85 % (heavy tails) to 100 % (equal
    distributions) of simulated cases. It does not correct the excess that comes from N.

    Raises ValueError as `frechet_distance` does, and for fewer than 2 resamples.
    """
    if resamples < 2:
        raise ValueError(f"an interval needs at least 2 resamples, got {resamples}")
    real, other = _checked(real, other)
    value = frechet_distance(real, other)
    below, above = _spread(real, other, resamples, seed)
    kernel, kernel_std = kernel_distance(real, other, seed)
    ranks = covariance_rank(real), covariance_rank(other)
    images, dimensions = min(len(real), len(other)), real.shape[1]
    return Distance(
        frechet=value,
        low=max(0.0, value - below),
        high=value + above,
        kernel=kernel,
        kernel_std=kernel_std,
        images=images,
        rank=min(ranks),
        dimensions=dimensions,
        warning=_warning(ranks, images, dimensions),
    )


def frechet_distance(real: Tensor, other: Tensor) -> float:
    """Squared Frechet distance of Gaussians fitted to features (N, D) and (M, D), in squared
    units of a feature: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) (Heusel et al. 2017,
    arXiv:1706.08500, eq. 6), by torchmetrics in float64. Not below 0.

    The error, measured up to D = 256 as a fraction of tr(C + C'), is 1e-12 at full rank. Where a
    covariance has less than full rank, or nearly so, it is 3e-7 and nearly always downward:
    torchmetrics takes square roots of the eigenvalues of C C', and an eigenvalue that should be 0
    comes out at about 1e-16.

    Raises ValueError for different D, fewer than 2 rows or values that are not finite.
    """
    # Imported here because it takes seconds, and `mixture_samples` does not need it.
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, other = _checked(real, other)
    # torchmetrics sums squares of features without centring them, and a large mean costs it
    # digits. The same shift of both sets does not change the distance.
    centre = real.mean(0)
    metric = FrechetInceptionDistance(_Vectors(real.shape[1])).set_dtype(torch.float64)
    metric.update(real - centre, real=True)
    metric.update(other - centre, real=False)
    return float(metric.compute().clamp_min(0))


def kernel_distance(real: Tensor, other: Tensor, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation, over 20 subsets, of the squared maximum mean discrepancy of
    features (N, D) and (M, D) under the kernel (x.y / D + 1)^3 (Binkowski et al. 2018,
    arXiv:1801.01401, section 4), by torchmetrics in float64.

    A subset is min(N / 2, M / 2, 1000) rows of each set, drawn with `seed` without replacement:
    at most half of them, so that subsets differ. Unlike the Frechet distance, this distance has no
    bias at small N. Raises ValueError as `frechet_distance` does.
    """
    from torchmetrics.image.kid import KernelInceptionDistance  # as in `frechet_distance`

    real, other = _checked(real, other)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save")
        metric = KernelInceptionDistance(
            _Vectors(real.shape[1]),
            subsets=KERNEL_SUBSETS,
            subset_size=max(2, min(len(real) // 2, len(other) // 2, KERNEL_SUBSET)),
        )
        # torch.manual_seed would seed CUDA's generators too, which are not forked here.
        torch.default_generator.manual_seed(seed)
        metric.update(real, real=True)
        metric.update(other, real=False)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def covariance_rank(features: Tensor) -> int:
    """Rank of the covariance of features (N, D): at most D and at most N - 1.

    A direction counts if its variance exceeds max(N, D) * 2.2e-16 times that of the largest
    direction; smaller variances come from rounding. Raises ValueError for fewer than 2 rows or
    values that are not finite.
    """
    features, _ = _checked(features, features)
    _, covariance = _moments(features)
    tolerance = max(features.shape) * torch.finfo(torch.float64).eps
    return int(torch.linalg.matrix_rank(covariance, rtol=tolerance, hermitian=True))


class _Vectors(nn.Module):
    """A network that returns its input: torchmetrics expects images and a network of features."""

    def __init__(self, dimensions: int):
        super().__init__()
        self.num_features = dimensions

    def forward(self, features: Tensor) -> Tensor:
        return features


def _checked(real: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets in float64 on the CPU; torchmetrics draws its subsets there."""
    if real.ndim != 2 or other.ndim != 2 or real.shape[1] != other.shape[1] or real.shape[1] < 1:
        raise ValueError(
            f"features must be (N, D) and (M, D), got {tuple(real.shape)} and {tuple(other.shape)}"
        )
    if min(len(real), len(other)) < 2:
        raise ValueError(f"each set needs at least 2 rows, got {len(real)} and {len(other)}")
    if not (real.isfinite().all() and other.isfinite().all()):
        raise ValueError("features must be finite")
    return real.detach().cpu().double(), other.detach().cpu().double()


# The bootstrap


def _spread(real: Tensor, other: Tensor, resamples: int, seed: int) -> tuple[float, float]:
    """How far the interval reaches below and above the value, see `compare`."""
    generator = Generator().manual_seed(seed)
    found = [
        _gaussian_distance(_resampled(real, generator), _resampled(other, generator))
        for _ in range(resamples)
    ]
    values = torch.tensor(found, dtype=torch.float64)
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.quantile(values - values.mean(), ends).tolist()
    return max(0.0, high), max(0.0, -low)


def _resampled(features: Tensor, generator: Generator) -> Moments:
    """Moments of N rows of features (N, D), drawn with replacement."""
    n = len(features)
    counts = torch.randint(n, (n,), generator=generator).bincount(minlength=n)
    drawn = counts.nonzero().flatten()  # 63 % of the rows, and so of the work
    return _moments(features[drawn], counts[drawn])


def _moments(features: Tensor, counts: Tensor | None = None) -> Moments:
    """Mean and covariance of features (N, D), float64, each row counted `counts` (N,) times."""
    first = features[0]
    features = features - first  # so that equal rows have a covariance of exactly 0
    counts = torch.ones(len(features), dtype=torch.long) if counts is None else counts
    n, weights = int(counts.sum()), counts.double()[:, None]
    mean = (weights * features).sum(0) / n
    centred = (features - mean) * weights.sqrt()
    return first + mean, centred.T @ centred / (n - 1)


def _gaussian_distance(a: Moments, b: Moments) -> float:
    """The `frechet_distance` of two Gaussians, in less time: tr (C C')^(1/2) equals
    tr (R C' R)^(1/2) with R = C^(1/2), and R C' R is symmetric, unlike C C'."""
    (mean, covariance), (other_mean, other_covariance) = a, b
    root = _root(covariance)
    roots = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp_min(0).sqrt()
    traces = covariance.trace() + other_covariance.trace() - 2 * roots.sum()
    return float((mean - other_mean).square().sum() + traces)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a covariance (D, D)."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def _warning(ranks: tuple[int, int], images: int, dimensions: int) -> str:
    if min(ranks) == dimensions:
        return ""
    text = (
        f"the covariances have rank {ranks[0]} and {ranks[1]} of {dimensions}: "
        "the distance ignores some directions"
    )
    if images <= dimensions:
        text += f" and depends on the number of images, {images} being too few for full rank"
    return text


# Images and codes


def draw_indices(indices: Tensor, most: int, generator: Generator) -> Tensor:
    """At most `most` of `indices` (N,), in random order."""
    return indices[torch.randperm(len(indices), generator=generator)[:most]]


@torch.no_grad()
def in_batches(network: nn.Module, call: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """The results of `call` on parts of `rows`, joined on the CPU. `call` runs on the device of the
    network and in float32, even under the caller's autocast."""
    device = next(network.parameters()).device
    network.eval()
    # cuDNN's default for float32, TF32, multiplies with 10 bits of each number.
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with exact, torch.autocast(device.type, enabled=False):
        return torch.cat([call(part.float().to(device)).cpu() for part in rows.split(BATCH)])


def _gaussian_samples(codes: Tensor, n: int, generator: Generator) -> Tensor:
    """n draws (n, D), float64, of a Gaussian with the mean and covariance of codes (N, D)."""
    mean, covariance = _moments(codes.double())
    noise = torch.randn(n, len(mean), generator=generator, dtype=torch.float64)
    return mean + noise @ _root(covariance)


def mixture_samples(codes: Tensor, n: int, seed: int) -> Tensor:
    """n draws (n, D), float64, of a mixture of 10 Gaussians fitted to codes (N, D).

    Covariances are full with at most 128 units and at least 2 codes for each unit and component,
    else diagonal. 1e-4 of the mean variance of a unit (1 % of the deviation) is added to each
    variance: enough for components of few codes, and relative to the scale of the codes.
    """
    codes = codes.double()
    units, components = codes.shape[1], min(COMPONENTS, len(codes))
    enough = len(codes) >= FULL_COVARIANCE_CODES * units * components
    mixture = GaussianMixture(
        components,
        covariance_type="full" if units <= FULL_COVARIANCE_UNITS and enough else "diag",
        reg_covar=max(MIXTURE_FLOOR * float(codes.var(0).mean()), 1e-12),
        random_state=seed,
    )
    samples, _ = mixture.fit(codes.numpy()).sample(n)
    return torch.from_numpy(samples)
