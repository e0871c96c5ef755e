"""Networks that a search left: loaded, refused in one line, written as ONNX with equal outputs."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

import models
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.networks.classifier import Classifier, ClassifierConfig
from models.trained import as_batch, encode, logits, reconstruct

NETWORKS = {
    "autoencoder": lambda: Autoencoder(
        AutoencoderConfig(width=8, latent_size=16, linear_path=True)
    ),
    "in colour": lambda: Autoencoder(
        AutoencoderConfig(width=8, latent_size=16, image_side=32, image_channels=3)
    ),
    "classifier": lambda: Classifier(ClassifierConfig(width=8, hidden=16, residual=True)),
}


def random_images(network, count: int) -> torch.Tensor:
    """Images (count, channels, side, side) as the network takes them."""
    side = network.config.image_side
    return torch.rand(count, network.config.image_channels, side, side)


@pytest.fixture(params=NETWORKS)
def trained(request, tmp_path):
    """A network that is not new, and the folder that it is kept in."""
    torch.manual_seed(1)
    network = NETWORKS[request.param]()
    for _ in range(3):  # the statistics of batch norms move
        network.train()(random_images(network, 16))
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "config.json").write_text(json.dumps({"model": asdict(network.config)}))
    return network.eval(), tmp_path


def test_a_loaded_network_computes_what_the_trained_one_did(trained):
    network, folder = trained
    loaded = models.load(str(folder))
    assert type(loaded) is type(network) and not loaded.training
    images = random_images(network, 4)
    with torch.no_grad():
        for ours, theirs in zip(loaded(images), network(images), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_arrays_of_any_usual_layout_give_the_same_outputs():
    network = NETWORKS["autoencoder"]().eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    codes = encode(network, images)
    assert codes.shape == (3, 16) and codes.dtype == np.float32
    for same in (images[:, None], images.reshape(3, 784), images / 255, torch.from_numpy(images)):
        np.testing.assert_allclose(encode(network, same), codes, atol=1e-6)
    assert reconstruct(network, images).shape == (3, 28, 28)
    colour = Autoencoder(AutoencoderConfig(width=8, image_side=32, image_channels=3))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert reconstruct(colour, pictures).shape == (2, 32, 32, 3)
    of_rows = encode(colour, pictures.reshape(2, -1))
    np.testing.assert_allclose(of_rows, encode(colour, np.moveaxis(pictures, -1, 1)), atol=1e-6)
    assert logits(NETWORKS["classifier"](), images).shape == (3, 10)


@pytest.mark.parametrize("wrong", [np.zeros((2, 27, 27)), np.zeros(784), np.full((1, 784), 2.0)])
def test_arrays_that_are_no_images_are_refused(wrong):
    with pytest.raises(ValueError, match="images must be"):
        as_batch(wrong, (1, 28, 28))


def test_a_folder_without_a_network_is_refused_in_one_line(trained, tmp_path):
    _, folder = trained
    with pytest.raises(models.LoadError, match=folder.name):  # the folder above says what it has
        models.load(folder.parent)
    (folder / "weights.pt").write_bytes(b"half a file")
    with pytest.raises(models.LoadError) as caught:
        models.load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.slow  # torch's exporter takes ten seconds
def test_onnx_gives_equal_outputs_for_any_number_of_images(trained, tmp_path):
    pytest.importorskip("onnxscript")
    from onnx.reference import ReferenceEvaluator

    network, _ = trained
    session = ReferenceEvaluator(str(models.export_onnx(network, tmp_path / "network.onnx")))
    for count in (1, 5):
        images = random_images(network, count)
        with torch.no_grad():
            wanted = network(images)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for ours, theirs in zip(session.run(None, {"images": images.numpy()}), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
