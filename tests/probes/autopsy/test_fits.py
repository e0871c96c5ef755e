"""The classifiers of the autopsy and their time limits."""

import pytest

from probes.autopsy.fits import FITS, fit_perceptron
from probes.autopsy.plan import Setting


@pytest.mark.parametrize("probe", FITS)
def test_every_classifier_is_fitted_and_better_than_guessing(codes, probe):
    fit = FITS[probe](codes, 0, 1.5, Setting())
    assert fit.held.shape == codes.held_labels.shape and len(fit.train) == codes.drawings
    assert (fit.held == codes.held_labels).mean() > 2 / 12


def test_boosting_ends_when_its_time_does(codes):
    fit = FITS["catboost"](codes, 0, 0.05, Setting())
    assert int(fit.note.split()[0]) < 1000 and "in 0.05 s" in fit.note


def test_the_perceptron_shows_training_and_held_out_predictions(codes):
    fit = fit_perceptron(codes, 0, 0.0, "coupled", True)
    assert (fit.train == codes.labels[: codes.drawings]).mean() > 0.9
