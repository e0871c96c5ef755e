"""What final.json says of a search of probes beyond the accuracies of its winners."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from models.data import DataError, ImageData, load_unseen
from models.data.cache import weights_digest
from probes.codes.encoding import encode_images, load_autoencoder
from probes.codes.few_shot import few_shot_table

RESAMPLINGS = 2000


def class_interval(details: list[dict[str, np.ndarray]], data: ImageData) -> list[float]:
    """95 % interval of the test accuracy, mean over seeds: a percentile bootstrap over classes
    and not over images, because drawings of one character are right or wrong together."""
    predictions = np.stack([kept["predictions"] for kept in details])  # (seeds, test images)
    labels = data.labels[data.test].numpy()
    right = (predictions == labels).mean(0)
    classes, positions = np.unique(labels, return_inverse=True)
    sums, counts = np.bincount(positions, right), np.bincount(positions)
    drawn = np.random.default_rng(0).integers(len(classes), size=(RESAMPLINGS, len(classes)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return [float(end) for end in np.percentile(means, (2.5, 97.5))]


def few_shot(
    data: ImageData, sizes: tuple[int, ...], autoencoders: Path, data_dir: str, warps: int = 1
) -> list[dict]:
    """Few-shot accuracies on characters never seen, of codes and of pixels; empty if the data set
    has no such characters, or the autoencoder has seen them."""
    try:
        unseen = load_unseen(data.name, data_dir, centre=data.centred, image_size=data.side)
    except DataError:
        return []
    if data.split != "drawers":
        return []
    features = {"pixels": unseen.images.flatten(1).float() / 255}
    for size in sizes:
        network, _ = load_autoencoder(autoencoders / str(size))
        features[str(size)] = encode_images(network, unseen.images, warps=warps)
    return [
        {"code": name, **asdict(result)}
        for name, values in features.items()
        for result in few_shot_table(values, unseen.labels)
    ]


def about_autoencoder(folder: Path) -> dict:
    """Where the autoencoder in `folder` comes from, and a digest of its weights."""
    network, config = load_autoencoder(folder)
    names = ("source", "preset", "trial", "epoch", "validation_mse", "probe_accuracy")
    return {
        **{name: config[name] for name in names if name in config},
        "parameters": config.get("parameters", {}),
        "sha256": weights_digest(network),
    }
