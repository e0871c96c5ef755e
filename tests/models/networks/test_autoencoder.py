"""The network: blocks, sides, codes, images, and the presets of the report."""

import json
from dataclasses import asdict, fields

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from models.networks.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    Conv3x3,
    ConvBlock,
)
from models.networks.presets import AUTOENCODER_PRESETS, AUTOENCODER_STARTS, SPARSE_PRESETS
from models.networks.resolution import Resolution
from models.training.loop import TrainingConfig


def small(**settings) -> AutoencoderConfig:
    return AutoencoderConfig(**{"width": 4, "latent_size": 6, **settings})


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def blocks(part: nn.Module) -> int:
    """Conv-norm-activation blocks, counted by the batch norms: every block has one."""
    return sum(isinstance(module, nn.BatchNorm2d) for module in part.modules())


# Presets


def of_preset(name: str) -> tuple[AutoencoderConfig, TrainingConfig]:
    values = AUTOENCODER_PRESETS[name]
    return tuple(
        kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})
        for kind in (AutoencoderConfig, TrainingConfig)
    )


def test_the_presets_are_the_six_models_of_the_report():
    assert set(AUTOENCODER_PRESETS) == {
        *("dae-l1", "deeper-dae", "even-deeper-dae", "deeper-dae-0.2", "sae", "deeper-sae")
    }


@pytest.mark.parametrize("presets", [AUTOENCODER_PRESETS, SPARSE_PRESETS, AUTOENCODER_STARTS])
def test_a_preset_sets_nothing_but_fields_of_the_configs(presets):
    known = {field.name for kind in (AutoencoderConfig, TrainingConfig) for field in fields(kind)}
    assert all(set(preset) <= known for preset in presets.values())


def test_the_sparse_presets_are_the_report_s_with_another_code():
    sae, relu = AUTOENCODER_PRESETS["sae"], SPARSE_PRESETS["sae-relu"]
    assert {name for name in sae if sae[name] != relu[name]} == {"code_activation"}
    model = AutoencoderConfig(
        **{name: SPARSE_PRESETS["top-k"][name] for name in ("code_activation", "kept_units")}
    )
    codes = Autoencoder(model).eval().encode(images(5))
    assert (codes != 0).sum(1).max() <= model.kept_units == 64


@pytest.mark.parametrize(
    "name, encoder",
    [("sae", 9), ("deeper-dae", 8), ("deeper-dae-0.2", 8)],
)
def test_a_preset_has_the_blocks_that_the_report_counts(name, encoder):
    network = Autoencoder(of_preset(name)[0])
    assert (blocks(network.encoder), blocks(network.decoder)) == (encoder, encoder - 1)


@pytest.mark.parametrize("name, more_than", [("even-deeper-dae", 8), ("deeper-sae", 9)])
def test_a_deeper_preset_has_more_blocks_than_its_model(name, more_than):
    assert blocks(Autoencoder(of_preset(name)[0]).encoder) > more_than


@pytest.mark.parametrize("name", AUTOENCODER_PRESETS)
def test_a_preset_has_a_code_of_1024(name):
    assert Autoencoder(of_preset(name)[0]).eval().encode(images()).shape == (2, 1024)


@pytest.mark.parametrize(
    "name, dropout",
    [("deeper-dae", 0.3), ("even-deeper-dae", 0.3), ("deeper-dae-0.2", 0.2), ("sae", None)],
)
def test_a_preset_drops_with_the_reported_probability_in_every_block(name, dropout):
    network = Autoencoder(of_preset(name)[0])
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout2d)]
    assert {layer.p for layer in layers} == ({dropout} if dropout else set())
    assert len(layers) == (blocks(network) if dropout else 0)


def test_penalties_and_noise_of_the_presets_are_the_reported_ones():
    trainings = {name: of_preset(name)[1] for name in AUTOENCODER_PRESETS}
    penalised = {name for name, training in trainings.items() if training.l1 > 0}
    noised = {
        name
        for name, training in trainings.items()
        if training.noise != "none" and training.noise_level > 0
    }
    assert penalised == {"dae-l1", "sae", "deeper-sae"}
    assert noised == {"dae-l1", "deeper-dae", "even-deeper-dae", "deeper-dae-0.2"}


# Shapes


@pytest.mark.parametrize("depth", range(1, 15))
def test_every_depth_gives_images_and_codes(depth):
    for decoder_depth in (None, 0, 1, depth, depth + 3):
        config = small(depth=depth, decoder_depth=decoder_depth)
        network = Autoencoder(config).eval()
        outputs, codes = network(images())
        assert outputs.shape == (2, 1, 28, 28) and codes.shape == (2, 6)
        assert 0 <= outputs.min() and outputs.max() <= 1
        assert blocks(network.encoder) == depth
        assert blocks(network.decoder) == (depth - 1 if decoder_depth is None else decoder_depth)


def test_forward_is_encode_and_then_decode():
    network = Autoencoder(small()).eval()
    outputs, codes = network(images())
    assert torch.equal(codes, network.encode(images()))
    assert torch.equal(outputs, network.decode(codes))


def test_a_linear_path_begins_alone_and_with_a_large_code_near_the_image():
    ink = (torch.rand(4, 1, 28, 28, generator=torch.manual_seed(0)) < 0.2).float()
    network = Autoencoder(small(latent_size=1024, linear_path=True)).eval()
    outputs, codes = network(ink)
    assert torch.equal(codes, network.linear_path.encode(ink))
    assert F.mse_loss(outputs, ink) < 0.003


