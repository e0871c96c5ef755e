"""MLflow: an experiment for each search, a run for each trial, and one for the winners' pictures.

The server is the one that MLflow itself is told of, as by $MLFLOW_TRACKING_URI.
"""

from __future__ import annotations

import logging
import os
import time

import numpy as np

from search.dashboards.dashboard import About, Known, plain
from search.record.schema import COMPLETE, PRUNED, RUNNING
from search.record.state import TrialRecord

# A server that is gone is given up after seconds, not after minutes: the next try comes anyway.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

from mlflow.entities import Metric, Param, RunTag  # noqa: E402  # after the settings above
from mlflow.tracking import MlflowClient  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells how it makes its database
_STATUS = {COMPLETE: "FINISHED", PRUNED: "KILLED"}
TRIAL, WINNERS = "search.trial", "winners"


class MLflow:
    """A `search.dashboards.dashboard.Dashboard`."""

    def __init__(self, about: About):
        self._about = about
        self._client: MlflowClient
        self._experiment = ""
        self._runs: dict[str, str] = {}  # trial id -> MLflow's id of its run
        self._ended: set[str] = set()

    def open(self) -> None:
        self._client = MlflowClient()
        name = f"{self._about.command}/{self._about.name}/{int(self._about.begun)}"
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name)
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=1000, page_token=token)
            for run in page:
                trial = run.data.tags.get(TRIAL)
                if trial:
                    self._runs[trial] = run.info.run_id
                    if run.info.status != "RUNNING":
                        self._ended.add(trial)
            token = page.token
            if not token:
                break

    def known(self, trial: TrialRecord) -> Known:
        run = self._runs.get(trial.id)
        if run is None:
            return Known()
        if trial.id in self._ended:  # a run is ended after its last epoch was written
            return Known(frozenset(record["epoch"] for record in trial.records), True)
        history = self._client.get_metric_history(run, "train_loss")
        return Known(frozenset(metric.step for metric in history))

    def write(self, trial: TrialRecord, state: str, records: list[dict]) -> None:
        run = self._runs.get(trial.id)
        if run is None:
            run = self._runs[trial.id] = self._create(trial.id, trial.started)
            params = {**plain(trial.parameters), "preset": trial.origin}
            self._client.log_batch(
                run, params=[Param(name, str(value)) for name, value in params.items()]
            )
        now = int(time.time() * 1000)
        for record in records:
            values = {name: value for name, value in record.items() if name != "epoch"}
            metrics = [Metric(name, v, now, record["epoch"]) for name, v in values.items()]
            self._client.log_batch(run, metrics=metrics)
        if state != RUNNING:
            tags = {"state": state, "reason": trial.reason, "detail": trial.detail}
            best = self._about.best(trial).items()
            self._client.log_batch(
                run,
                metrics=[Metric(name, value, now, trial.epochs) for name, value in best],
                tags=[RunTag(name, value) for name, value in tags.items() if value],
            )
            ended = int((trial.ended or time.time()) * 1000)
            self._client.set_terminated(run, _STATUS.get(state, "FAILED"), ended)

    def picture(self, name: str, image: np.ndarray) -> None:
        run = self._runs.get(WINNERS)
        if run is None:
            run = self._runs[WINNERS] = self._create(WINNERS, time.time())
        self._client.log_image(run, image, artifact_file=f"{name}.png")
        self._client.set_terminated(run, "FINISHED")

    def close(self) -> None:
        pass  # each call has written what it was given

    def _create(self, name: str, started: float) -> str:
        tags = {TRIAL: name}
        created = self._client.create_run(
            self._experiment, int(started * 1000), tags=tags, run_name=name
        )
        return created.info.run_id


make = MLflow
