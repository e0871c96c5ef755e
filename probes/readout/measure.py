"""Accuracies of probes on the codes of a network."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from models.data import ImageData, load_unseen
from models.data.prepared import PreparedData
from models.networks.autoencoder import Autoencoder
from models.training.reconstruction import encode
from probes.classifiers.forests import StagedForest
from probes.classifiers.perceptron import Perceptron, PerceptronConfig
from probes.codes.discriminant import lda_accuracy
from probes.codes.encoding import encode_images
from probes.codes.few_shot import few_shot_table
from probes.codes.nearest_mean import nearest_mean_accuracy

# The dropout of the default perceptron of `search.latent_probes`
_PERCEPTRON = PerceptronConfig(dropout=0.5)


def perceptron_accuracy(
    codes: Tensor,
    labels: Tensor,
    other_codes: Tensor,
    other_labels: Tensor,
    epochs: int = 5,
) -> float:
    """Accuracy on `other_codes` (M, D) of a perceptron of two blocks that is trained for `epochs`
    on `codes` (N, D); nan without any codes."""
    if len(codes) == 0 or len(other_codes) == 0:
        return float("nan")
    perceptron = Perceptron(_PERCEPTRON, epochs, device=str(codes.device))
    perceptron.fit(codes.cpu().numpy(), labels.cpu().numpy())
    answers = torch.from_numpy(perceptron.predict(other_codes.cpu().numpy()))
    return float((answers == other_labels.cpu()).double().mean())


def extra_trees_accuracy(
    codes: Tensor, labels: Tensor, other_codes: Tensor, other_labels: Tensor
) -> float:
    """Accuracy on `other_codes` (M, D) of 50 extremely randomised trees that are grown on `codes`
    (N, D) and see about sqrt(D) units at each split; nan without any codes."""
    if len(codes) == 0 or len(other_codes) == 0:
        return float("nan")
    forest = StagedForest(stages=5, max_features=codes.shape[1] ** -0.5)
    forest.fit(codes.cpu().numpy(), labels.cpu().numpy())
    answers = torch.from_numpy(forest.predict(other_codes.cpu().numpy()))
    return float((answers == other_labels.cpu()).double().mean())


CHEAP_PROBES = {
    "nearest mean": nearest_mean_accuracy,
    "LDA": lda_accuracy,
    "short perceptron": perceptron_accuracy,
}
PROBES = {**CHEAP_PROBES, "extra-trees": extra_trees_accuracy}


def accuracies(
    network: Autoencoder, data: PreparedData, held: Tensor, names: tuple[str, ...] = tuple(PROBES)
) -> dict[str, float]:
    """The accuracy of each named probe on the images at the indices `held` (M,). The probes are
    fitted on the codes of all training images."""
    fitted = encode(network, data, data.train), data.labels[data.train]
    others = encode(network, data, held), data.labels[held]
    return {name: PROBES[name](*fitted, *others) for name in names}


def few_shot(network: Autoencoder, data: ImageData, data_dir: str) -> list[dict]:
    """Few-shot accuracies on characters that the data set's default split lacks: of the codes, and
    of the codes minus their mean. Raises DataError without such characters."""
    unseen = load_unseen(data.name, data_dir, centre=data.centred)
    device = str(next(network.parameters()).device)
    codes = torch.from_numpy(encode_images(network, unseen.images, device)).float()
    features = {"codes": codes, "codes without their mean": codes - codes.mean(0)}
    return [
        {"features": name, **asdict(result)}
        for name, values in features.items()
        for result in few_shot_table(values, unseen.labels)
    ]


def pca_error(data: PreparedData, held: Tensor, components: int) -> float:
    """Mean squared error per pixel, on the images at the indices `held` (M,), of PCA with at most
    `components` components, fitted on all training images."""

    def pixels(rows: Tensor) -> Tensor:
        return data.batch(rows).flatten(1).double()

    train = pixels(data.train)
    mean = train.mean(0)
    covariance = (train - mean).T @ (train - mean)
    first = torch.linalg.eigh(covariance).eigenvectors[:, -components:]
    centred = pixels(held) - mean
    return float((centred - centred @ first @ first.T).square().mean())
