"""What a search of autoencoders begins with, by what it is to improve."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from models.data import ImageData
from models.networks.autoencoder import Autoencoder
from models.networks.presets import AUTOENCODER_PRESETS, SPARSE_PRESETS
from search.autoencoders.floors import reconstruction_floors
from search.autoencoders.task import AutoencoderTask
from tests.models.made_data import image_data


def task(metric: str) -> AutoencoderTask:
    return AutoencoderTask((128, 32), 2, "quick", metric)


def test_a_search_for_probes_begins_with_codes_that_forget_the_hand():
    names = [preset.name for preset in task("probe_accuracy").presets()]
    starts = [f"{name}-{size}" for name in ("contrastive", "unwarping") for size in (128, 32)]
    assert names == [*starts, *AUTOENCODER_PRESETS, *SPARSE_PRESETS]
    assert {"warp", "contrastive_weight"} <= task("probe_accuracy").space().distributions.keys()


def test_a_search_for_reconstructions_goes_on_with_a_linear_path_and_has_no_warp():
    of_images = task("validation_mse")
    names = [preset.name for preset in of_images.presets()]
    starts = ["linear-path-128", "linear-path-32"]
    assert names == [*AUTOENCODER_PRESETS, *starts, *SPARSE_PRESETS]
    space = of_images.space()
    assert not {"warp", "contrastive_weight"} & space.distributions.keys()
    assert space.constants["warp"] == space.constants["contrastive_weight"] == 0.0


@pytest.mark.parametrize("metric", ["validation_mse", "probe_accuracy"])
def test_every_preset_builds_a_network_of_its_code_size_and_trains_as_it_says(metric):
    for preset in task(metric).presets():
        model, training = task(metric).configs(preset.parameters, seed=3)
        assert Autoencoder(model).config.latent_size == preset.parameters["latent_size"]
        forgets = preset.name.startswith(("unwarping", "contrastive"))
        assert training.warp == (1.0 if forgets else 0.0)
        has_term = preset.name.startswith("contrastive")
        assert (training.contrastive_weight > 0, training.batch_size) == (
            (True, 256) if has_term else (False, 50)
        )
        assert model.linear_path == preset.name.startswith("linear-path")


@pytest.mark.parametrize("metric", ["validation_mse", "probe_accuracy"])
def test_a_preset_has_a_value_of_everything_that_is_searched(metric):
    space = task(metric).space()
    for preset in task(metric).presets():
        assert space.nearest(preset.parameters).keys() == space.distributions.keys()


def test_a_sampled_batch_size_takes_the_place_of_the_budget_s():
    preset = task("probe_accuracy").presets()[-1]
    sampled = {**preset.parameters, "batch_size": 200, "contrast": "vicreg", "temperature": 0.3}
    _, training = task("probe_accuracy").configs(sampled, seed=3)
    assert (training.batch_size, training.contrast, training.temperature) == (200, "vicreg", 0.3)


# Floors


def test_pca_is_measured_at_the_code_sizes_and_at_the_units_of_sparse_codes():
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 28, 28), generator=draws, dtype=torch.uint8)
    data = image_data(images, torch.arange(60) % 3, torch.tensor([0] * 40 + [1] * 10 + [2] * 10))
    floors = reconstruction_floors(data, (1024, 16))
    assert floors["pca"]["1024"]["components"] == 40 and [*floors["pca_curve"]] == [
        *("4", "8", "16", "32")
    ]
    assert floors["pca_curve"]["16"] == floors["pca"]["16"]
    errors = [floor["validation_mse"] for floor in floors["pca_curve"].values()]
    assert errors == sorted(errors, reverse=True) and errors[0] < 2 / 12  # a uniform pixel's 1/12
    pixels = images.flatten(1).numpy().astype(np.float32) / 255
    pca = PCA(16, svd_solver="full").fit(pixels[:40])
    redrawn = pca.inverse_transform(pca.transform(pixels[50:]))
    expected = float(np.square(pixels[50:] - redrawn).mean())
    assert floors["pca"]["16"]["test_mse"] == pytest.approx(expected, rel=1e-3)
    mean = np.square(pixels[40:50] - pixels[:40].mean(0)).mean()
    assert floors["mean_image"]["validation_mse"] == pytest.approx(float(mean), rel=1e-4)


def test_large_images_without_labels_are_tested_by_their_error_alone():
    images = torch.randint(0, 256, (30, 40, 40, 3), dtype=torch.uint8)
    parts = [torch.arange(30)[part::3] for part in range(3)]
    data = ImageData("own", images, torch.zeros(30).long(), None, (), *parts, "x", False, "")
    task = AutoencoderTask((8,), 1, "quick", labelled=False, image_side=40, image_channels=3)
    parameters = {**task.presets()[0].parameters, "latent_size": 8}
    run = task.start(parameters, 0, task.prepare(data, "cpu"))
    (record,) = run.epochs()
    assert set(task.metrics) - set(record) == set() and "probe_accuracy" not in task.metrics
    metrics, _ = task.test(run.weights(), parameters, data, "cpu")
    assert set(metrics) == {"validation_mse", "test_mse"}
    assert task.examples(run.weights(), parameters, data)["inputs"].shape == (10, 40, 40, 3)
