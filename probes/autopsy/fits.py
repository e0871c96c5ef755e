"""The classifiers that the autopsy compares, each fitted within a time, and boosting put in several
other words."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from catboost import CatBoostClassifier, Pool
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OutputCodeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

from probes.classifiers.forests import StagedForest
from probes.classifiers.neighbours import unit_rows
from probes.classifiers.perceptron import Perceptron, PerceptronConfig
from probes.classifiers.ranker import CandidateRanker
from probes.codes.projection import ProjectionConfig, fit_projection

FOREST_TREES = {"extra-trees": 100, "random-forest": 30}
MOST_ITERATIONS = 1000  # of boosting; time ends it
RATE = 0.3
OUTPUT_CODES = 64
PERCEPTRON_EPOCHS = 30
GRACE = 3  # times its seconds that a fit has in which nothing else can end it


@dataclass(frozen=True)
class Codes:
    """Codes to fit on and held-out codes to measure on; the first `drawings` rows of `train` are
    drawings, the others views of them."""

    train: np.ndarray  # float32 (N, D)
    labels: np.ndarray  # (N,)
    held: np.ndarray  # float32 (M, D)
    held_labels: np.ndarray  # (M,)
    drawers: np.ndarray | None  # (N,)
    alphabets: tuple[str, ...]  # of each class of the set
    drawings: int


@dataclass(frozen=True)
class Fit:
    """Predicted labels of the held-out codes and of the training drawings."""

    held: np.ndarray
    train: np.ndarray
    note: str = ""


class _Trees(Protocol):
    """What a fit takes of `probes.autopsy.Setting`."""

    min_samples_leaf: int
    max_features: float | str
    depth: int
    leaf_estimation: str


class _TimeLimit:
    """A CatBoost callback that ends training after so many seconds."""

    def __init__(self, seconds: float):
        self._end, self.iterations = time.monotonic() + seconds, 0

    def after_iteration(self, info) -> bool:
        self.iterations = info.iteration
        return time.monotonic() < self._end


def _both(classifier, codes: Codes, note: str = "") -> Fit:
    return Fit(
        np.ravel(classifier.predict(codes.held)),
        np.ravel(classifier.predict(codes.train[: codes.drawings])),
        note,
    )


def _nearest(codes: Codes, seed: int, seconds: float, trees: _Trees) -> Fit:
    """By cosine. A training drawing's neighbour is another drawing."""
    known = unit_rows(codes.train)
    held = codes.labels[(unit_rows(codes.held) @ known.T).argmax(1)]
    own = known[: codes.drawings] @ known.T
    own[np.arange(codes.drawings), np.arange(codes.drawings)] = -2
    return Fit(held, codes.labels[own.argmax(1)])


def _lda(codes: Codes, seed: int, seconds: float, trees: _Trees) -> Fit:
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05)
    return _both(lda.fit(codes.train, codes.labels), codes)


def _logistic(codes: Codes, seed: int, seconds: float, trees: _Trees) -> Fit:
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=60))
    return _both(logistic.fit(codes.train, codes.labels), codes)


def _forest(codes: Codes, seed: int, seconds: float, trees: _Trees, kind: str) -> Fit:
    features = trees.max_features
    share = codes.train.shape[1] ** -0.5 if features == "sqrt" else float(features)
    forest = StagedForest(
        FOREST_TREES[kind], 1, kind == "random-forest", share, trees.min_samples_leaf, seed
    )
    end = time.monotonic() + seconds  # grown in the order of trees: fewer is a smaller forest
    for _ in forest.fit_stages(codes.train, codes.labels):
        if time.monotonic() > end:
            break
    short = forest.stage_ < forest.stages
    return _both(forest, codes, f"{forest.stage_} trees in {seconds:g} s" if short else "")


