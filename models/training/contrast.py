"""A loss that pulls the codes of two views of one drawing together, without any label.

A small network, the projection, maps codes to the space in which views are compared; it is thrown
away after the training, because the code before it says more (Chen et al. 2020, section 4.2).
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Contrast = Literal["nt-xent", "vicreg"]
CONTRASTS: tuple[str, ...] = get_args(Contrast)
HIDDEN, OUTPUTS = 256, 128  # of the projection
COVARIANCE_WEIGHT = 1 / 25  # beside weights of 1: the paper has 25, 25 and 1
DEVIATION_FLOOR = 1e-4  # added to a variance before its root


class Projection(nn.Sequential):
    """Codes (B, latent_size) -> (B, 128), through one hidden layer."""

    def __init__(self, latent_size: int):
        super().__init__(
            nn.Linear(latent_size, HIDDEN, bias=False),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, OUTPUTS),
        )


def contrastive_loss(first: Tensor, second: Tensor, kind: Contrast, temperature: float) -> Tensor:
    """The loss of two views (B, P) each, a row for each drawing; `temperature` is NT-Xent's."""
    first, second = first.float(), second.float()
    return vicreg(first, second) if kind == "vicreg" else nt_xent(first, second, temperature)


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The mean negative log-probability that a view picks the other view of its drawing among all
    other 2B - 1 views, by their cosine over `temperature` (Chen et al. 2020, arXiv:2002.05709,
    eq. 1); 0 at best."""
    views = F.normalize(torch.cat([first, second]), dim=1)
    count = len(views)
    itself = torch.eye(count, dtype=torch.bool, device=views.device)
    logits = (views @ views.T / temperature).masked_fill(itself, -math.inf)
    partner = torch.arange(count, device=views.device).roll(count // 2)
    return F.cross_entropy(logits, partner)


def vicreg(first: Tensor, second: Tensor) -> Tensor:
    """The squared distance of the two views, plus what keeps codes apart without negatives: each
    output should deviate by 1, and outputs should not be correlated (Bardes et al. 2022,
    arXiv:2105.04906, eq. 1 to 6). The weights 25, 25 and 1 are divided by 25 here."""
    loss = F.mse_loss(first, second)
    for views in (first, second):
        centred = views - views.mean(0)
        products = centred.T @ centred / max(len(views) - 1, 1)
        variance = products.diagonal()
        spread = torch.relu(1 - torch.sqrt(variance + DEVIATION_FLOOR)).mean()
        covariance = (products.square().sum() - variance.square().sum()) / views.shape[1]
        loss = loss + spread / 2 + COVARIANCE_WEIGHT * covariance
    return loss
