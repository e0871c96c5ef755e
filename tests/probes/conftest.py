"""Codes that the tests of classifiers and of encoding share."""

import numpy as np
import pytest
import torch

from models.data import ImageData
from models.data.glyphs import draw_glyphs
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from probes.codes.encoding import CodedData, attach_codes

CLASSES, DRAWERS, SIZE = 30, 20, 16


@pytest.fixture(scope="session")
def coded(tmp_path_factory) -> CodedData:
    """Drawn characters, and codes of an untrained autoencoder: a random map keeps them apart."""
    images = torch.from_numpy(draw_glyphs(CLASSES).reshape(-1, 28, 28))
    labels = torch.arange(CLASSES).repeat_interleave(DRAWERS)
    drawers = torch.arange(1, DRAWERS + 1).repeat(CLASSES)
    parts = (drawers <= 14, (drawers > 14) & (drawers < 17), drawers >= 17)
    rows = [part.nonzero().flatten() for part in parts]
    names = tuple(f"alphabet/{n}" for n in range(CLASSES))
    data = ImageData("made", images, labels, drawers, names, *rows, "drawers", False, "sha")
    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=SIZE))
    return attach_codes(data, {SIZE: network}, 3, tmp_path_factory.mktemp("codes"))


@pytest.fixture(scope="session")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 20)
    return (rng.normal(size=(12, 10))[labels] + 0.7 * rng.normal(size=(240, 10))), labels
