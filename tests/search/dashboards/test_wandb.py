"""Weights & Biases offline, read from the files that `wandb sync` sends."""

from __future__ import annotations

import json

import pytest

from tests.search.dashboards.made import two_sessions

pytest.importorskip("wandb")


@pytest.mark.slow  # W&B takes seconds for each run that it begins
def test_wandb_has_every_trial_once_with_hyperparameters_states_and_pictures(tmp_path, monkeypatch):
    from search.dashboards.wandb_file import records_of

    monkeypatch.setenv("WANDB_MODE", "offline")
    logbook = two_sessions("wandb", tmp_path / "run")
    steps, configs, exits, states = {}, {}, {}, {}
    for path in sorted((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")):
        name = path.stem.rpartition("-")[2]
        for record in records_of(path):
            kind = record.WhichOneof("record_type")
            if kind == "history":
                steps.setdefault(name, []).append(record.history.step.num)
            if kind == "run":
                values = {
                    item.key: json.loads(item.value_json) for item in record.run.config.update
                }
                configs[name] = values
            if kind == "exit":
                exits[name] = record.exit.exit_code
            if kind == "summary":
                for item in record.summary.update:
                    if item.key == "state":
                        states[name] = json.loads(item.value_json)
    assert set(configs) == {trial.id for trial in logbook.state.trials} | {"winners"}
    for trial in logbook.state.trials:
        assert steps.get(trial.id, []) == [record["epoch"] for record in trial.records]
        assert configs[trial.id]["x"] == trial.parameters["x"]
        assert states[trial.id] == trial.state
    assert exits == {t.id: int(t.number == 2) for t in logbook.state.trials} | {"winners": 0}
    assert list((tmp_path / "run" / "wandb").glob("*/files/media/images/winner-1*.png"))
