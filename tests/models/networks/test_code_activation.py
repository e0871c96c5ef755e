"""Which units of a code stay."""

import pytest
import torch

from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.networks.code_activation import activate_code, keep_largest


def values(rows: int = 6, units: int = 10) -> torch.Tensor:
    return torch.randn(rows, units, generator=torch.Generator().manual_seed(0))


def test_linear_changes_nothing_and_relu_leaves_positive_units():
    assert activate_code(values(), "linear", 1) is not None
    assert torch.equal(activate_code(values(), "linear", 1), values())
    assert torch.equal(activate_code(values(), "relu", 1), values().clamp_min(0))


@pytest.mark.parametrize("kept", [1, 3, 10, 99])
def test_topk_keeps_the_largest_positive_units(kept):
    codes = activate_code(values(), "topk", kept)
    for code, row in zip(codes, values(), strict=True):
        expected = sorted((float(v) for v in row if v > 0), reverse=True)[:kept]
        assert sorted((float(v) for v in code if v != 0), reverse=True) == expected


def test_equal_values_do_not_make_more_units_than_k():
    assert (keep_largest(torch.ones(4, 100, dtype=torch.bfloat16), 7) != 0).sum(1).tolist() == [
        *(7, 7, 7, 7)
    ]


def test_only_kept_units_have_a_gradient():
    leaf = values().requires_grad_()
    codes = activate_code(leaf, "topk", 2)
    codes.sum().backward()
    assert torch.equal(leaf.grad != 0, codes != 0)


@pytest.mark.parametrize("size", [1, 5, 200])
def test_every_code_size_has_at_most_k_units(size):
    network = Autoencoder(
        AutoencoderConfig(depth=2, width=4, latent_size=size, code_activation="topk", kept_units=7)
    ).eval()
    images = torch.rand(3, 1, 28, 28)
    outputs, codes = network(images)
    assert outputs.shape == images.shape and codes.shape == (3, size)
    assert (codes != 0).sum(1).max() <= min(size, 7)


@pytest.mark.parametrize("wrong", [{"code_activation": "tanh"}, {"kept_units": 0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError):
        AutoencoderConfig(**wrong)
