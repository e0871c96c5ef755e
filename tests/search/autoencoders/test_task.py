"""What a search of autoencoders begins with, by what it is to improve."""

from __future__ import annotations

import pytest

from models.networks.autoencoder import Autoencoder
from models.networks.presets import AUTOENCODER_PRESETS
from search.autoencoders.task import AutoencoderTask


def task(metric: str) -> AutoencoderTask:
    return AutoencoderTask((128, 32), 2, "quick", metric)


def test_a_search_for_probes_begins_with_codes_that_forget_the_hand():
    names = [preset.name for preset in task("probe_accuracy").presets()]
    assert names == ["unwarping-128", "unwarping-32", *AUTOENCODER_PRESETS]
    assert "warp" in task("probe_accuracy").space().distributions


def test_a_search_for_reconstructions_goes_on_with_a_linear_path_and_has_no_warp():
    of_images = task("validation_mse")
    names = [preset.name for preset in of_images.presets()]
    assert names == [*AUTOENCODER_PRESETS, "linear-path-128", "linear-path-32"]
    assert "warp" not in of_images.space().distributions
    assert of_images.space().constants["warp"] == 0.0


@pytest.mark.parametrize("metric", ["validation_mse", "probe_accuracy"])
def test_every_preset_builds_a_network_of_its_code_size_and_trains_as_it_says(metric):
    for preset in task(metric).presets():
        model, training = task(metric).configs(preset.parameters, seed=3)
        assert Autoencoder(model).config.latent_size == preset.parameters["latent_size"]
        assert training.warp == (1.0 if preset.name.startswith("unwarping") else 0.0)
        assert model.linear_path == preset.name.startswith("linear-path")
