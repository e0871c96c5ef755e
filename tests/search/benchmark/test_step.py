"""The training step beside a tutorial's: both compute the same."""

from __future__ import annotations

import json

import torch

from models.data.prepared import prepare
from models.networks.autoencoder import AutoencoderConfig
from models.training.loop import TrainingConfig, has_fast_bf16
from models.training.reconstruction import Reconstruction, autoencoder_run
from search.benchmark import step
from search.benchmark.rivals.tutorials import tutorial

SMALL = AutoencoderConfig(depth=2, width=8, latent_size=16)


def test_a_tutorial_s_images_and_loss_are_ours(images):
    prepared, training = prepare(images), TrainingConfig(l1=0.1, batch_size=50)
    rival = tutorial(SMALL, training, images, "cpu")
    theirs = torch.stack([rival.validation.dataset[n] for n in range(50)])
    assert torch.equal(theirs, prepared.batch(images.validation[:50]))
    labels = images.labels[images.validation[:50]]
    generator = torch.Generator().manual_seed(0)
    rival.network.eval()
    expected = Reconstruction(training).loss(rival.network, theirs, labels, generator)
    # Where the hardware has bfloat16 ours is computed in it: eight binary digits.
    digits = 2**-8 if has_fast_bf16(torch.device("cpu")) else 1e-5
    assert torch.isclose(rival._loss(theirs, generator), expected, rtol=digits)


def test_a_tutorial_s_network_learns(images):
    rival = tutorial(SMALL, TrainingConfig(batch_size=10), images, "cpu")
    before = rival.validation_mse()
    for _ in range(3):
        rival.train_epoch()
    assert rival.validation_mse() < before


def test_operations_are_counted_forward_and_backward(images):
    prepared = prepare(images)
    run = autoencoder_run(SMALL, TrainingConfig(batch_size=10), prepared)
    before = run.state_dict()["network"]["to_code.weight"].clone()
    flat = 2 * 8 * 7 * 7
    linear = 2 * flat * SMALL.latent_size  # of one of the two linear layers, forward
    assert step.flops_per_image(run, prepared) > 2 * 3 * linear
    assert torch.equal(run.network.to_code.weight, before) and run.step == 0


def test_a_network_is_measured_against_the_tutorial_and_the_peak(images, monkeypatch):
    monkeypatch.setattr(step, "NETWORKS", {"small": SMALL})
    monkeypatch.setattr(step, "PEAK_SIDE", {"cpu": 64})
    monkeypatch.setattr(step, "PEAK_SECONDS", 0.001)
    threads = torch.get_num_threads()
    found = step.measure(images, "cpu", batch_size=20, repetitions=3)
    assert torch.get_num_threads() == threads
    network = found["networks"]["small"]
    assert network["ours / tutorial"]["repetitions"] == 3
    assert 0 < sum(network["time_goes_to"].values()) <= 1.01
    assert step.as_text(json.loads(json.dumps(found)))
