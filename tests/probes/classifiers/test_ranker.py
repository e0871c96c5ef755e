"""Boosting that ranks candidate classes."""

import numpy as np

from probes.classifiers.ranker import CandidateRanker


def test_the_ranker_answers_with_a_candidate_and_scores_every_class(blobs):
    codes, labels = blobs
    groups = np.tile(np.arange(20), 12)
    ranker = CandidateRanker(stages=2, iterations_per_stage=5, candidates=3, lda=5, folds=4)
    ranker.fit(codes, labels + 100, groups)
    scores = ranker.decision_function(codes)
    assert scores.shape == (240, 12) and np.isfinite(scores).all()
    proposed = ranker._propose(codes, ranker._reference).classes
    assert (proposed == scores.argmax(1)[:, None]).any(1).all()
    assert set(ranker.predict(codes)) <= set(range(100, 112))


def test_drawings_of_a_drawer_are_held_out_together(blobs):
    codes, labels = blobs
    groups = np.tile(np.arange(20), 12)
    ranker = CandidateRanker(folds=4, queries=200)
    for known, held in ranker._held_out(codes, groups):
        assert not set(groups[known]) & set(groups[held]) and held.max() < 200


def test_boosting_on_candidates_does_not_grow_with_the_number_of_classes(blobs):
    """The pool has a row per candidate, whatever the number of classes."""
    codes, labels = blobs
    groups = np.tile(np.arange(20), 12)
    ranker = CandidateRanker(candidates=4, lda=5, folds=4)
    ranker.classes_ = np.arange(12)
    pool = ranker._pool(codes, labels, groups)
    assert pool.num_row() <= 4 * len(codes)
