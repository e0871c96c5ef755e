"""What final.json says beyond the accuracies."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.data import load
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from search.latent_probes.conclusions import class_interval, few_shot
from tests.search.session.test_command import data_dir  # noqa: F401  (a fixture)


def test_more_shots_help_and_more_ways_hurt(data_dir, tmp_path):  # noqa: F811
    torch.manual_seed(0)
    model = AutoencoderConfig(depth=2, width=8, latent_size=16)
    (tmp_path / "16").mkdir()
    torch.save(Autoencoder(model).state_dict(), tmp_path / "16" / "weights.pt")
    (tmp_path / "16" / "config.json").write_text(json.dumps({"model": asdict(model)}))
    found = few_shot(load("glyphs", data_dir), (16,), tmp_path, data_dir)
    by = {(each["code"], each["ways"], each["shots"]): each for each in found}
    assert len(by) == 8 and {each["episodes"] for each in found} == {1000}
    for code in ("pixels", "16"):
        assert by[code, 5, 5]["accuracy"] > by[code, 5, 1]["accuracy"] > 0.25
        assert by[code, 5, 1]["accuracy"] > by[code, 20, 1]["accuracy"]


def test_the_interval_resamples_classes_and_not_images():
    """If each class is all right or all wrong, more images of a class add nothing."""
    labels = np.repeat(np.arange(400), 4)
    data = SimpleNamespace(labels=torch.from_numpy(labels), test=torch.arange(len(labels)))
    low, high = class_interval([{"predictions": np.where(labels % 2, labels, -1)}], data)
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 400**0.5, rel=0.15)
    assert low < 0.5 < high
