"""Formulations of boosting for many classes, each fitted within a time limit."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from types import MappingProxyType

import numpy as np
import torch
from catboost import Pool
from sklearn.multiclass import OutputCodeClassifier
from sklearn.preprocessing import LabelEncoder

from probes.autopsy.codes import LDA_COMPONENTS, Codes, project
from probes.autopsy.fits import (
    MOST_ITERATIONS,
    Fit,
    TimeLimit,
    catboost,
    fit_catboost,
    predict_both,
)
from probes.classifiers.ranker import CandidateRanker
from probes.codes.projection import ProjectionConfig

OUTPUT_CODES = 64
GRACE = 3  # `_embedded` is stopped after this many times its time limit


def _after_lda(codes: Codes) -> Codes:
    return project(codes, ProjectionConfig(lda=LDA_COMPONENTS))


def _all_after_lda(codes: Codes, seed: int, seconds: float) -> Fit:
    return fit_catboost(_after_lda(codes), seed, seconds)


def _embedded(codes: Codes, seed: int, seconds: float) -> Fit:
    """CatBoost's own features of an embedding: its nearest neighbours and its LDA.

    With many classes CatBoost computes them for minutes before the first iteration, and no callback
    can end that. So the fit has its own process, which can be ended. If it is ended, the prediction
    is the most frequent class, which a model without iterations predicts too."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send_embedded, args=(sender, codes, seed, seconds))
    child.start()
    sender.close()
    try:
        receiver.recv()  # after the imports, whose time does not count
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
    names, positions = np.unique(codes.labels, return_inverse=True)
    pools = [
        Pool([[row] for row in rows], label=labels, embedding_features=[0])
        for rows, labels in ((codes.train, positions), (codes.held, None))
    ]
    limit = TimeLimit(seconds)
    model = catboost(seed)
    model.fit(pools[0], callbacks=[limit])
    held, own = (np.ravel(model.predict(pool)).astype(int) for pool in reversed(pools))
    return Fit(names[held], names[own], f"{limit.iterations} iterations in {seconds:g} s")


def _output_codes(codes: Codes, seed: int, seconds: float) -> Fit:
    """Error-correcting output codes: each class is a word of bits, and each bit is a boosted
    two-class problem (Dietterich and Bakiri 1995, arXiv:cs/9501101). The bits share the
    time."""
    projected = _after_lda(codes)
    classes = len(np.unique(codes.labels))
    share = min(1.0, OUTPUT_CODES / classes)
    iterations = _iterations_within(projected, seed, seconds / max(1, int(classes * share)))
    bits = catboost(seed, loss="Logloss", iterations=iterations)
    machine = OutputCodeClassifier(bits, code_size=share, random_state=seed)
    machine.fit(projected.train, projected.labels)
    return predict_both(
        machine, projected, f"{int(classes * share)} bits of {iterations} iterations"
    )


def _iterations_within(codes: Codes, seed: int, seconds: float) -> int:
    """About how many iterations of a two-class problem fit into `seconds`."""
    trial, begin = 5, time.monotonic()
    bit = codes.labels % 2
    model = catboost(seed, loss="Logloss", iterations=trial)
    model.fit(codes.train, bit if len(np.unique(bit)) > 1 else np.arange(len(bit)) % 2)
    return int(np.clip(trial * seconds / (time.monotonic() - begin), 1, MOST_ITERATIONS))


def _alphabet_first(codes: Codes, seed: int, seconds: float) -> Fit:
    """A boosted classifier predicts the alphabet, with half of the time. For each alphabet, another
    predicts the character; these share the rest. The prediction is the character with the largest
    product of both probabilities."""
    projected = _after_lda(codes)
    alphabets = np.array(codes.alphabets)[codes.labels]
    encoder = LabelEncoder().fit(alphabets)
    begin = time.monotonic()
    first = catboost(seed)
    first.fit(projected.train, encoder.transform(alphabets), callbacks=[TimeLimit(seconds / 2)])
    names = np.unique(codes.labels)
    parts = (projected.held, projected.train[: codes.drawings])
    scores = [np.zeros((len(part), len(names))) for part in parts]
    chances = [first.predict_proba(part) for part in parts]
    for number, alphabet in enumerate(encoder.classes_):
        left = seconds - (time.monotonic() - begin)
        rows = alphabets == alphabet
        within, positions = np.unique(codes.labels[rows], return_inverse=True)
        columns = np.searchsorted(names, within)
        if len(within) > 1:
            second = catboost(seed)
            limit = TimeLimit(max(0.0, left) / (len(encoder.classes_) - number))
            second.fit(projected.train[rows], positions, callbacks=[limit])
        for score, part, chance in zip(scores, parts, chances, strict=True):
            inner = second.predict_proba(part) if len(within) > 1 else 1.0
            score[:, columns] = chance[:, [number]] * inner
    held, own = (names[score.argmax(1)] for score in scores)
    return Fit(held, own, f"{len(encoder.classes_)} alphabets")


def _reranked(codes: Codes, seed: int, seconds: float) -> Fit:
    """`CandidateRanker` with ten candidates; its folds hold out drawers."""
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
    return predict_both(ranker, codes, f"{10 * ranker.stage_} iterations in {seconds:g} s")


# Name -> fit(codes, seed, seconds)
BOOSTING: Mapping[str, Callable[[Codes, int, float], Fit]] = MappingProxyType(
    {
        "all classes at once": fit_catboost,
        "all classes, after LDA": _all_after_lda,
        "nearest-neighbour features": _embedded,
        "output codes": _output_codes,
        "alphabet first, then character": _alphabet_first,
        "re-ranking ten candidates": _reranked,
    }
)