def _catboost(
    codes: Codes, seed: int, seconds: float, depth: int = 6, leaf_estimation: str = "Newton"
) -> Fit:
    """On all classes at once, until the time ends."""
    names, places = np.unique(codes.labels, return_inverse=True)
    limit = _TimeLimit(seconds)
    model = _multiclass(seed, depth, leaf_estimation)
    model.fit(codes.train, places, callbacks=[limit])
    note = f"{limit.iterations} iterations in {seconds:g} s"
    return Fit(
        names[np.ravel(model.predict(codes.held)).astype(int)],
        names[np.ravel(model.predict(codes.train[: codes.drawings])).astype(int)],
        note,
    )


def _multiclass(seed: int, depth: int, leaf_estimation: str, **more) -> CatBoostClassifier:
    return CatBoostClassifier(
        loss_function=more.pop("loss_function", "MultiClass"),
        iterations=more.pop("iterations", MOST_ITERATIONS),
        depth=depth,
        learning_rate=RATE,
        leaf_estimation_method=leaf_estimation,
        leaf_estimation_iterations=1,
        thread_count=1,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
        **more,
    )


def _boosted(codes: Codes, seed: int, seconds: float, trees: _Trees) -> Fit:
    return _catboost(codes, seed, seconds, trees.depth, trees.leaf_estimation)


FITS: Mapping[str, Callable[[Codes, int, float, Any], Fit]] = MappingProxyType(
    {
        "extra-trees": lambda *given: _forest(*given, "extra-trees"),
        "random-forest": lambda *given: _forest(*given, "random-forest"),
        "catboost": _boosted,
        "lda": _lda,
        "logistic": _logistic,
        "1-nn": _nearest,
    }
)
"""Name -> fit(codes, seed, seconds, setting)."""


# Boosting in other words: fit(codes, seed, seconds)


def _after_lda(codes: Codes) -> Codes:
    projection = fit_projection(ProjectionConfig(lda=48), codes.train, codes.labels)
    return replace(codes, train=projection(codes.train), held=projection(codes.held))


def _all_after_lda(codes: Codes, seed: int, seconds: float) -> Fit:
    return _catboost(_after_lda(codes), seed, seconds)


