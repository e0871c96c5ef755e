"""The fit of a probe as a run that yields a record per stage.

run = ProbeRun(parameters, seed=0, data=coded, scale=scale)
for record in run.epochs():
    print(record["epoch"], record["validation_accuracy"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from probes.classifiers.forests import StagedForest
from probes.classifiers.limits import GIGABYTE, ProbeTooLarge
from probes.classifiers.perceptron import Perceptron, PerceptronConfig
from probes.classifiers.ranker import CandidateRanker
from probes.classifiers.staged import AtOnce, StagedClassifier
from probes.codes.encoding import CodedData
from probes.codes.projection import Projection, ProjectionConfig, fit_projection

TRAIN_ROWS = 1000  # training drawings on which the training accuracy is measured
METRICS = ("train_loss", "train_accuracy", "validation_accuracy")


@dataclass(frozen=True)
class Scale:
    """How much each probe computes in a stage, and how many stages a whole fit has."""

    stages: int
    trees: int  # that a stage adds to a forest
    iterations: int  # of boosting, in a stage
    logistic_iterations: int  # of the whole fit: a stopped L-BFGS cannot be continued
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class Task:
    """What a fit depends on in addition to the parameters."""

    scale: Scale
    seed: int
    drawings: int  # number of rows without augmentation, which come first; the others are views


def _nearest_mean(p: Mapping[str, Any], task: Task) -> StagedClassifier:
    return AtOnce(
        NearestCentroid(), ("centroids_", "classes_", "class_prior_", "within_class_std_dev_")
    )


def kernel(distances: np.ndarray, temperature: float) -> np.ndarray:
    """Weights of neighbours at cosine distances: exp(-distance / temperature)."""
    nearest = distances.min(axis=-1, keepdims=True)
    return np.exp((nearest - distances) / temperature)


def _knn(p: Mapping[str, Any], task: Task) -> StagedClassifier:
    neighbours = KNeighborsClassifier(
        p["neighbours"], metric="cosine", weights=partial(kernel, temperature=p["temperature"])
    )
    return AtOnce(neighbours)


def _lda(p: Mapping[str, Any], task: Task) -> StagedClassifier:
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=p["lda_shrinkage"])
    return AtOnce(lda, ("coef_", "intercept_", "classes_"), copies=3)


def _logistic(p: Mapping[str, Any], task: Task) -> StagedClassifier:
    logistic = LogisticRegression(C=p["inverse_l2"], max_iter=task.scale.logistic_iterations)
    return AtOnce(logistic, ("coef_", "intercept_", "classes_"), copies=3)


def _mlp(p: Mapping[str, Any], task: Task) -> StagedClassifier:
    names = {each.name for each in fields(PerceptronConfig)}
    config = PerceptronConfig(**{name: value for name, value in p.items() if name in names})
    return Perceptron(
        config, task.scale.stages, task.drawings, seed=task.seed, device=task.scale.device
    )


def _forest(bootstrap: bool, p: Mapping[str, Any], task: Task) -> StagedClassifier:
    return StagedForest(
        task.scale.stages,
        1 if bootstrap else task.scale.trees,  # a random forest's tree takes three times as long
        bootstrap,
        p["max_features"],
        p["min_samples_leaf"],
        task.seed,
    )


def _catboost(p: Mapping[str, Any], task: Task) -> StagedClassifier:
    return CandidateRanker(
        stages=task.scale.stages,
        iterations_per_stage=task.scale.iterations,
        candidates=p["candidates"],
        depth=p["tree_depth"],
        learning_rate=p["boosting_rate"],
        l2_leaf_reg=p["l2_leaf_reg"],
        lda=p["ranker_lda"],
        shrinkage=p["lda_shrinkage"],
        queries=task.drawings,
        threads=task.scale.threads,
        seed=task.seed,
    )


PROBES: Mapping[str, Callable[[Mapping[str, Any], Task], StagedClassifier]] = MappingProxyType(
    {
        "nearest-mean": _nearest_mean,
        "knn": _knn,
        "lda": _lda,
        "logistic": _logistic,
        "mlp": _mlp,
        "random-forest": partial(_forest, True),
        "extra-trees": partial(_forest, False),
        "catboost": _catboost,
    }
)
"""Name -> function that makes the classifier from the parameters of a trial."""

AT_ONCE = frozenset({"nearest-mean", "knn", "lda", "logistic"})
"""Probes without stages. Their only record counts as the full budget."""


class ProbeRun:
    """The fit of a probe, stage by stage, with the interface of `TrainingRun`."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        seed: int,
        data: CodedData,
        scale: Scale,
        memory_bytes: float = float("inf"),
    ):
        self.parameters, self.seed, self.data, self.scale = parameters, seed, data, scale
        self._memory_bytes = memory_bytes
        self._state: dict | None = None

    def epochs(self) -> Iterator[dict[str, float]]:
        """Fit the probe; yield a record after each stage.

        Raises ProbeTooLarge, before the fit, if it needs more than `memory_bytes`."""
        data, size, views = self.data, self.parameters["latent_size"], self.parameters["views"]
        train = data.train.numpy()
        rows = data.rows(train, views)
        self._check_memory(len(rows), size)
        codes = np.asarray(data.codes[size][rows], np.float32)
        labels = np.tile(data.labels.numpy()[train], views)
        groups = None if data.drawers is None else np.tile(data.drawers.numpy()[train], views)
        self.projection = fit_projection(projection_config(self.parameters), codes, labels)
        codes = self.projection(codes)
        self.probe = make_probe(self.parameters, self.scale, self.seed, len(train))
        if self._state:
            self.probe.load_state_dict(self._state)
        for loss in self.probe.fit_stages(codes, labels, groups):
            yield self._record(loss, codes[: len(train)], labels[: len(train)])

    def _record(self, loss: float | None, codes: np.ndarray, labels: np.ndarray) -> dict:
        """`train_loss` is the fraction of mistakes if the probe minimises no loss."""
        sample = np.linspace(0, len(codes) - 1, min(TRAIN_ROWS, len(codes))).astype(int)
        accuracy = float((self.probe.predict(codes[sample]) == labels[sample]).mean())
        validation = self.data.validation.numpy()
        predicted = predict(self.probe, self.projection, self.data, self._size, validation)
        known = self.data.labels.numpy()[validation]
        once = self.parameters["probe"] in AT_ONCE
        return {
            "epoch": self.scale.stages if once else self.probe.stage_,
            "train_loss": 1 - accuracy if loss is None else loss,
            "train_accuracy": accuracy,
            "validation_accuracy": float((predicted == known).mean()),
        }

    @property
    def _size(self) -> int:
        return self.parameters["latent_size"]

    def _check_memory(self, rows: int, features: int) -> None:
        probe = make_probe(self.parameters, self.scale, self.seed, len(self.data.train))
        projected = projected_size(self.parameters)
        classes = int(self.data.labels.max()) + 1
        need = 16 * rows * features + probe.memory_bytes(rows, projected, classes)
        if need > self._memory_bytes:
            raise ProbeTooLarge(
                f"{self.parameters['probe']} on {rows:,} rows of {projected} features and "
                f"{classes} classes needs about {need / GIGABYTE:.1f} GB of memory, and a trial "
                f"may use {self._memory_bytes / GIGABYTE:.1f}: fewer views or larger leaves, or "
                "another --memory-per-trial-gb"
            )

    def state_dict(self) -> dict:
        return self.probe.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self._state = state

    def weights(self) -> dict:
        return self.probe.weights() | self.projection.weights()


