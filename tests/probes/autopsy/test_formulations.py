"""Formulations of boosting and their time limits."""

import pytest

from probes.autopsy.formulations import BOOSTING


@pytest.mark.parametrize("name", BOOSTING)
def test_every_formulation_of_boosting_answers_with_known_classes(codes, name):
    fit = BOOSTING[name](codes, 0, 1.0)
    assert set(fit.held) <= set(codes.labels) and len(fit.train) == codes.drawings
    assert (fit.train == codes.labels[: codes.drawings]).mean() > 2 / 12


def test_features_that_take_too_long_to_make_are_given_up(codes):
    fit = BOOSTING["nearest-neighbour features"](codes, 0, 1e-6)
    assert len(set(fit.held)) == 1 and set(fit.held) <= set(codes.labels)
    assert len(fit.train) == codes.drawings and fit.note.startswith("0 iterations in")
