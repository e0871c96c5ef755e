"""How many units and how many dimensions of a code are in use, and how sparse each code is."""

from __future__ import annotations

import torch
from torch import Tensor


def active_fraction(codes: Tensor, threshold: float = 0.01) -> Tensor:
    """Fraction of the units of codes (N, D) whose variance exceeds `threshold` times the largest
    variance of a unit: a tensor without dimensions on the device of the codes. Burda et al. 2016
    (arXiv:1509.00519) use a fixed limit, which depends on the scale of the codes."""
    variance = codes.double().var(0, correction=0)
    return (variance > threshold * variance.max()).double().mean()


def effective_rank(codes: Tensor) -> Tensor:
    """exp of the entropy of the normalised singular values of the centred codes (N, D)
    (Roy and Vetterli 2007, "The effective rank"): between 1 and min(N, D), or 0 if all codes are
    equal. A tensor without dimensions on the device of the codes.

    The singular values are the roots of the eigenvalues of the Gram matrix, which take a tenth of
    the time."""
    codes = torch.nan_to_num(codes.double())  # in float32 equal codes differ from their mean
    centred = codes - codes.mean(0)
    gram = centred @ centred.T if len(codes) < codes.shape[1] else centred.T @ centred
    values = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    total = values.sum()
    p = values / total
    rank = torch.exp(-(p * torch.log(p.clamp_min(1e-300))).sum())
    return torch.where(total > 0, rank, torch.zeros_like(rank))


def sparsity(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three figures of codes (N, D), each a tensor of no dimension: the mean number of units that
    are not zero in a code (its L0), the mean Hoyer sparsity, and the number of dead units, which
    are zero in every code.

    The Hoyer sparsity of a code is (sqrt(D) - L1 / L2) / (sqrt(D) - 1): 0 where all units are
    equally large, 1 where a single unit is active (Hoyer 2004, JMLR 5). A code of zeros counts as
    1, a code of one unit as 0.
    """
    active = codes != 0
    root = codes.shape[1] ** 0.5
    ratio = codes.norm(1, dim=1) / codes.norm(2, dim=1).clamp_min(1e-30)
    hoyer = ((root - ratio.clamp(1, root)) / max(root - 1, 1e-30)).mean()
    return active.sum(1).double().mean(), hoyer.double(), (~active.any(0)).sum().double()
