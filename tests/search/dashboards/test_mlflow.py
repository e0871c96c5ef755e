"""MLflow on a SQLite file, read by its own client."""

from __future__ import annotations

import pytest

from tests.search.dashboards.made import two_sessions

pytest.importorskip("mlflow")


@pytest.mark.slow  # MLflow makes the tables of its database for ten seconds
def test_mlflow_has_every_trial_once_with_hyperparameters_states_and_pictures(
    tmp_path, monkeypatch
):
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    logbook = two_sessions("mlflow", tmp_path / "run")
    client = MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name LIKE 'search.toy/run/%'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {trial.id for trial in logbook.state.trials} | {"winners"}
    for trial in logbook.state.trials:
        run = runs[trial.id]
        history = client.get_metric_history(run.info.run_id, "value")
        wanted = [(record["epoch"], record["value"]) for record in trial.records]
        assert [(point.step, point.value) for point in history] == wanted
        assert run.data.params["x"] == str(trial.parameters["x"])
        assert run.data.tags["state"] == trial.state
    statuses = [runs[trial.id].info.status for trial in logbook.state.trials]
    assert statuses == ["FINISHED", "KILLED", "FAILED", "FINISHED"]
    assert "told to" in runs["trial_00002"].data.tags["detail"]
    (picture,) = client.list_artifacts(runs["winners"].info.run_id)
    assert picture.path == "winner-1.png" and picture.file_size > 50
