"""The losses of two views of a drawing."""

import math

import pytest
import torch

from models.training.contrast import Projection, contrastive_loss, nt_xent, vicreg


def views(count: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


def slow_nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    """Equation 1 of the paper, sum by sum."""
    rows = [row / row.norm() for row in (*first, *second)]
    count, total = len(rows), 0.0
    for i, row in enumerate(rows):
        partner = (i + len(first)) % count
        others = [math.exp(row @ rows[k] / temperature) for k in range(count) if k != i]
        total -= math.log(math.exp(row @ rows[partner] / temperature) / sum(others))
    return total / count


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_nt_xent_is_the_paper_s(temperature):
    expected = slow_nt_xent(views(), views(seed=1), temperature)
    assert float(nt_xent(views(), views(seed=1), temperature)) == pytest.approx(expected, rel=1e-5)


def test_nt_xent_is_small_for_views_that_agree_and_large_for_others_views():
    apart = torch.eye(8)
    assert float(nt_xent(apart, 3 * apart, 0.1)) < 0.01
    assert float(nt_xent(apart, apart.roll(1, 0), 0.1)) > 5


def test_vicreg_of_the_paper_by_hand():
    first, second = views(), views(seed=1)
    expected = float(((first - second) ** 2).mean())
    for each in (first, second):
        covariance = torch.cov(each.T)
        deviations = (covariance.diagonal() + 1e-4).sqrt()
        expected += float((1 - deviations).clamp_min(0).mean()) / 2
        off = covariance - torch.diag(covariance.diagonal())
        expected += float(off.square().sum()) / 8 / 25
    assert float(vicreg(first, second)) == pytest.approx(expected, rel=1e-5)


def test_vicreg_punishes_a_collapse_that_the_distance_alone_would_like():
    equal = torch.ones(6, 8)
    assert float(vicreg(equal, equal)) > 0.9
    wide = 2 * torch.linalg.qr(views(100))[0] * 100**0.5
    wide = wide - wide.mean(0)
    assert float(vicreg(wide, wide)) < 0.05


@pytest.mark.parametrize("kind", ["nt-xent", "vicreg"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_size_of_a_batch_and_of_a_code_has_a_finite_gradient(kind, count):
    project = Projection(3).eval()
    codes = torch.zeros(count, 3, requires_grad=True)
    contrastive_loss(project(codes), project(codes + 1), kind, 0.1).backward()
    assert codes.grad.isfinite().all()
