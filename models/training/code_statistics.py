"""How many units and how many dimensions of a code are in use."""

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
