"""Codes of a trained autoencoder as features, for pipelines of scikit-learn.

make_pipeline(CodeFeatures("runs/NAME/best/128"), LogisticRegression())
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from models.trained import encode
from probes.codes.encoding import load_autoencoder


class CodeFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A scikit-learn transformer from images to the codes of a trained autoencoder.

    Images are rows of pixels (N, pixels), or pictures (N, height, width): integers from 0 to 255,
    or floats from 0 to 1. Codes are float32 (N, code size). `fit` learns nothing from the images;
    it loads the network.

    path: the folder of a trained autoencoder, such as `runs/NAME/best/128`.
    device: where the network computes, such as "cpu" or "cuda"; None: on a GPU if there is one.

    After `fit`: `network_` is the autoencoder, `n_features_in_` the number of pixels.

    Raises LoadError in `fit` if the folder holds no autoencoder, ValueError for images that the
    network does not take.
    """

    def __init__(self, path: str | Path, device: str | None = None):
        self.path = path
        self.device = device

    def fit(self, X: Any, y: Any = None) -> CodeFeatures:
        """Load the network. X: images; y is ignored."""
        images = self._images(X, first=True)
        network, _ = load_autoencoder(Path(self.path).expanduser())
        codes = encode(network, images[:1])  # refuses images of another size
        self.network_ = network.to(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._n_features_out = codes.shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Codes (N, code size), float32, of images."""
        check_is_fitted(self)
        return encode(self.network_, self._images(X, first=False))

    def _images(self, X: Any, first: bool) -> np.ndarray:
        """Images as rows of pixels; `first`: whether they say how many pixels an image has."""
        if getattr(X, "ndim", 2) > 2:
            X = np.asarray(X).reshape(len(X), -1)
        kinds = ["uint8", "int64", "float32", "float64"]
        rows = validate_data(self, X, reset=first, dtype=kinds)
        check_non_negative(rows, type(self).__name__)
        return rows

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        tags.requires_fit = True
        return tags