def test_beside_a_linear_path_the_blocks_learn():
    torch.manual_seed(0)
    network = Autoencoder(small(linear_path=True))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    before = {name: value.clone() for name, value in network.named_parameters()}
    for _ in range(3):
        optimizer.zero_grad()
        F.mse_loss(network(images())[0], images()).backward()
        optimizer.step()
    moved = {name for name, value in network.named_parameters() if not value.equal(before[name])}
    assert moved == set(before)


@pytest.mark.parametrize("linear_path", [False, True])
def test_outputs_stay_in_range_for_codes_far_out(linear_path):
    network = Autoencoder(small(linear_path=linear_path)).eval()
    outputs = network.decode(1e6 * torch.randn(8, 6, generator=torch.manual_seed(0)))
    assert torch.isfinite(outputs).all() and 0 <= outputs.min() and outputs.max() <= 1


def test_every_block_of_the_encoder_has_the_side_that_block_sides_says():
    for depth in range(1, 15):
        seen = []
        network = Autoencoder(small(depth=depth)).eval()
        for block in network.encoder:
            block.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.shape[-1]))
        network.encode(images())
        assert seen == Resolution(28).block_sides(depth) == sorted(seen, reverse=True)
        assert set(seen) == set((14, 7, 4)[:depth])


@pytest.mark.parametrize(
    "config",
    [small(depth=depth, decoder_depth=d, width=32) for depth in (1, 4, 9) for d in (None, 0, 12)]
    + [of_preset(name)[0] for name in AUTOENCODER_PRESETS],
)
def test_no_wide_convolution_runs_at_full_resolution(config):
    convolutions = []

    def note(_, inputs, output):
        convolutions.extend((inputs[0].shape, output.shape))

    network = Autoencoder(config).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note)
    network(images(1))
    assert len(convolutions) == 2 * (config.depth + config.decoder_blocks + 1)
    assert max(channels for _, channels, side, _ in convolutions if side > 14) <= 4


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu"])
def test_a_block_has_a_shortcut_only_where_shapes_allow(activation):
    config = small(activation=activation)
    x = torch.randn(2, 4, 7, 7, generator=torch.manual_seed(0))
    for outputs, stride, shortcut in [(4, 1, True), (8, 1, False), (4, 2, False), (8, 2, False)]:
        block = ConvBlock(4, outputs, config, stride=stride).eval()
        nn.init.zeros_(block.conv.weight)  # what is left is the shortcut
        left = block(x)
        assert left.shape == (2, outputs, 7 if stride == 1 else 4, 7 if stride == 1 else 4)
        assert torch.equal(left, x if shortcut else torch.zeros_like(left))


@pytest.mark.parametrize("side, resized", [(7, 14), (1, 2), (4, 7), (7, 7)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_of_a_resized_image_is_that_of_the_larger_image(side, resized, bias):
    torch.manual_seed(0)
    conv = Conv3x3(3, 5, bias=bias).double()
    x = torch.randn(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    pull = torch.randn(2, 5, resized, resized, dtype=torch.float64)
    inputs = [x, *conv.parameters()]
    ours = conv(x, resized)
    larger = F.interpolate(x, size=(resized, resized), mode="nearest")
    theirs = F.conv2d(larger, conv.weight, conv.bias, padding=1)
    torch.testing.assert_close(ours, theirs)
    for mine, other in zip(
        torch.autograd.grad(ours, inputs, pull),
        torch.autograd.grad(theirs, inputs, pull),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("depth", [2, 4, 9])
def test_no_convolution_is_given_images_laid_out_otherwise_than_its_weights(depth, layout):
    """It would have to copy them, there and back: a fifth of a small network's step."""
    network = Autoencoder(AutoencoderConfig(depth=depth, width=8)).to(memory_format=layout)
    found = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(
                lambda module, given: found.append(given[0].is_contiguous(memory_format=layout))
            )
    network(torch.rand(3, 1, 28, 28).contiguous(memory_format=layout))
    assert len(found) == 2 * depth and all(found)


def test_dropout_acts_in_training_only():
    network = Autoencoder(small(depth=2, dropout=0.5))
    torch.manual_seed(0)
    assert not torch.equal(network.encode(images()), network.encode(images()))
    network.eval()
    assert torch.equal(network.encode(images()), network.encode(images()))


# Configs


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"depth": 0}, "depth"),
        ({"depth": -3, "decoder_depth": 2}, "depth"),
        ({"decoder_depth": -1}, "decoder_depth.*-1"),
        ({"width": 0}, "width"),
        ({"latent_size": 0}, "latent_size"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": 1.0}, "dropout"),
        ({"activation": "tanh"}, "relu, gelu, silu"),
    ],
)
def test_a_network_that_cannot_be_is_refused(wrong, word):
    with pytest.raises(ValueError, match=word):
        AutoencoderConfig(**wrong)


@pytest.mark.parametrize(
    "config",
    [
        AutoencoderConfig(),
        AutoencoderConfig(depth=9, decoder_depth=0, dropout=0.15, activation="gelu"),
        AutoencoderConfig(linear_path=True),
        AutoencoderConfig(code_activation="topk", kept_units=3),
        *(of_preset(name)[0] for name in AUTOENCODER_PRESETS),
    ],
)
def test_a_config_comes_back_from_json_as_it_was(config):
    again = AutoencoderConfig(**json.loads(json.dumps(asdict(config))))
    assert again == config
    with torch.device("meta"):
        shapes = [
            {name: value.shape for name, value in Autoencoder(c).state_dict().items()}
            for c in (config, again)
        ]
    assert shapes[0] == shapes[1]
