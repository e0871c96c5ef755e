"""The autoencoders of the autopsy, and the codes that a setting makes from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from scipy.stats import ortho_group

from models.data import ImageData, load
from models.data.prepared import prepare
from models.files import write_atomically
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.code_statistics import active_fraction
from models.training.loop import TrainingConfig
from models.training.reconstruction import autoencoder_run
from probes.autopsy.plan import Plan, Setting
from probes.codes.encoding import encode_images
from probes.codes.projection import ProjectionConfig, fit_projection

LDA_COMPONENTS = 48
DEPTH, WIDTH = 5, 16  # of the autoencoders: small, because many are trained
DROPOUT = {"dropout 0.3": 0.3}
KEPT_UNITS = {"top-k": 16}  # active units of a code
_PLAIN = TrainingConfig(batch_size=64)
_WARPED = replace(_PLAIN, affine=0.5, noise="block", noise_level=0.2, warp=1.0)

AUTOENCODERS: Mapping[str, TrainingConfig] = MappingProxyType(
    {
        "plain": _PLAIN,
        "dropout 0.3": _PLAIN,
        "affine augmentation": replace(_PLAIN, affine=1.0),
        "block masking": replace(_PLAIN, noise="block", noise_level=0.3),
        "affine and masking": replace(_PLAIN, affine=1.0, noise="block", noise_level=0.3),
        "warped input": _WARPED,
        "contrastive": replace(_WARPED, contrastive_weight=0.2, batch_size=256),
        "top-k": replace(_PLAIN, affine=1.0, noise="block", noise_level=0.3, auxk=1 / 32),
        "strong L1": replace(_PLAIN, l1=30.0),  # collapses to the mean image; 0.3 and 3 do not
        "untrained": _PLAIN,
    }
)


@dataclass(frozen=True)
class Codes:
    """Codes to fit on, and held-out codes to measure on. The first `drawings` rows of `train` are
    drawings, the others are views of them."""

    train: np.ndarray  # float32 (N, D)
    labels: np.ndarray  # (N,)
    held: np.ndarray  # float32 (M, D)
    held_labels: np.ndarray  # (M,)
    drawers: np.ndarray | None  # (N,)
    alphabets: tuple[str, ...]  # of each class of the set
    drawings: int


def load_data(plan: Plan, centred: bool) -> ImageData:
    """The data set of a plan, without a download. Raises DataError as `load` does."""
    return load(plan.dataset, plan.data_dir, centre=centred, download=False)


def autoencoder_setting(setting: Setting) -> Setting:
    """The part of a setting that an autoencoder depends on. Settings that agree in it share one
    autoencoder."""
    return Setting(setting.centred, setting.autoencoder, setting.code)


def autoencoder_path(plan: Plan, setting: Setting, seed: int) -> Path:
    """The file of an autoencoder's weights."""
    kind = setting.autoencoder.replace(" ", "-")
    registration = "centred" if setting.centred else "as-drawn"
    return plan.out / "autoencoders" / f"{kind}-{setting.code}-{registration}-{seed}.pt"


def train_autoencoder(plan: Plan, setting: Setting, seed: int) -> None:
    """Train the autoencoder of a setting, unless its file exists."""
    path = autoencoder_path(plan, setting, seed)
    if path.exists():
        return
    torch.set_num_threads(1)
    data = prepare(load_data(plan, setting.centred), validation_limit=500)
    training = replace(AUTOENCODERS[setting.autoencoder], max_epochs=plan.epochs, seed=seed)
    run = autoencoder_run(_autoencoder_config(setting), training, data)
    if setting.autoencoder != "untrained":
        for _ in run.epochs():
            pass
    write_atomically(path, lambda file: torch.save(run.weights(), file))


def _autoencoder_config(setting: Setting) -> AutoencoderConfig:
    dropout = DROPOUT.get(setting.autoencoder, 0.0)
    config = AutoencoderConfig(DEPTH, None, WIDTH, setting.code, dropout)
    if kept := KEPT_UNITS.get(setting.autoencoder):
        config = replace(config, code_activation="topk", kept_units=kept)
    return config


