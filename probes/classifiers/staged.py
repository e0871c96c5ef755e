"""Classifiers that are fitted in stages, with scikit-learn's interface. A fit can be observed,
stopped between two stages, and continued.

    probe = StagedForest(stages=10, trees_per_stage=10)
    for loss in probe.fit_stages(codes, labels):
        print(probe.score(validation_codes, validation_labels))
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor


class StagedClassifier(ClassifierMixin, BaseEstimator):
    """The base class of the probes. A subclass sets `stages` in its constructor; its `_stages` fits
    one stage at a time, and continues after `load_state_dict`."""

    stages: int = 1

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None):
        """Fit all stages, from the first, on codes (N, D) with labels (N,) of any kind."""
        self.__dict__.pop("stage_", None)
        for _ in self.fit_stages(X, y, groups):
            pass
        return self

    def fit_stages(
        self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
    ) -> Iterator[float | None]:
        """Fit; yield the training loss of each stage, or None if the classifier minimises no loss.

        `groups` (N,) says which rows belong together (drawings of one drawer), for classifiers that
        hold out some rows."""
        self.classes_, positions = np.unique(y, return_inverse=True)
        self.stage_ = getattr(self, "stage_", 0)
        for loss in self._stages(X, positions, groups):
            self.stage_ += 1
            yield loss

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Labels (N,) of codes (N, D)."""
        return self.classes_[self.decision_function(X).argmax(1)]

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Scores (N, C), in the order of `classes_`. The largest is that of the predicted class."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """Everything that a prediction needs, as tensors."""
        return {
            "classes": torch.from_numpy(np.asarray(self.classes_)),
            "stage": torch.tensor(self.stage_),
        }

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Load what `weights` returned, to predict."""
        self.classes_, self.stage_ = weights["classes"].numpy(), int(weights["stage"])

    def state_dict(self) -> dict:
        """Everything that the next stage needs, in tensors and plain containers."""
        return self.weights()

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned; `fit_stages` continues with the next stage."""
        self.load_weights(state)

    def memory_bytes(self, rows: int, features: int, classes: int) -> int:
        """About the most memory that a fit needs, in bytes, in addition to the codes."""
        return 0

    def _stages(
        self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None
    ) -> Iterator[float | None]:
        """Labels are positions in `classes_`."""
        raise NotImplementedError


def digest(X: np.ndarray) -> bytes:
    """A hash of codes. It is the key of stored results, which are computed once for equal codes."""
    return hashlib.blake2b(np.ascontiguousarray(X).tobytes(), digest_size=16).digest()


class AtOnce(StagedClassifier):
    """A scikit-learn classifier, which has a single stage. `fitted` names the attributes that hold
    its fitted state. Without names the training rows are stored, and loading fits it again."""

    def __init__(self, estimator: ClassifierMixin, fitted: tuple[str, ...] = (), copies: int = 2):
        self.estimator = estimator
        self.fitted = fitted
        self.copies = copies  # of the codes, in float64, that a fit makes

    def _stages(self, X, y, groups):
        if self.stage_:
            return
        self.estimator.fit(X, y)
        self._rows = None if self.fitted else (X, y)
        yield None

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        if hasattr(self.estimator, "decision_function"):
            return self.estimator.decision_function(X)
        return self.estimator.predict_proba(X)

    def weights(self) -> dict[str, Tensor]:
        weights = super().weights()
        if self.fitted:
            arrays = {name: np.asarray(getattr(self.estimator, name)) for name in self.fitted}
        else:
            arrays = {"rows": self._rows[0].astype(np.float16), "labels": self._rows[1]}
        return weights | {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        super().load_weights(weights)
        if not self.fitted:
            self._rows = weights["rows"].float().numpy(), weights["labels"].numpy()
            self.estimator.fit(*self._rows)
        for name in self.fitted:
            setattr(self.estimator, name, weights[name].numpy())
        self.estimator.n_features_in_ = int(
            weights[self.fitted[0] if self.fitted else "rows"].shape[-1]
        )

    def memory_bytes(self, rows: int, features: int, classes: int) -> int:
        return 8 * self.copies * rows * features
