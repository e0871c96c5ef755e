"""The codes of a setting: rotated, with mistakes, of fewer drawings, and without the test split."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.data import load
from probes.autopsy import codes as autopsy_codes
from probes.autopsy.codes import Codes
from probes.autopsy.plan import Setting
from tests.models.made_data import image_data
from tests.probes.autopsy.coded import coded


def test_rotations_keep_distances_but_for_lda(codes, plan):
    def distances(some: Codes) -> np.ndarray:
        return np.linalg.norm(some.train[:20, None] - some.train[None, :20], axis=2)

    for rotation in ("random rotation", "PCA"):
        turned = coded(plan, rotation=rotation)
        assert distances(turned) == pytest.approx(distances(codes), rel=1e-3, abs=1e-3)
        assert not np.allclose(turned.train, codes.train, atol=1e-3)
    assert coded(plan, rotation="LDA(48)").train.shape[1] == 11  # a class fewer than there are


def test_the_mistakes_are_what_they_are_called(codes, plan):
    collided = coded(plan, mistake="labels collide")
    assert len(np.unique(collided.labels)) == 6 and set(collided.held_labels) <= set(range(6))
    renumbered = coded(plan, mistake="labels renumbered")
    assert np.array_equal(np.unique(renumbered.held_labels), np.unique(codes.held_labels))
    assert not np.array_equal(renumbered.held_labels, codes.held_labels)
    scaled = coded(plan, mistake="scaling on test")
    assert scaled.held.mean(0) == pytest.approx(0, abs=1e-5)


def test_fewer_drawings_and_more_views(codes, plan):
    few = coded(plan, drawings=3)
    assert np.bincount(few.labels)[np.unique(few.labels)].tolist() == [3] * 12
    viewed = coded(plan, drawings=3, views=4)
    assert len(viewed.train) == 4 * 36 and viewed.drawings == 36
    assert np.array_equal(viewed.train[:36], few.train)
    assert np.array_equal(viewed.held, few.held)  # what is measured on is never augmented


def test_no_test_image_is_read(plan, monkeypatch):
    data = load("glyphs", plan.data_dir)
    read = []
    monkeypatch.setattr(
        autopsy_codes,
        "encode_views",
        lambda n, d, rows, v, s: read.append(rows) or rows[:, None] * 1.0,
    )
    monkeypatch.setattr(autopsy_codes, "with_mistake", lambda codes, *rest: codes)
    autopsy_codes.make_codes(plan, Setting(classes=12, autoencoder="untrained"), 0)
    assert not set(np.concatenate(read)) & set(data.test.numpy())


@pytest.mark.parametrize("name, most", [("contrastive", 32), ("top-k", 16)])
def test_the_codes_of_the_newer_autoencoders_are_what_they_are_called(
    plan, tmp_path, monkeypatch, name, most
):
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 28, 28), generator=draws, dtype=torch.uint8)
    data = image_data(images, torch.arange(60) % 12, torch.tensor([0] * 36 + [1] * 12 + [2] * 12))
    monkeypatch.setattr(autopsy_codes, "load_data", lambda *some: data)
    plan, setting = replace(plan, out=tmp_path), Setting(classes=12, autoencoder=name, code=32)
    autopsy_codes.train_autoencoder(plan, setting, 0)
    codes, _ = autopsy_codes.make_codes(plan, setting, 0)
    assert codes.train.shape == (36, 32) and (codes.train != 0).sum(1).max() == most
