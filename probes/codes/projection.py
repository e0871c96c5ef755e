"""The projection of codes before a classifier: scaling, PCA, LDA, together one affine map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor


@dataclass(frozen=True)
class ProjectionConfig:
    """The steps, in this order; a step with zero components is left out."""

    scaling: bool = False  # each unit to zero mean and unit variance
    pca: int = 0  # components
    lda: int = 0  # components
    shrinkage: float = 0.05  # of LDA's within-class covariance towards a multiple of the identity

    def __post_init__(self) -> None:
        if min(self.pca, self.lda) < 0 or not 0 <= self.shrinkage <= 1:
            raise ValueError("components must not be negative, shrinkage must be in [0, 1]")


@dataclass(frozen=True)
class Projection:
    """Codes (N, D) to (N, d): `codes @ matrix + offset`."""

    matrix: np.ndarray  # float32 (D, d)
    offset: np.ndarray  # float32 (d,)

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        return np.asarray(codes, np.float32) @ self.matrix + self.offset

    def weights(self) -> dict[str, Tensor]:
        return {
            "projection.matrix": torch.from_numpy(self.matrix),
            "projection.offset": torch.from_numpy(self.offset),
        }

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor]) -> Projection:
        return cls(weights["projection.matrix"].numpy(), weights["projection.offset"].numpy())


def fit_projection(config: ProjectionConfig, codes: np.ndarray, labels: np.ndarray) -> Projection:
    """Fit the steps on training codes (N, D) with labels (N,), by scikit-learn.

    A step has at most as many components as its input allows."""
    features = codes.shape[1]
    steps = []
    if config.scaling:
        steps.append(("scaling", StandardScaler()))
    if config.pca:
        components = min(config.pca, *codes.shape)
        steps.append(("pca", PCA(components, svd_solver="covariance_eigh")))
        features = components
    if config.lda:
        most = min(config.lda, features, len(np.unique(labels)) - 1)
        lda = LinearDiscriminantAnalysis(
            solver="eigen", shrinkage=config.shrinkage, n_components=most
        )
        steps.append(("lda", lda))
    if not steps:
        size = codes.shape[1]
        return Projection(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))
    pipeline = Pipeline(steps).fit(np.asarray(codes, np.float32), labels)
    ends = pipeline.transform(
        np.concatenate([np.zeros((1, codes.shape[1])), np.eye(codes.shape[1])])
    )
    return Projection((ends[1:] - ends[0]).astype(np.float32), ends[0].astype(np.float32))
