"""The classifier's network: shapes, what its settings change, what is refused."""

import json
from dataclasses import asdict

import pytest
import torch

from models.networks.classifier import Classifier, ClassifierConfig

IMAGES = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def small(**settings) -> ClassifierConfig:
    return ClassifierConfig(**{"classes": 7, "width": 4, "hidden": 6, **settings})


def build(**settings) -> Classifier:
    torch.manual_seed(0)
    return Classifier(small(**settings)).eval()


def convolutions(network: Classifier) -> int:
    return sum(isinstance(each, torch.nn.Conv2d) for each in network.modules())


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("settings", [{}, {"stem": 3}, {"hidden_norm": True, "dropout": 0.5}])
def test_logits_and_features_have_their_shapes(residual, depth, settings):
    network = build(residual=residual, depth=depth, **settings)
    assert network(IMAGES).shape == (5, 7)
    assert network.features(IMAGES).shape == (5, 6)


def test_the_features_are_what_the_last_layer_sees():
    network = build(dropout=0.5)
    assert torch.equal(network.to_logits(network.features(IMAGES)), network(IMAGES))


def test_depth_counts_convolutions_and_residual_blocks_have_two():
    assert convolutions(build(depth=5)) == 5
    assert convolutions(build(depth=5, stem=3)) == 6
    # Three blocks change side or channels: each of those has a convolution in its shortcut.
    assert convolutions(build(depth=5, residual=True)) == 2 * 5 + 3


def test_width_doubles_with_every_halving_of_the_side():
    network = build(depth=4, width=8)
    outputs = [each.out_channels for each in network.modules() if hasattr(each, "out_channels")]
    assert outputs == [8, 16, 16, 32]


def test_without_the_hidden_activation_the_head_is_one_linear_map():
    """The report's mistake: two linear layers in a row are one."""

    def bend(network):
        flat = torch.randn(5, network.hidden.in_features)
        head = torch.nn.Sequential(network.hidden, network.activation, network.to_logits)
        return (head(flat) + head(-flat) - 2 * head(torch.zeros_like(flat))).abs().max()

    assert bend(build(hidden_activation=False)) < 1e-5
    assert bend(build(hidden_activation=True)) > 1e-3


def test_dropout_acts_between_the_dense_layers_and_in_training_only():
    network = build(dropout=0.9)
    assert torch.equal(network(IMAGES), network(IMAGES))
    network.train()
    with torch.no_grad():
        first, second = network(IMAGES), network(IMAGES)
    assert not torch.equal(first, second)


def test_a_shortcut_lets_a_block_be_skipped():
    network = build(residual=True, depth=4, activation="relu")
    block = network.blocks[2]
    torch.nn.init.zeros_(block.body[-1].weight)  # the last norm's scale: the body gives nothing
    x = torch.rand(2, 8, 7, 7)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": 0},
        {"depth": 0},
        {"width": 0},
        {"hidden": 0},
        {"stem": -1},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"activation": "tanh"},
    ],
)
def test_a_network_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError):
        small(**wrong)


def test_a_config_comes_back_from_json_as_it_was():
    config = small(residual=True, stem=8)
    assert ClassifierConfig(**json.loads(json.dumps(asdict(config)))) == config
