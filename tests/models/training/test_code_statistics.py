"""Effective rank, active units and sparsity of codes."""

import pytest
import torch

from models.training.code_statistics import active_fraction, effective_rank, sparsity


def gaussian(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


ALL_EQUAL = [torch.full((n, 8), value) for n in (1, 100, 501) for value in (0.0, 0.1, 1.7, -3e4)]


@pytest.mark.parametrize("d", [2, 16])
def test_effective_rank_of_an_isotropic_gaussian_is_its_dimension(d):
    assert effective_rank(gaussian(4000, d)) == pytest.approx(d, rel=0.01)


def test_effective_rank_of_codes_on_a_line_is_1():
    assert effective_rank(5 + gaussian(200, 1) * gaussian(1, 32, 1)) == pytest.approx(1, abs=1e-3)


def test_effective_rank_knows_no_scale_and_no_offset():
    codes = gaussian(300, 6) * torch.tensor([5.0, 3, 2, 1, 0.5, 0.1])
    rank = float(effective_rank(codes))
    assert 1 < rank < 6
    assert effective_rank(1000 * codes + 7) == pytest.approx(rank, rel=1e-3)


def test_effective_rank_is_at_most_the_number_of_codes():
    assert effective_rank(gaussian(5, 64)) <= 5


@pytest.mark.parametrize("codes", ALL_EQUAL)
def test_effective_rank_of_equal_codes_is_0(codes):
    assert effective_rank(codes) == 0


def test_active_fraction_does_not_count_dead_units():
    codes = gaussian(200, 10) + 3
    codes[:, :4] = torch.tensor([0.0, 0.1, 1.7, -3e4])  # each says the same of every image
    assert active_fraction(codes) == pytest.approx(0.6)


def test_active_fraction_does_not_count_units_that_hardly_move():
    loud, faint = gaussian(200, 3), 0.05 * gaussian(200, 1, 1)  # 0.25 % of the variance
    assert active_fraction(torch.cat([loud, faint], 1)) == pytest.approx(0.75)
    assert active_fraction(torch.cat([loud, 4 * faint], 1)) == 1


def test_active_fraction_knows_no_scale():
    codes = gaussian(200, 10) * (torch.arange(10) >= 3)
    assert active_fraction(codes) == active_fraction(1e-3 * codes) == pytest.approx(0.7)


@pytest.mark.parametrize("codes", ALL_EQUAL)
def test_active_fraction_of_equal_codes_is_0(codes):
    assert active_fraction(codes) == 0


def test_sparsity_counts_the_units_of_single_codes_and_those_of_none():
    codes = torch.zeros(4, 9)
    codes[0, 0], codes[1, 0], codes[1, 1] = 2.0, -1.0, 1.0
    codes[2] = 0.5 * torch.tensor([0, 0, 1, 1, 1, 1, 0, 0, 0])
    units, hoyer, dead = map(float, sparsity(codes))
    assert units == (1 + 2 + 4 + 0) / 4
    assert dead == 3
    # (3 - L1 / L2) / 2 of each code; a code of zeros counts as 1
    assert hoyer == pytest.approx((1 + (3 - 2**0.5) / 2 + (3 - 2) / 2 + 1) / 4)


def test_hoyer_sparsity_is_0_for_equal_units_and_knows_no_scale():
    assert float(sparsity(torch.full((3, 16), -7.0))[1]) == pytest.approx(0, abs=1e-6)
    codes = gaussian(50, 20)
    assert float(sparsity(1e4 * codes)[1]) == pytest.approx(float(sparsity(codes)[1]), rel=1e-5)
    assert [float(value) for value in sparsity(torch.ones(5, 1))] == [1, 0, 0]
