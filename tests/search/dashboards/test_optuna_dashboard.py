"""optuna-dashboard opens the study of a run folder."""

from __future__ import annotations

import io
import json

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.search.dashboards.made import first_session

optuna_dashboard = pytest.importorskip("optuna_dashboard")


def get(app, path):
    """The answer of a WSGI application to a GET, as JSON."""
    found = {}
    environment = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
    }
    body = b"".join(app(environment, lambda status, *more: found.update(status=status)))
    assert found["status"].startswith("200"), found
    return json.loads(body)


def test_the_study_of_a_run_is_shown_with_its_trials(tmp_path):
    first_session(tmp_path / "run")
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "run" / "study.log")))
    app = optuna_dashboard.wsgi(storage)
    (study,) = get(app, "/api/studies")["study_summaries"]
    shown = get(app, f"/api/studies/{study['study_id']}")
    assert [trial["state"] for trial in shown["trials"]] == [
        "Complete",
        "Pruned",
        "Fail",
        "Running",
    ]
