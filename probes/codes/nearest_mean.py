"""The nearest class mean: a probe that needs no training, so every epoch can have it."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_mean_accuracy(
    codes: Tensor, labels: Tensor, other_codes: Tensor, other_labels: Tensor
) -> float:
    """Accuracy on `other_codes` (M, D) of the nearest class mean of `codes` (N, D).

    Units are scaled to unit variance, so that a unit of large variance does not decide alone, and
    centred, so that a large constant does not cost digits of the distance. Labels that `labels`
    lacks count as mistakes; without any codes the accuracy is nan.
    """
    if len(codes) == 0 or len(other_codes) == 0:
        return float("nan")
    centre, scale = codes.mean(0), codes.std(0, correction=0).clamp_min(1e-6)
    classes, position = labels.unique(return_inverse=True)
    sums = torch.zeros(len(classes), codes.shape[1], device=codes.device)
    means = sums.index_add_(0, position, (codes - centre) / scale) / position.bincount()[:, None]
    nearest = classes[torch.cdist((other_codes - centre) / scale, means).argmin(1)]
    return float((nearest == other_labels).double().mean())
