"""Arrays for pictures of an autoencoder's results, which need neither the network nor the data.

    arrays = gallery(network, data)
    np.savez_compressed("gallery.npz", **arrays)

Only the training and the validation split are used, and only a part of a large split. The work
takes seconds on two CPU cores.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor

from models.data import ImageData
from models.data.images import to_bytes, to_floats
from models.networks.autoencoder import Autoencoder
from probes.generation.distances import draw_indices, in_batches, mixture_samples

SAMPLES = 16
PAIRS = 4  # of drawings, each with the images between them
STEPS = 9  # from one drawing to the other, both included
TRAINING_CODES = 2600  # for the mixture: full covariances of 128 units need 2,560
VALIDATION_CODES = 2000
MAPPED = 1000
FEWEST_MAPPED = 30  # a map of fewer codes shows nothing
KINDS = 10  # of codes on a map: the eye cannot separate more colours
NEIGHBOURS = 30  # the perplexity, which must be well below the number of codes
COMPONENTS = 50  # of codes, before they are mapped


def gallery(network: Autoencoder, data: ImageData, seed: int = 0) -> dict[str, np.ndarray]:
    """Samples, interpolations and a map of codes. The chosen drawings depend on `data` and `seed`
    alone, so galleries of several networks show the same drawings. The network is in evaluation
    mode. The arrays:

    samples: uint8 (16, *image), decoded from a mixture of Gaussians fitted to training codes;
    interpolations: uint8 (pairs, 9, *image), at most 4 pairs, decoded at equal steps along the
        line between the codes of two validation drawings of different classes (of any two, if
        there are no labels), ends included;
    interpolation_ends: uint8 (pairs, 2, *image), those two drawings;
    code_spread: float32 (D,), the standard deviation of each code unit over at most 2,000
        validation drawings, largest first;
    map: float32 (N, 2), validation codes on a plane by t-SNE (van der Maaten and Hinton 2008),
        at most 1,000, of the 10 most frequent kinds;
    map_kinds: int16 (N,), the kind of each code: a position in `map_names`;
    map_names: str (kinds,), alphabets where class names are "alphabet/character", else classes.

    An `image` is (side, side), or (side, side, 3) in colour. Without labels there is no map. Arrays
    that need more drawings than there are, or codes that differ, are left out. Where codes
    are not finite, the gallery is empty.
    """
    generator = torch.Generator().manual_seed(seed)
    train = draw_indices(data.train, TRAINING_CODES, generator)
    validation = draw_indices(data.validation, VALIDATION_CODES, generator)
    known, codes = _encode(network, data, train), _encode(network, data, validation)
    if not (known.isfinite().all() and codes.isfinite().all()):
        return {}
    arrays = {
        **_samples(network, known, seed),
        **_interpolations(network, data, validation, codes),
        **_spread(codes),
    }
    if data.labelled:
        of_kind = [kinds(data)[label] for label in data.labels[validation]]
        arrays |= _map(codes.numpy(), of_kind, seed)
    return arrays


def kinds(data: ImageData) -> list[str]:
    """The kind of each class: its alphabet, or the class itself where there are no alphabets."""
    names = data.class_names
    # In "alphabet/character" all names have a slash; "T-shirt/top" among clothes has no alphabet.
    return [name.split("/")[0] for name in names] if all("/" in n for n in names) else list(names)


def _encode(network: Autoencoder, data: ImageData, indices: Tensor) -> Tensor:
    """Codes (N, D), float32, on the CPU."""
    if not len(indices):
        return _encode(network, data, data.train[:1])[:0]
    return in_batches(network, network.encode, to_floats(data.images[indices])).float()


def _decode(network: Autoencoder, codes: Tensor) -> np.ndarray:
    """Images (N, side, side) or (N, side, side, 3), uint8, of codes (N, D)."""
    return to_bytes(in_batches(network, network.decode, codes)).numpy()


@threadpool_limits.wrap(limits=1)  # more threads than free cores make it ten times slower
def _samples(network: Autoencoder, codes: Tensor, seed: int) -> dict[str, np.ndarray]:
    if len(codes) < 2:
        return {}
    return {"samples": _decode(network, mixture_samples(codes, SAMPLES, seed))}


def _interpolations(
    network: Autoencoder, data: ImageData, drawings: Tensor, codes: Tensor
) -> dict[str, np.ndarray]:
    """Images between pairs of `drawings` (N,), which are indices of images with `codes` (N, D)."""
    different = data.labels[drawings].tolist() if data.labelled else list(range(len(drawings)))
    pairs = _pairs(different)
    if not pairs:
        return {}
    first, last = codes[torch.tensor(pairs)].unbind(1)
    way = torch.linspace(0, 1, STEPS)[None, :, None]
    between = torch.lerp(first[:, None], last[:, None], way)  # (pairs, steps, D)
    images = _decode(network, between.flatten(0, 1))
    return {
        "interpolations": images.reshape(len(pairs), STEPS, *images.shape[1:]),
        "interpolation_ends": data.images[drawings[torch.tensor(pairs)]].numpy(),
    }


def _pairs(labels: list[int]) -> list[tuple[int, int]]:
    """At most PAIRS pairs of positions of drawings with different labels, the first positions
    first. Each position is in one pair at most."""
    free, pairs = list(range(len(labels))), list[tuple[int, int]]()
    while free and len(pairs) < PAIRS:
        first = free.pop(0)
        other = next((i for i in free if labels[i] != labels[first]), None)
        if other is not None:
            free.remove(other)
            pairs.append((first, other))
    return pairs


def _spread(codes: Tensor) -> dict[str, np.ndarray]:
    if not len(codes):
        return {}
    deviations = codes.double().std(0, correction=0)
    return {"code_spread": deviations.sort(descending=True).values.float().numpy()}


def _map(codes: np.ndarray, of_kind: list[str], seed: int) -> dict[str, np.ndarray]:
    """The map of codes (N, D) with their kinds."""
    by_number = sorted(Counter(of_kind).items(), key=lambda item: (-item[1], item[0]))
    names = sorted(name for name, _ in by_number[:KINDS])
    chosen = np.flatnonzero(np.isin(of_kind, names))[:MAPPED]
    codes = codes[chosen]
    if len(codes) < FEWEST_MAPPED or not np.ptp(codes, axis=0).max() > 0:
        return {}
    return {
        "map": _on_a_plane(codes, seed).astype(np.float32),
        "map_kinds": np.array([names.index(of_kind[i]) for i in chosen], np.int16),
        "map_names": np.array(names),
    }


@threadpool_limits.wrap(limits=1)
def _on_a_plane(codes: np.ndarray, seed: int) -> np.ndarray:
    """Codes (N, D) as points (N, 2)."""
    if codes.shape[1] > COMPONENTS:
        components = min(COMPONENTS, len(codes))
        codes = PCA(components, svd_solver="full").fit_transform(codes)
    perplexity = min(NEIGHBOURS, (len(codes) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(codes)
