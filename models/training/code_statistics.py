"""How many units and how many dimensions of a code are in use, and how sparse each code is."""

from __future__ import annotations

import torch
from torch import Tensor


def active_fraction(codes: Tensor, threshold: float = 0.01) -> float:
    """Fraction of the units of codes (N, D) whose variance exceeds `threshold` times the largest
    variance of a unit (after Burda et al. 2016, arXiv:1509.00519, made independent of scale)."""
    variance = codes.double().var(0, correction=0)
    largest = variance.max()
    return float((variance > threshold * largest).double().mean()) if largest > 0 else 0.0


def effective_rank(codes: Tensor) -> float:
    """exp of the entropy of the normalised singular values of the centred codes (N, D)
    (Roy and Vetterli 2007, "The effective rank"); between 1 and min(N, D), 0 if all are equal."""
    codes = codes.double()  # in float32 the mean of equal codes differs from them
    values = torch.linalg.svdvals(codes - codes.mean(0))
    if not values.sum() > 0:
        return 0.0
    p = values / values.sum()
    return float(torch.exp(-(p * torch.log(p.clamp_min(1e-300))).sum()))


def sparsity(codes: Tensor) -> tuple[float, float, float]:
    """Three figures of codes (N, D): the mean number of units that are not zero in a code (its
    L0), the mean Hoyer sparsity, and the number of dead units, which are zero in every code.

    The Hoyer sparsity of a code is (sqrt(D) - L1 / L2) / (sqrt(D) - 1): 0 where all units are
    equally large, 1 where a single unit is active (Hoyer 2004, JMLR 5). A code of zeros counts as
    1, a code of one unit as 0.
    """
    active = codes != 0
    root = codes.shape[1] ** 0.5
    ratio = codes.norm(1, dim=1) / codes.norm(2, dim=1).clamp_min(1e-30)
    hoyer = ((root - ratio.clamp(1, root)) / max(root - 1, 1e-30)).mean()
    units, dead = active.sum(1, dtype=torch.float64).mean(), (~active.any(0)).sum()
    found = torch.stack([units, hoyer.double(), dead.double()]).tolist()
    return found[0], found[1], found[2]
