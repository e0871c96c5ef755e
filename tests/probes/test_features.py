"""The transformer from images to codes: scikit-learn's own checks, a pipeline, a grid search."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import models
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.networks.classifier import Classifier, ClassifierConfig
from probes import CodeFeatures


def save(network, folder):
    folder.mkdir()
    torch.save(network.state_dict(), folder / "weights.pt")
    (folder / "config.json").write_text(json.dumps({"model": asdict(network.config)}))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    network = Autoencoder(AutoencoderConfig(depth=2, width=8, latent_size=32, linear_path=True))
    return save(network, tmp_path_factory.mktemp("best") / "32")


class AnySize(CodeFeatures):
    """Takes the few features that scikit-learn's checks have, and makes an image of them."""

    def _images(self, X, first):
        rows = np.tanh(super()._images(X, first).astype(float))
        return np.tile(rows, 784 // rows.shape[1] + 1)[:, :784]


def failed(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(results) > 40
    return {r["check_name"]: str(r["exception"]) for r in results if r["status"] == "failed"}


def test_the_checks_of_scikit_learn_pass_or_lack_images_of_the_right_size(folder):
    refusals = failed(CodeFeatures(str(folder)))
    assert all("images must be" in told for name, told in refusals.items() if "fit2d" not in name)
    assert not failed(AnySize(str(folder)))


def test_a_pipeline_learns_from_codes_and_codes_are_the_network_s(folder, coded):
    images, labels = coded.images.numpy(), coded.labels.numpy()
    train, test = coded.train.numpy(), coded.test.numpy()
    pipeline = make_pipeline(CodeFeatures(folder), LogisticRegression(max_iter=200))
    pipeline.fit(images[train], labels[train])
    assert pipeline.score(images[test], labels[test]) > 0.6

    codes = clone(pipeline[0]).fit_transform(images[test])
    assert codes.shape == (120, 32) and codes.dtype == np.float32
    floats = torch.from_numpy(images[test] / np.float32(255)).unsqueeze(1)
    with torch.no_grad():
        wanted = models.load(folder).encode(floats).numpy()
    np.testing.assert_allclose(codes, wanted, atol=1e-5)
    as_rows = pipeline[0].transform(images[test].reshape(120, 784))
    np.testing.assert_array_equal(codes, as_rows)
    assert list(pipeline[0].get_feature_names_out()[:2]) == ["codefeatures0", "codefeatures1"]


def test_floats_up_to_255_are_refused(folder, coded):
    images = coded.images[:3].numpy().reshape(3, -1).astype(float)
    with pytest.raises(ValueError, match="0 to 1"):
        CodeFeatures(folder).fit(images)


def test_a_classifier_has_no_codes(tmp_path, coded):
    folder = save(Classifier(ClassifierConfig(width=8, hidden=16)), tmp_path / "classifier")
    with pytest.raises(models.LoadError, match="classifier"):
        CodeFeatures(folder).fit(coded.images[:2].numpy())
