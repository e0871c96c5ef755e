"""Boosting for many classes: it ranks a few candidate classes for each drawing.

With boosting on all classes at once, each of 964 classes gets a gradient of about 1/964, and each
iteration computes 964 sets of leaf values. Here a nearest-neighbour rule proposes a few classes for
a drawing, and CatBoost ranks them by features of the code relative to each candidate. The model has
one output, whatever the number of classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from catboost import CatBoostRanker, Pool
from sklearn.model_selection import GroupKFold
from torch import Tensor

from probes.classifiers.neighbours import ClassMembers, nearest_members, unit_rows
from probes.classifiers.staged import StagedClassifier, digest
from probes.codes.projection import Projection, ProjectionConfig, fit_projection

NEIGHBOURS = 3  # nearest members of each class; their cosines are features of a candidate


class Reference(NamedTuple):
    """Labelled codes to compare queries with: without a projection, and after LDA."""

    plain: ClassMembers
    projected: ClassMembers
    projection: Projection


class Candidates(NamedTuple):
    """The proposed classes of N queries, the most likely first, and their features."""

    classes: np.ndarray  # (N, K)
    features: np.ndarray  # float32 (N, K, F)
    scores: np.ndarray  # float32 (N, C): of all classes; the candidates have the largest


class CandidateRanker(StagedClassifier):
    """CatBoost ranks the `candidates` nearest classes of each drawing (loss QuerySoftMax).

    It is fitted on held-out drawings: each of `folds` folds holds out the drawings of some groups
    (drawers), fits an LDA on all other drawings, and compares the held-out drawings with those. So
    CatBoost learns from features like those of new drawings. A stage is `iterations_per_stage`
    iterations."""

    def __init__(
        self,
        stages: int = 10,
        iterations_per_stage: int = 20,
        candidates: int = 10,
        depth: int = 6,
        learning_rate: float = 0.1,
        l2_leaf_reg: float = 3.0,
        lda: int = 48,
        shrinkage: float = 0.05,
        folds: int = 7,
        queries: int | None = None,
        threads: int = 1,
        seed: int = 0,
    ):
        self.stages = stages
        self.iterations_per_stage = iterations_per_stage
        self.candidates = candidates
        self.depth = depth
        self.learning_rate = learning_rate
        self.l2_leaf_reg = l2_leaf_reg
        self.lda = lda
        self.shrinkage = shrinkage
        self.folds = folds
        self.queries = queries  # the first rows are drawings, the others are views of them
        self.threads = threads
        self.seed = seed

    def _stages(self, X: np.ndarray, y: np.ndarray, groups) -> Iterator[float]:
        pool = self._pool(X, y, groups)
        self._refer_to(X, y)
        model: CatBoostRanker | None = self._model if self.stage_ else None
        while self.stage_ < self.stages:
            booster = CatBoostRanker(
                loss_function="QuerySoftMax",
                iterations=self.iterations_per_stage,
                depth=self.depth,
                learning_rate=self.learning_rate,
                l2_leaf_reg=self.l2_leaf_reg,
                thread_count=self.threads,
                random_seed=self.seed,
                verbose=False,
                allow_writing_files=False,
            )
            booster.fit(pool, init_model=model)
            # It is saved and loaded, because a model that stays in memory continues differently.
            self._model: CatBoostRanker = _stored(_bytes(booster))
            model = self._model
            yield -float(booster.get_best_score()["learn"]["QuerySoftMax"])

    def _pool(self, X: np.ndarray, y: np.ndarray, groups) -> Pool:
        """Held-out drawings with their candidates, without drawings whose class is no candidate."""
        parts, is_right = [], []
        for known, held in self._held_out(X, groups):
            classes, places = np.unique(y[known], return_inverse=True)
            reference = self._refer(X[known], places, len(classes))
            proposed = self._propose(X[held], reference)
            right = classes[proposed.classes] == y[held][:, None]
            parts.append(proposed.features[right.any(1)])
            is_right.append(right[right.any(1)])
        features = np.concatenate(parts)
        queries, candidates, width = features.shape
        pool = Pool(
            features.reshape(-1, width),
            label=np.concatenate(is_right).reshape(-1).astype(np.float32),
            group_id=np.repeat(np.arange(queries), candidates),
            thread_count=self.threads,
        )
        pool.quantize()
        return pool

    def _held_out(self, X: np.ndarray, groups) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each fold, the indices of known rows and of queries. Without groups, each drawing is
        a group with its views."""
        queries = self.queries or len(X)
        groups = np.arange(len(X)) % queries if groups is None else np.asarray(groups)
        folds = GroupKFold(min(self.folds, len(np.unique(groups))))
        for known, held in folds.split(X, groups=groups):
            yield known, held[held < queries]

    def _refer_to(self, X: np.ndarray, y: np.ndarray) -> None:
        """Compare with these rows from now on."""
        self._rows = X, y
        self._reference = self._refer(X, y, len(self.classes_))
        self._proposed: dict[bytes, Candidates] = {}  # for the codes that were scored last

    def _refer(self, X: np.ndarray, y: np.ndarray, classes: int) -> Reference:
        config = ProjectionConfig(lda=self.lda, shrinkage=self.shrinkage)
        projection = fit_projection(config, X, y)
        return Reference(
            ClassMembers.of(X, y, classes),
            ClassMembers.of(projection(X), y, classes),
            projection,
        )

    def _propose(self, X: np.ndarray, reference: Reference) -> Candidates:
        projected = reference.projection(X)
        near = [
            nearest_members(X, reference.plain, NEIGHBOURS),
            nearest_members(projected, reference.projected, NEIGHBOURS),
        ]
        means = [
            unit_rows(X) @ reference.plain.means.T,
            unit_rows(projected) @ reference.projected.means.T,
        ]
        scores = near[0].mean(2) + near[1].mean(2) + means[1]
        classes = np.argsort(-scores, axis=1, kind="stable")[:, : self.candidates]
        each = np.arange(len(X))[:, None]
        similar = np.concatenate(
            [
                *(cosines[each, classes] for cosines in near),
                *(m[each, classes][..., None] for m in means),
            ],
            axis=2,
        )
        total = scores[each, classes][..., None]
        differences = np.abs(unit_rows(projected)[:, None] - reference.projected.means[classes])
        parts = [
            similar,
            similar - similar.max(1, keepdims=True),
            total - total[:, :1],
            differences,
        ]
        return Candidates(classes, np.concatenate(parts, 2).astype(np.float32), scores)

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Scores (N, C): CatBoost's for the candidates, and lower ones for the other classes."""
        key = digest(X)
        if key not in self._proposed:
            recent = dict(list(self._proposed.items())[-3:])
            self._proposed = {**recent, key: self._propose(X, self._reference)}
        proposed = self._proposed[key]
        n, candidates, width = proposed.features.shape
        ranked = self._model.predict(
            proposed.features.reshape(-1, width), thread_count=self.threads
        ).reshape(n, candidates)
        scores = (proposed.scores - proposed.scores.max() - 1).astype(np.float64)
        ranked = ranked - ranked.min() + 1
        np.put_along_axis(scores, proposed.classes, ranked, axis=1)
        return scores

    def weights(self) -> dict[str, Tensor]:
        model = np.frombuffer(_bytes(self._model), np.uint8)
        return super().weights() | {
            "rows": torch.from_numpy(np.asarray(self._rows[0], np.float32)),
            "labels": torch.from_numpy(self._rows[1]),
            "model": torch.from_numpy(model.copy()),
        }

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        super().load_weights(weights)
        self._refer_to(weights["rows"].numpy(), weights["labels"].numpy())
        self._model = _stored(weights["model"].numpy().tobytes())

    def memory_bytes(self, rows: int, features: int, classes: int) -> int:
        """The memory of two copies of the codes, the scores of all classes, and the features."""
        queries = self.queries or rows
        pairs = 8 * queries * self.candidates * (self.lda + 4 * NEIGHBOURS + 8)
        return (
            16 * rows * features
            + 4 * queries * classes * (2 * NEIGHBOURS + 3) // self.folds
            + pairs
        )


def _bytes(model: CatBoostRanker) -> bytes:
    return model._serialize_model()


def _stored(content: bytes) -> CatBoostRanker:
    return CatBoostRanker().load_model(blob=content)
