"""What Ray is started with, and what is said where it does not start or cannot be joined."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import ray

from search.cluster import connection
from search.cluster.connection import start_ray
from search.task.settings import UsageError
from search.tune.limits import SearchStopped

MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.40.0
    Python: 3.11.4
This process on node 192.0.2.1 was started with:
    Ray: 2.60.0
    Python: 3.12.1
"""


@pytest.fixture
def failing(monkeypatch):
    """Makes Ray fail with an error."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)

    def fail(error: Exception) -> None:
        def init(*arguments, **more):
            raise error

        monkeypatch.setattr(ray, "init", init)

    return fail


def refusal(address: str) -> str:
    with pytest.raises(UsageError) as refused:
        start_ray(address)
    text = str(refused.value)
    assert len(text.splitlines()) == 1
    return text


def test_versions_that_do_not_match_are_all_named(failing):
    failing(RuntimeError(MISMATCH))
    text = refusal("192.0.2.1:6379")
    assert all(version in text for version in ("2.40.0", "3.11.4", "2.60.0", "3.12.1"))


def test_the_address_that_the_environment_gives_is_named(failing, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    failing(AssertionError("Module: http does not have ClientBuilder."))
    assert "RAY_ADDRESS is 192.0.2.1:6379" in refusal("auto")


def test_the_address_for_jobs_is_refused_with_those_that_can_be_joined(failing, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://192.0.2.1:8265")
    failing(AssertionError("never asked"))
    for address in ("auto", "http://192.0.2.1:8265"):
        assert "ray://HOST:10001" in refusal(address)


def test_a_ray_that_does_not_start_here_stops_the_search_in_one_line(failing):
    failing(OSError("no port is free\nand more"))
    with pytest.raises(SearchStopped, match="no port is free") as stopped:
        start_ray(None)
    assert len(str(stopped.value).splitlines()) == 1


@pytest.mark.parametrize("home", ["/proc/nowhere", "{tmp}"])
def test_ray_s_token_is_kept_where_the_home_cannot_be_written(home, failing, tmp_path, monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", home.format(tmp=tmp_path))
    failing(OSError("not started"))
    with pytest.raises(SearchStopped):
        start_ray(None)
    assert bool(os.environ["RAY_AUTH_TOKEN"]) == (home == "/proc/nowhere")


def test_ray_gets_the_cores_that_this_process_may_use_and_leaves_sigterm_alone(monkeypatch):
    given, before = {}, signal.getsignal(signal.SIGTERM)

    def init(**settings):
        given.update(settings)
        ray._private.utils.set_sigterm_handler(lambda number, frame: os._exit(number))

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(connection, "usable_cores", lambda: 3)
    connection.start_ray(None)
    assert given["num_cpus"] == 3
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_job_s_working_folder_carries_the_code_and_nothing_else_need(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(connection.search.__file__).parents[1])
    assert len(connection._code()["py_modules"]) == 3
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert connection._code() == {}
    monkeypatch.chdir(tmp_path)  # the job's own folder; the project is installed on the nodes
    assert len(connection._code()["py_modules"]) == 3
