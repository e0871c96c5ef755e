"""Which part of a GPU a trial gets."""

from __future__ import annotations

import pytest

from models.data import load
from models.data.prepared import prepare
from probes.classifiers.fitting import make_probe
from search.autoencoders.task import AutoencoderTask
from search.cluster.gpu import Need, number_of_weights, share
from search.latent_probes.task import ProbeTask

GIB = 2**30


@pytest.mark.parametrize(
    ("need", "trials"),
    [
        (Need(GIB, 80 * GIB, 0.05), 8),  # small and idle: as many as ever share a GPU
        (Need(GIB, 80 * GIB, 0.45), 2),  # three would wait for each other
        (Need(GIB, 80 * GIB, 1.0), 1),
        (Need(9 * GIB, 40 * GIB, 0.1), 2),  # with what a larger trial may take, three fit
        (Need(30 * GIB, 40 * GIB, 0.1), 1),
        (Need(60 * GIB, 40 * GIB, 0.1), 1),
        (Need(GIB, 80 * GIB, None), 4),
        (Need(15 * GIB, 40 * GIB, None), 2),
    ],
)
def test_a_trial_gets_the_part_of_a_gpu_that_it_needs(need, trials):
    assert share(need) == 1 / trials


def test_the_largest_preset_has_the_most_weights_and_an_unfitted_probe_has_none():
    images = prepare(load("mnist5k", "data", train_size=20))
    searched = AutoencoderTask((1024, 32), 1, "quick")
    runs = [searched.start(preset.parameters, 0, images) for preset in searched.presets()]
    largest = max(runs, key=number_of_weights)
    weights = largest.network.state_dict().values()
    assert number_of_weights(largest) == sum(value.numel() for value in weights)
    assert largest.network.config.latent_size == 1024
    probes = ProbeTask(("mlp",), (16,), 2, "quick")
    assert number_of_weights(make_probe(probes.presets()[0].parameters, probes.scale, 0, 10)) == 0