def _embedded(codes: Codes, seed: int, seconds: float) -> Fit:
    """CatBoost's own features of an embedding: of its nearest neighbours and of its LDA.

    With many classes they take minutes to make, before the first iteration and where no callback
    ends them: a process of its own can be ended, and what it has then is a model of no iteration,
    which says the most frequent class."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_embedded, args=(sender, codes, seed, seconds))
    child.start()
    sender.close()
    try:
        receiver.recv()  # it has started: its imports are not the fit's time
        if receiver.poll(GRACE * seconds):
            return receiver.recv()
    finally:
        child.kill()
        child.join()
    frequent = np.bincount(codes.labels).argmax()
    parts = (codes.held_labels, codes.labels[: codes.drawings])
    held, own = (np.full_like(part, frequent) for part in parts)
    return Fit(held, own, f"0 iterations in {seconds:g} s")


def _send_embedded(sender: Connection, codes: Codes, seed: int, seconds: float) -> None:
    torch.set_num_threads(1)
    sender.send("started")
    sender.send(_fit_embedded(codes, seed, seconds))


def _fit_embedded(codes: Codes, seed: int, seconds: float) -> Fit:
    names, places = np.unique(codes.labels, return_inverse=True)
    pools = [
        Pool(
            [[row] for row in some],
            label=labels,
            embedding_features=[0],
        )
        for some, labels in ((codes.train, places), (codes.held, None))
    ]
    limit = _TimeLimit(seconds)
    model = _multiclass(seed, 6, "Newton", iterations=MOST_ITERATIONS)
    model.fit(pools[0], callbacks=[limit])
    held, own = (np.ravel(model.predict(pool)).astype(int) for pool in reversed(pools))
    return Fit(names[held], names[own], f"{limit.iterations} iterations in {seconds:g} s")


def _output_codes(codes: Codes, seed: int, seconds: float) -> Fit:
    """Each class a word of bits, each bit a boosted two-class problem (Dietterich and Bakiri 1995,
    arXiv:cs/9501101); the time is shared among the bits."""
    projected = _after_lda(codes)
    classes = len(np.unique(codes.labels))
    share = min(1.0, OUTPUT_CODES / classes)
    iterations = _iterations_within(projected, seed, seconds / max(1, int(classes * share)))
    bits = _multiclass(seed, 6, "Newton", loss_function="Logloss", iterations=iterations)
    machine = OutputCodeClassifier(bits, code_size=share, random_state=seed)
    machine.fit(projected.train, projected.labels)
    return _both(machine, projected, f"{int(classes * share)} bits of {iterations} iterations")


def _iterations_within(codes: Codes, seed: int, seconds: float) -> int:
    """About how many iterations of a two-class problem take so many seconds."""
    trial, begin = 5, time.monotonic()
    bit = codes.labels % 2
    model = _multiclass(seed, 6, "Newton", loss_function="Logloss", iterations=trial)
    model.fit(codes.train, bit if len(np.unique(bit)) > 1 else np.arange(len(bit)) % 2)
    return int(np.clip(trial * seconds / (time.monotonic() - begin), 1, MOST_ITERATIONS))


def _alphabet_first(codes: Codes, seed: int, seconds: float) -> Fit:
    """One boosted classifier of alphabets, and one of the characters of each; half of the time
    each. Predicted by the product of both probabilities."""
    projected = _after_lda(codes)
    kinds = np.array(codes.alphabets)
    of = kinds[codes.labels]
    encoder = LabelEncoder().fit(of)
    begin = time.monotonic()
    first = _multiclass(seed, 6, "Newton")
    first.fit(projected.train, encoder.transform(of), callbacks=[_TimeLimit(seconds / 2)])
    names = np.unique(codes.labels)
    parts = (projected.held, projected.train[: codes.drawings])
    scores = [np.zeros((len(part), len(names))) for part in parts]
    chances = [first.predict_proba(part) for part in parts]
    for number, kind in enumerate(encoder.classes_):
        left = seconds - (time.monotonic() - begin)
        rows = of == kind
        within, places = np.unique(codes.labels[rows], return_inverse=True)
        where = np.searchsorted(names, within)
        if len(within) > 1:
            second = _multiclass(seed, 6, "Newton", loss_function="MultiClass")
            limit = _TimeLimit(max(0.0, left) / (len(encoder.classes_) - number))
            second.fit(projected.train[rows], places, callbacks=[limit])
        for score, part, chance in zip(scores, parts, chances, strict=True):
            inner = second.predict_proba(part) if len(within) > 1 else 1.0
            score[:, where] = chance[:, [number]] * inner
    held, own = (names[score.argmax(1)] for score in scores)
    return Fit(held, own, f"{len(encoder.classes_)} alphabets")


def _reranked(codes: Codes, seed: int, seconds: float) -> Fit:
    """`probes.ranker`: ten candidates, held out by drawer."""
    begin = time.monotonic()
    ranker = CandidateRanker(
        stages=MOST_ITERATIONS,
        iterations_per_stage=10,
        depth=4,
        learning_rate=0.1,
        queries=codes.drawings,
        seed=seed,
    )
    for _ in ranker.fit_stages(codes.train, codes.labels, codes.drawers):
        if time.monotonic() - begin > seconds:
            break
    return _both(ranker, codes, f"{10 * ranker.stage_} iterations in {seconds:g} s")


BOOSTING: Mapping[str, Callable[[Codes, int, float], Fit]] = MappingProxyType(
    {
        "all classes at once": _catboost,
        "all classes, after LDA": _all_after_lda,
        "nearest-neighbour features": _embedded,
        "output codes": _output_codes,
        "alphabet first, then character": _alphabet_first,
        "re-ranking ten candidates": _reranked,
    }
)


def fit_perceptron(codes: Codes, seed: int, l2: float, l2_kind: str, batch_norm: bool) -> Fit:
    """The report's perceptron of two blocks: Adam, no dropout."""
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
    return _both(perceptron.fit(codes.train, codes.labels), codes)
