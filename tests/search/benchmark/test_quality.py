"""Epochs until ours is as good as random search."""

from __future__ import annotations

import json

from search.benchmark import quality
from tests.search.simulate.made import EPOCHS, made


def test_epochs_to_the_error_of_random_search_are_counted_until_ours_is_as_good():
    curves = made()
    ours, random, reached = quality.epochs_to_target(curves, 0, 120)
    assert 1 <= random <= 120 and (reached and ours < 120 or ours == 120)
    again = quality.epochs_to_target(curves, 0, 120)
    assert again == (ours, random, reached)
    # A budget of one configuration a code size: random search has no choice to make.
    assert quality.epochs_to_target(curves, 0, 2 * EPOCHS)[1] <= 2 * EPOCHS


def test_the_ratio_has_its_interval():
    found = quality.measure(made(), seeds=4, budget_epochs=60)
    low, high = found["random / ours, 95 % interval"]
    assert low <= found["random / ours"]["median"] <= high
    assert found["seeds"] == 4 and quality.as_text(json.loads(json.dumps(found)))
