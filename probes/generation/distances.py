"""Frechet and kernel distance between sets of images, in the features of a small classifier.

This is not the Frechet inception distance (FID). Heusel et al. 2017 (arXiv:1706.08500) measure in
the features of an Inception network trained on ImageNet; here the features are those of a small
classifier of 28x28 images. The formula is the same, the scale and the meaning are not: numbers
from here compare neither with a published FID nor with numbers from another classifier.

    features = classifier_features(classifier, images), classifier_features(classifier, others)
    print(compare(*features).frechet)
    print(autoencoder_distances(autoencoder, reference(classifier, data))["reconstructions"])

Distances are in squared units of a feature. Estimated from N images, the Frechet distance is too
large by an amount that shrinks like 1 / N and differs from set to set (Chong and Forsyth 2020,
arXiv:1911.07023): compare at equal N only, and read a value beside the floor, the value that real
images reach.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.mixture import GaussianMixture
from torch import Generator, Tensor, nn

from models.data import ImageData
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier

BATCH = 512
MOST_IMAGES = 10_000  # of a set that is compared, and codes that a density is fitted to
KERNEL_SUBSET = 1000
KERNEL_SUBSETS = 20
COMPONENTS = 10  # of the mixture of codes
FULL_COVARIANCE_UNITS = 128
FULL_COVARIANCE_CODES = 2  # per unit and component; fewer would hardly span a full covariance
MIXTURE_FLOOR = 1e-4  # least variance in a component, relative to the mean variance of a unit

Moments = tuple[Tensor, Tensor]  # mean (D,) and covariance (D, D), float64


@dataclass(frozen=True)
class Distance:
    """How far apart two sets of images are in the features of a classifier (not Inception's)."""

    frechet: float  # squared feature units, as low and high; not an FID
    low: float
    high: float
    kernel: float  # squared maximum mean discrepancy, cubic kernel; unbiased, so it may be below 0
    kernel_std: float  # over subsets
    images: int  # N, of the smaller set
    rank: int  # of the covariance of the features, the smaller of the two sets'
    dimensions: int  # D
    warning: str  # empty if the rank is full


@dataclass(frozen=True, eq=False)
class Reference:
    """Test images and their features, computed once for all autoencoders of a data set."""

    classifier: Classifier
    test: Tensor  # N test images (N, 1, 28, 28)
    train: Tensor  # training images, at most 10,000, that densities of codes are fitted to
    features: Tensor  # of the test images (N, D)
    floor: Distance  # N training images against them: what a perfect generator would get
    resamples: int
    seed: int


def reference(
    classifier: Classifier,
    data: ImageData,
    seed: int = 0,
    resamples: int = 40,
    most_images: int = MOST_IMAGES,
) -> Reference:
    """N = min(test, training, `most_images`) test images and as many training images, all
    choices drawn with `seed`. Raises ValueError where N < 2 or features are not finite."""
    n = min(len(data.test), len(data.train), most_images)
    if n < 2:
        raise ValueError(f"a distance needs 2 test and 2 training images, {data.name} has {n}")
    generator = Generator().manual_seed(seed)
    test = _images(data, _chosen(data.test, n, generator))
    train = _images(data, _chosen(data.train, MOST_IMAGES, generator))
    features = classifier_features(classifier, test)
    floor = compare(features, classifier_features(classifier, train[:n]), resamples, seed)
    return Reference(classifier, test, train, features, floor, resamples, seed)


def autoencoder_distances(autoencoder: Autoencoder, to: Reference) -> dict[str, Distance]:
    """Distances between the N test images and N other images:

    floor: training images;
    reconstructions: the same test images through the autoencoder;
    gaussian: decoded samples of one Gaussian fitted to the codes of training images;
    gaussian_mixture: the same of a mixture of Gaussians, see `mixture_samples`.

    The process's random states are left alone and both networks are left in evaluation mode.
    Raises ValueError where something computed is not finite.
    """
    n = len(to.test)
    codes = in_batches(autoencoder, autoencoder.encode, to.train)
    if not codes.isfinite().all():
        raise ValueError("the codes of the autoencoder are not finite")
    generator = Generator().manual_seed(to.seed)
    decoded = {
        "reconstructions": in_batches(autoencoder, lambda rows: autoencoder(rows)[0], to.test),
        "gaussian": _decode(autoencoder, _gaussian_samples(codes, n, generator)),
        "gaussian_mixture": _decode(autoencoder, mixture_samples(codes, n, to.seed)),
    }
    return {"floor": to.floor} | {
        name: compare(
            to.features, classifier_features(to.classifier, images), to.resamples, to.seed
        )
        for name, images in decoded.items()
    }


def classifier_features(network: Classifier, images: Tensor) -> Tensor:
    """Features (N, D), float64 on the CPU, of images (N, 1, 28, 28) in [0, 1]: what the last
    layer of the network sees. The network runs in float32 and is left in evaluation mode."""
    return in_batches(network, network.features, images).double()


def compare(real: Tensor, other: Tensor, resamples: int = 40, seed: int = 0) -> Distance:
    """Both distances between features (N, D) and (M, D), with an interval, ranks and a warning.

    The interval is of about 95 %, from a bootstrap of the images of both sets. A resampled set
    holds 63 % of the images, some of them repeatedly, which makes its Frechet distance larger, so
    that percentiles of the resamples can lie above the value altogether. Only their spread about
    their own mean is used, mirrored as in the basic bootstrap (Davison and Hinkley 1997, section
    5.2): low = value - (97.5th percentile - mean), not below 0, and high = value + (mean - 2.5th
    percentile). It says how far another draw of as many images may move the value, and covers the
    mean over such draws in 85 (heavy tails) to 100 % (equal distributions) of simulated cases;
    the excess that comes from N stays in it.

    Raises ValueError as `frechet_distance` does, and for fewer than 2 resamples.
    """
    if resamples < 2:
        raise ValueError(f"an interval needs at least 2 resamples, got {resamples}")
    real, other = _checked(real, other)
    value = frechet_distance(real, other)
    below, above = _spread(real, other, resamples, seed)
    kernel, kernel_std = kernel_distance(real, other, seed)
    ranks = covariance_rank(real), covariance_rank(other)
    return Distance(
        frechet=value,
        low=max(0.0, value - below),
        high=value + above,
        kernel=kernel,
        kernel_std=kernel_std,
        images=min(len(real), len(other)),
        rank=min(ranks),
        dimensions=real.shape[1],
        warning=_warning(ranks, min(len(real), len(other)), real.shape[1]),
    )


def frechet_distance(real: Tensor, other: Tensor) -> float:
    """Squared Frechet distance of Gaussians fitted to features (N, D) and (M, D), in squared
    units of a feature: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) (Heusel et al. 2017,
    arXiv:1706.08500, eq. 6), by torchmetrics in float64. Not below 0.

    Error, as a fraction of tr(C + C') and measured up to D = 256: 1e-12 at full rank; 3e-7, nearly
    always downward, where a covariance lacks rank or nearly so, because torchmetrics takes square
    roots of eigenvalues of C C', and one that should be 0 comes out at about 1e-16.

    Raises ValueError for different D, fewer than 2 rows or values that are not finite.
    """
    from torchmetrics.image.fid import (
        FrechetInceptionDistance,
    )  # takes seconds, and samples do not need it

    real, other = _checked(real, other)
    # torchmetrics sums squares of uncentred features; an offset common to both sets changes
    # nothing but would cost it digits.
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
    no more than half, so that subsets differ. Unlike the Frechet distance it has no bias at small
    N. Raises ValueError as that does.
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

    A direction counts if its variance exceeds max(N, D) * 2.2e-16 of the largest direction's;
    below that lies rounding, of the sums as well as of features that were computed in float32.
    Raises ValueError for fewer than 2 rows or values that are not finite.
    """
    features, _ = _checked(features, features)
    _, covariance = _moments(features)
    tolerance = max(features.shape) * torch.finfo(torch.float64).eps
    return int(torch.linalg.matrix_rank(covariance, rtol=tolerance, hermitian=True))


class _Vectors(nn.Module):
    """Lets torchmetrics take features where it expects images."""

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
    values = torch.tensor(
        [
            _gaussian_distance(_resampled(real, generator), _resampled(other, generator))
            for _ in range(resamples)
        ],
        dtype=torch.float64,
    )
    centred = values - values.mean()
    ends = torch.quantile(centred, torch.tensor([0.025, 0.975], dtype=torch.float64))
    return max(0.0, float(ends[1])), max(0.0, -float(ends[0]))


def _resampled(features: Tensor, generator: Generator) -> Moments:
    """Moments of as many rows of `features`, drawn with replacement."""
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
    """`frechet_distance` of two Gaussians. tr (C C')^(1/2) is that of the symmetric
    (R C' R)^(1/2) with R = C^(1/2), whose eigenvalues cost less than those of C C'."""
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


def _chosen(indices: Tensor, n: int, generator: Generator) -> Tensor:
    return indices[torch.randperm(len(indices), generator=generator)[:n]]


def _images(data: ImageData, indices: Tensor) -> Tensor:
    """Images (N, 1, 28, 28) in [0, 1]."""
    return data.images[indices].unsqueeze(1).float().div_(255)


@torch.no_grad()
def in_batches(network: nn.Module, call: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """`call` on the device of the network and in float32, whatever the caller's autocast; the
    results on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    # cuDNN's default for float32, TF32, multiplies with 10 bits of each number.
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with exact, torch.autocast(device.type, enabled=False):
        return torch.cat([call(part.float().to(device)).cpu() for part in rows.split(BATCH)])


def _decode(autoencoder: Autoencoder, codes: Tensor) -> Tensor:
    return in_batches(autoencoder, autoencoder.decode, codes)


def _gaussian_samples(codes: Tensor, n: int, generator: Generator) -> Tensor:
    """n draws (n, D), float64, of a Gaussian with the mean and covariance of codes (N, D)."""
    mean, covariance = _moments(codes.double())
    noise = torch.randn(n, len(mean), generator=generator, dtype=torch.float64)
    return mean + noise @ _root(covariance)


def mixture_samples(codes: Tensor, n: int, seed: int) -> Tensor:
    """n draws (n, D), float64, of a mixture of 10 Gaussians fitted to codes (N, D).

    Covariances are full up to 128 units and from 2 codes per unit and component on, else
    diagonal. To each variance 1e-4 of a unit's mean variance is added: 1 % of its deviation,
    enough for components that few codes fall to, and free of the scale of the codes.
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
