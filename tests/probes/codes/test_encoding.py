"""Codes of images and of their augmented views."""

import numpy as np
import pytest
import torch

from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from probes.codes.encoding import attach_codes, encode_images
from tests.probes.conftest import SIZE


def test_rows_of_several_views_belong_to_the_same_drawings(coded):
    train = coded.train.numpy()
    rows = coded.rows(train, 3)
    codes = coded.codes[SIZE]
    first, second = codes[rows[: len(train)]], codes[rows[len(train) : 2 * len(train)]]
    assert np.array_equal(first, codes[train])
    near = np.linalg.norm(first.astype(float) - second, axis=1).mean()
    far = np.linalg.norm(first.astype(float) - np.roll(second, 14 * 3, axis=0), axis=1).mean()
    assert 0 < near < 0.9 * far


def test_test_images_have_no_views_and_no_more_views_are_had_than_were_made(coded):
    with pytest.raises(ValueError, match="test split"):
        coded.rows(coded.test.numpy(), 2)
    with pytest.raises(ValueError, match="4 views asked for, 3"):
        coded.rows(coded.train.numpy(), 4)


def test_codes_are_read_again_for_the_same_weights_and_made_anew_for_others(coded, tmp_path):
    torch.manual_seed(1)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=SIZE))
    first = attach_codes(coded, {SIZE: network}, 1, tmp_path).codes[SIZE]
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert np.array_equal(attach_codes(coded, {SIZE: network}, 1, tmp_path).codes[SIZE], first)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
    with torch.no_grad():
        network.to_code.bias += 1
    other = attach_codes(coded, {SIZE: network}, 1, tmp_path).codes[SIZE]
    assert len(list(tmp_path.iterdir())) == 2 and not np.array_equal(first, other)


def test_means_over_warps_are_nearer_to_each_other_and_kept_in_a_file_of_their_own(coded, tmp_path):
    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=SIZE))

    def apart(warps: int) -> float:
        """Distance of a code to that of another view, by the spread of all codes."""
        codes = attach_codes(coded, {SIZE: network}, 2, tmp_path, warps=warps).codes[SIZE]
        image, view = np.split(codes[coded.rows(coded.train.numpy(), 2)].astype(float), 2)
        return np.linalg.norm(image - view, axis=1).mean() / image.std(0).mean()

    assert apart(8) < 0.95 * apart(1)
    assert len(list(tmp_path.iterdir())) == 2


def test_codes_are_those_of_the_autoencoder(coded):
    torch.manual_seed(2)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=4)).eval()
    codes = encode_images(network, coded.images[:5])
    with torch.no_grad():
        wanted = network.encode(coded.images[:5].unsqueeze(1).float() / 255).numpy()
    assert codes == pytest.approx(wanted, abs=0.02)
