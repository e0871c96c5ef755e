"""The presets and the space of a search of classifiers."""

from __future__ import annotations

import pytest

from models.networks.classifier import Classifier
from models.networks.presets import CLASSIFIER_PRESETS
from search.classifiers.task import ClassifierTask


@pytest.mark.parametrize("classes, start", [(10, "augmented"), (964, "residual")])
@pytest.mark.parametrize("budget", ["quick", "full"])
def test_every_preset_and_corner_of_the_space_builds_a_network(budget, classes, start):
    task = ClassifierTask(classes=classes, max_epochs=2, budget=budget)
    assert [preset.name for preset in task.presets()] == [*CLASSIFIER_PRESETS, start]
    space = task.space()
    corners = [
        {name: d.choices[end] if hasattr(d, "choices") else (d.low, d.high)[end]}
        for name, d in space.distributions.items()
        for end in (0, -1)
    ]
    base = {"model": "classifier", **space.constants, **space.nearest(task.presets()[0].parameters)}
    for parameters in [*(preset.parameters for preset in task.presets()), *corners]:
        model, training = task.configs({**base, **parameters}, seed=3)
        assert Classifier(model).config.classes == classes
        assert training.seed == 3 + parameters.get("seed_offset", 0)
