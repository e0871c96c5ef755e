"""How many units and how many dimensions of a code are in use."""

from __future__ import annotations

import torch
from torch import Tensor


def active_fraction(codes: Tensor, threshold: float = 0.01) -> float:
    """Fraction of the units of codes (N, D) whose variance exceeds `threshold` times the largest
    variance of a unit. Burda et al. 2016 (arXiv:1509.00519) use a fixed limit, which depends on the
    scale of the codes."""
    variance = codes.double().var(0, correction=0)
    largest = variance.max()
    return float((variance > threshold * largest).double().mean()) if largest > 0 else 0.0


def effective_rank(codes: Tensor) -> float:
    """exp of the entropy of the normalised singular values of the centred codes (N, D)
    (Roy and Vetterli 2007, "The effective rank"): between 1 and min(N, D), or 0 if all codes are
    equal."""
    codes = codes.double()  # in float32 the mean of equal codes can differ from each code
    values = torch.linalg.svdvals(codes - codes.mean(0))
    if not values.sum() > 0:
        return 0.0
    p = values / values.sum()
    return float(torch.exp(-(p * torch.log(p.clamp_min(1e-300))).sum()))