def make_codes(plan: Plan, setting: Setting, seed: int) -> tuple[Codes, str]:
    """Training and validation codes of a setting, and a note if few units are active."""
    data = load_data(plan, setting.centred)
    network = Autoencoder(_autoencoder_config(setting))
    path = autoencoder_path(plan, setting, seed)
    network.load_state_dict(torch.load(path, weights_only=True))
    rng = np.random.default_rng([seed, 1])
    classes = rng.permutation(len(data.class_names))[: setting.classes]
    labels = data.labels.numpy()
    train = _drawings_of_each(data.train.numpy(), labels, classes, setting.drawings, rng)
    held = data.validation.numpy()
    held = held[np.isin(labels[held], classes)]
    codes = Codes(
        encode_views(network, data, train, setting.views, seed),
        np.tile(labels[train], setting.views),
        encode_views(network, data, held, 1, seed),
        labels[held],
        None if data.drawers is None else np.tile(data.drawers.numpy()[train], setting.views),
        tuple(name.split("/")[0] for name in data.class_names),
        len(train),
    )
    active = float(active_fraction(torch.from_numpy(codes.train))) * setting.code
    note = f"{active:.0f} of {setting.code} units active" if active < setting.code / 2 else ""
    return with_mistake(_rotated(codes, setting.rotation, seed), setting.mistake, rng), note


def _drawings_of_each(
    indices: np.ndarray,
    labels: np.ndarray,
    classes: np.ndarray,
    most: int,
    rng: np.random.Generator,
) -> np.ndarray:
    chosen = [rng.permutation(indices[labels[indices] == c])[:most] for c in np.sort(classes)]
    return np.concatenate(chosen)


def encode_views(
    network: Autoencoder, data: ImageData, indices: np.ndarray, views: int, seed: int
) -> np.ndarray:
    """Codes (views * n, D), float32, of the images at indices (n,), then of augmented views."""
    images = data.images[torch.from_numpy(indices)]
    parts = [encode_images(network, images)]
    for view in range(1, views):
        generator = torch.Generator().manual_seed(1000 * seed + view)
        parts.append(encode_images(network, images, "cpu", generator))
    return np.concatenate(parts).astype(np.float32)


def _rotated(codes: Codes, rotation: str, seed: int) -> Codes:
    if rotation == "as it is":
        return codes
    size = codes.train.shape[1]
    if rotation == "random rotation":
        matrix = ortho_group.rvs(size, random_state=seed).astype(np.float32)
        return replace(codes, train=codes.train @ matrix, held=codes.held @ matrix)
    if rotation == "PCA":
        return project(codes, ProjectionConfig(pca=size))
    return project(codes, ProjectionConfig(lda=LDA_COMPONENTS))


def project(codes: Codes, config: ProjectionConfig) -> Codes:
    """Codes after a projection that is fitted on the training codes."""
    projection = fit_projection(config, codes.train, codes.labels)
    return replace(codes, train=projection(codes.train), held=projection(codes.held))


def with_mistake(codes: Codes, mistake: str, rng: np.random.Generator) -> Codes:
    """Codes with the effect of a common bug; no `mistake`: unchanged."""
    if mistake == "labels collide":  # as if two data sets both number their classes from 0
        classes, positions = np.unique(codes.labels, return_inverse=True)
        half = max(1, len(classes) // 2)
        held = np.searchsorted(classes, codes.held_labels) % half
        return replace(codes, labels=positions % half, held_labels=held)
    if mistake == "labels renumbered":
        classes = np.unique(codes.labels)
        other = rng.permutation(classes)[np.searchsorted(classes, codes.held_labels)]
        return replace(codes, held_labels=other)
    if mistake == "scaling on test":
        return replace(codes, train=_standard(codes.train), held=_standard(codes.held))
    return codes


def _standard(codes: np.ndarray) -> np.ndarray:
    return (codes - codes.mean(0)) / np.maximum(codes.std(0), 1e-6)
