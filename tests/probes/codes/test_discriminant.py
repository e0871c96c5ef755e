"""LDA in closed form is scikit-learn's."""

import math

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from probes.codes.discriminant import fit_lda, lda_accuracy


def made(classes: int = 6, each: int = 7, units: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(classes).repeat_interleave(each)[:-3] * 10
    codes = torch.randn(len(labels), units, generator=draws) * torch.tensor([5.0, 1, 1, 0.1, 1])
    return codes + torch.randn(classes, units, generator=draws)[labels // 10], labels


@pytest.mark.parametrize("shrinkage", [0.0, 0.05, 1.0])
def test_the_scores_are_those_of_scikit_learn(shrinkage):
    codes, labels = made()
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)
    theirs.fit(codes.numpy(), labels.numpy())
    classes, matrix, offset = fit_lda(codes, labels, shrinkage)
    assert classes.tolist() == theirs.classes_.tolist()
    scores = (codes.double() @ matrix + offset).numpy()
    np.testing.assert_allclose(
        scores, theirs.decision_function(codes.numpy()), rtol=1e-3, atol=1e-3
    )


def test_accuracy_counts_unknown_labels_as_mistakes():
    codes, labels = made()
    known = lda_accuracy(codes, labels, codes, labels)
    assert known > 0.5
    strange = torch.full_like(labels, 7)
    assert lda_accuracy(codes, labels, torch.cat([codes, codes]), torch.cat([labels, strange])) == (
        pytest.approx(known / 2)
    )
    assert math.isnan(lda_accuracy(codes[:0], labels[:0], codes, labels))


def test_a_collapsed_code_has_an_accuracy_of_chance():
    codes, labels = torch.ones(12, 4), torch.arange(12) % 3
    assert lda_accuracy(codes, labels, codes, labels) == pytest.approx(1 / 3)
