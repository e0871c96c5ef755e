"""The classifiers that the autopsy compares, each fitted within a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from catboost import CatBoostClassifier
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.autopsy.codes import Codes
from probes.autopsy.plan import Setting
from probes.classifiers.forests import StagedForest
from probes.classifiers.neighbours import unit_rows
from probes.classifiers.perceptron import Perceptron, PerceptronConfig

FOREST_TREES = {"extra-trees": 100, "random-forest": 30}
MOST_ITERATIONS = 1000  # of boosting; the time limit ends it earlier
RATE = 0.3
PERCEPTRON_EPOCHS = 30


@dataclass(frozen=True)
class Fit:
    """Predicted labels of the held-out codes and of the training drawings."""

    held: np.ndarray
    train: np.ndarray
    note: str = ""


class TimeLimit:
    """A CatBoost callback that ends a training after `seconds`."""

    def __init__(self, seconds: float):
        self._end, self.iterations = time.monotonic() + seconds, 0

    def after_iteration(self, info: Any) -> bool:
        self.iterations = info.iteration
        return time.monotonic() < self._end


def predict_both(classifier: Any, codes: Codes, note: str = "") -> Fit:
    """The predictions of a fitted classifier."""
    return Fit(
        np.ravel(classifier.predict(codes.held)),
        np.ravel(classifier.predict(codes.train[: codes.drawings])),
        note,
    )


def _nearest(codes: Codes, seed: int, seconds: float, setting: Setting) -> Fit:
    """The nearest neighbour by cosine. A training drawing is no neighbour of itself."""
    known = unit_rows(codes.train)
    held = codes.labels[(unit_rows(codes.held) @ known.T).argmax(1)]
    own = known[: codes.drawings] @ known.T
    own[np.arange(codes.drawings), np.arange(codes.drawings)] = -2
    return Fit(held, codes.labels[own.argmax(1)])


def _lda(codes: Codes, seed: int, seconds: float, setting: Setting) -> Fit:
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05)
    return predict_both(lda.fit(codes.train, codes.labels), codes)


def _logistic(codes: Codes, seed: int, seconds: float, setting: Setting) -> Fit:
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=60))
    return predict_both(logistic.fit(codes.train, codes.labels), codes)


def _forest(kind: str, codes: Codes, seed: int, seconds: float, setting: Setting) -> Fit:
    features = setting.max_features
    share = codes.train.shape[1] ** -0.5 if features == "sqrt" else float(features)
    forest = StagedForest(
        FOREST_TREES[kind], 1, kind == "random-forest", share, setting.min_samples_leaf, seed
    )
    end = time.monotonic() + seconds
    for _ in forest.fit_stages(codes.train, codes.labels):
        if time.monotonic() > end:
            break
    short = forest.stage_ < forest.stages
    return predict_both(forest, codes, f"{forest.stage_} trees in {seconds:g} s" if short else "")


def fit_catboost(
    codes: Codes, seed: int, seconds: float, depth: int = 6, leaf_estimation: str = "Newton"
) -> Fit:
    """Boosting on all classes at once, until the time ends."""
    names, positions = np.unique(codes.labels, return_inverse=True)
    limit = TimeLimit(seconds)
    model = catboost(seed, depth, leaf_estimation)
    model.fit(codes.train, positions, callbacks=[limit])
    note = f"{limit.iterations} iterations in {seconds:g} s"
    return Fit(
        names[np.ravel(model.predict(codes.held)).astype(int)],
        names[np.ravel(model.predict(codes.train[: codes.drawings])).astype(int)],
        note,
    )


def catboost(
    seed: int,
    depth: int = 6,
    leaf_estimation: str = "Newton",
    loss: str = "MultiClass",
    iterations: int = MOST_ITERATIONS,
) -> CatBoostClassifier:
    """A CatBoost classifier, not fitted."""
    return CatBoostClassifier(
        loss_function=loss,
        iterations=iterations,
        depth=depth,
        learning_rate=RATE,
        leaf_estimation_method=leaf_estimation,
        leaf_estimation_iterations=1,
        thread_count=1,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
    )


def _boosted(codes: Codes, seed: int, seconds: float, setting: Setting) -> Fit:
    return fit_catboost(codes, seed, seconds, setting.depth, setting.leaf_estimation)


# Name -> fit(codes, seed, seconds, setting)
FITS: Mapping[str, Callable[[Codes, int, float, Setting], Fit]] = MappingProxyType(
    {
        "extra-trees": partial(_forest, "extra-trees"),
        "random-forest": partial(_forest, "random-forest"),
        "catboost": _boosted,
        "lda": _lda,
        "logistic": _logistic,
        "1-nn": _nearest,
    }
)


def fit_perceptron(
    codes: Codes, seed: int, l2: float, l2_kind: Literal["decoupled", "coupled"], batch_norm: bool
) -> Fit:
    """The seed report's perceptron: two blocks, Adam, no dropout."""
    config = PerceptronConfig(
        blocks=2,
        dropout=0.0,
        input_norm=batch_norm,
        hidden_norm=batch_norm,
        activation="relu",
        label_smoothing=0.0,
        l2=l2,
        l2_kind=l2_kind,
        learning_rate=1e-3,
        batch_size=64,
    )
    perceptron = Perceptron(config, PERCEPTRON_EPOCHS, seed=seed)
    return predict_both(perceptron.fit(codes.train, codes.labels), codes)