def projection_config(parameters: Mapping[str, Any]) -> ProjectionConfig:
    return ProjectionConfig(
        parameters["scaling"], parameters["pca"], parameters["lda"], parameters["shrinkage"]
    )


def projected_size(parameters: Mapping[str, Any]) -> int:
    """The largest possible number of features after the projection."""
    sizes = (parameters["latent_size"], parameters["pca"], parameters["lda"])
    return min(size for size in sizes if size)


def make_probe(
    parameters: Mapping[str, Any], scale: Scale, seed: int, drawings: int
) -> StagedClassifier:
    return PROBES[parameters["probe"]](parameters, Task(scale, seed, drawings))


def restore_probe(
    weights: Mapping[str, Any], parameters: Mapping[str, Any], scale: Scale
) -> tuple[StagedClassifier, Projection]:
    """A fitted probe and its projection, from the result of `ProbeRun.weights`."""
    probe = make_probe(parameters, scale, 0, 1)
    probe.load_weights(dict(weights))
    return probe, Projection.from_weights(dict(weights))


def predict(
    probe: StagedClassifier, projection: Projection, data: CodedData, size: int, indices: np.ndarray
) -> np.ndarray:
    """Labels (n,) that a fitted probe predicts for the images at indices (n,), without views."""
    return probe.predict(projection(data.codes[size][indices]))
