"""The part of the benchmark that measures `--log-to`."""

from __future__ import annotations

import json

import pytest

from search.benchmark import dashboards

pytest.importorskip("tensorboard")


def test_each_installed_tool_has_its_cost_per_epoch_and_others_are_named(monkeypatch):
    monkeypatch.setattr(dashboards, "TOOLS", ("tensorboard",))
    found = dashboards.measure(epochs=2)
    cost = found["tensorboard"]
    assert cost["epoch_s"]["repetitions"] == 2 * dashboards.TRIALS
    assert 0 < cost["search_waits_s"] < cost["trial_s"]["median"]
    json.dumps(found)
    monkeypatch.setattr(dashboards, "TOOLS", ("tensorboard", "wandb"))
    assert "not installed" in "\n".join(dashboards.as_text({**found, "wandb": None}))
