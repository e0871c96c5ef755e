"""Forests: their trees are scikit-learn's, and small."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from probes.classifiers.forests import SparseTree, StagedForest


@pytest.mark.parametrize("leaf", [1, 5])
def test_a_sparse_tree_is_scikit_learn_s(blobs, leaf):
    codes, labels = blobs
    tree = DecisionTreeClassifier(min_samples_leaf=leaf, random_state=0).fit(codes, labels)
    sparse = SparseTree.of(tree.tree_)
    assert sparse.probabilities(codes, 12) == pytest.approx(tree.predict_proba(codes), abs=1e-6)
    assert np.array_equal(sparse.leaves(codes), tree.apply(codes))


def test_a_tree_that_is_one_leaf_answers_for_all(blobs):
    codes, _ = blobs
    tree = DecisionTreeClassifier().fit(codes, np.zeros(len(codes), int))
    assert SparseTree.of(tree.tree_).probabilities(codes, 1) == pytest.approx(1.0)


def test_more_trees_are_the_same_trees_and_more(blobs):
    codes, labels = blobs
    few, many = (StagedForest(n, 2, seed=3).fit(codes, labels) for n in (1, 3))
    assert len(few._trees) == 2 and len(many._trees) == 6
    assert np.array_equal(few._trees[1].threshold, many._trees[1].threshold)
    assert not np.array_equal(many._trees[0].threshold, many._trees[1].threshold)


def test_forests_of_many_classes_and_views_are_what_does_not_fit():
    """964 characters, 14 drawings: one view fits a laptop, twenty do not."""
    forest = StagedForest()
    assert forest.memory_bytes(13_496, 64, 964) < 0.5 * 2**30
    assert forest.memory_bytes(20 * 13_496, 64, 964) > 4 * 2**30
