"""Projections of codes: scaling, PCA, LDA."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from probes.codes.projection import ProjectionConfig, fit_projection


def test_a_projection_is_what_scikit_learn_s_steps_do_one_after_the_other(blobs):
    codes, labels = blobs
    projection = fit_projection(ProjectionConfig(True, 6, 3, 0.1), codes, labels)
    scaled = ((codes - codes.mean(0)) / codes.std(0)).astype(np.float32)
    reduced = PCA(6, svd_solver="covariance_eigh").fit_transform(scaled)
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1, n_components=3)
    wanted = lda.fit(reduced, labels).transform(reduced)
    given = projection(codes)
    assert np.abs(given) == pytest.approx(np.abs(wanted), rel=1e-3, abs=1e-3)


def test_no_step_changes_nothing_and_too_many_components_are_as_many_as_there_are(blobs):
    codes, labels = blobs
    assert fit_projection(ProjectionConfig(), codes, labels)(codes) == pytest.approx(
        codes, abs=1e-5
    )
    assert fit_projection(ProjectionConfig(pca=99, lda=99), codes, labels).matrix.shape == (10, 10)
