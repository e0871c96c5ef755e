"""Linear discriminant analysis in closed form, on the device of the codes."""

from __future__ import annotations

import torch
from torch import Tensor

SHRINKAGE = 0.05  # of the covariance within classes towards a multiple of the identity


def lda_accuracy(
    codes: Tensor,
    labels: Tensor,
    other_codes: Tensor,
    other_labels: Tensor,
    shrinkage: float = SHRINKAGE,
) -> float:
    """Accuracy on `other_codes` (M, D) of the classifier of `fit_lda` on `codes` (N, D).

    Labels that `labels` lacks count as mistakes; without any codes the accuracy is nan.
    """
    if len(codes) == 0 or len(other_codes) == 0:
        return float("nan")
    classes, matrix, offset = fit_lda(codes, labels, shrinkage)
    answers = classes[(other_codes.double() @ matrix + offset).argmax(1)]
    return float((answers == other_labels).double().mean())


def fit_lda(codes: Tensor, labels: Tensor, shrinkage: float) -> tuple[Tensor, Tensor, Tensor]:
    """The classes (C,), and the scores `codes @ matrix + offset` of each: matrix (D, C), offset
    (C,), float64. All classes share a covariance (Fisher 1936), as in scikit-learn's
    `LinearDiscriminantAnalysis(solver="lsqr", shrinkage=...)`."""
    codes = codes.double()
    classes, position = labels.unique(return_inverse=True)
    counts = position.bincount()
    sums = torch.zeros(len(classes), codes.shape[1], dtype=codes.dtype, device=codes.device)
    means = sums.index_add_(0, position, codes) / counts[:, None]
    within = codes - means[position]
    covariance = within.T @ within / len(codes)
    size = covariance.diagonal().mean().clamp_min(1e-12)  # a collapsed code has no spread
    identity = torch.eye(len(covariance), dtype=codes.dtype, device=codes.device)
    shrunk = (1 - shrinkage) * covariance + shrinkage * size * identity
    matrix = torch.linalg.solve(shrunk, means.T)
    offset = (counts / len(codes)).log() - 0.5 * (means.T * matrix).sum(0)
    return classes, matrix, offset
