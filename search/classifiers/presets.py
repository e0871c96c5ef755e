"""The presets of a search of classifiers: the report's models, and a good one to start from."""

from __future__ import annotations

from models.networks.presets import CLASSIFIER_PRESETS, CLASSIFIER_STARTS
from search.classifiers.space import MODEL
from search.task.space import Preset

MANY_CLASSES = 100
# Several seeds of each are needed to see whether the missing activation matters.
RETRAINED = ("naive", "corrected-naive")


def classifier_presets(classes: int) -> tuple[Preset, ...]:
    start = "residual" if classes >= MANY_CLASSES else "augmented"
    named = {**CLASSIFIER_PRESETS, start: CLASSIFIER_STARTS[start]}
    return tuple(Preset(name, {"model": MODEL, **values}) for name, values in named.items())
