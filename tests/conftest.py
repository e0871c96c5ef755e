"""What several test files share: one Ray for the session, one search to compare with, a bucket."""

from __future__ import annotations

import logging
import os
from types import SimpleNamespace

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two cores: tests and their trials share them


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory):
    """A user's cache folder that all processes of these tests share, and nobody else."""
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session / "user-cache"))
        yield


@pytest.fixture(scope="session")
def cluster():
    """A Ray of this machine with two CPUs, for the whole session of tests."""
    import ray

    from search.cluster.connection import start_ray

    start_ray(None, num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def twin(tmp_path_factory):
    """The short search, never interrupted."""
    from tests.search.driver import Driver

    driver = Driver(tmp_path_factory.mktemp("twin"))
    done = driver.finish()
    assert done.returncode == 0, done.stderr
    return driver


@pytest.fixture(scope="session")
def s3():
    """An S3 server on this machine with a bucket "runs": its URI without a prefix, and what a
    process needs in its environment to use it."""
    pyarrow_fs = pytest.importorskip("pyarrow.fs")
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    query = f"?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    os.environ.update(keys)
    fs = pyarrow_fs.S3FileSystem(
        endpoint_override=f"{host}:{port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    fs.create_dir("runs")
    yield SimpleNamespace(
        uri=lambda path: f"s3://runs/{path}{query}", query=query, keys=keys, fs=fs
    )
    for key in keys:
        del os.environ[key]
    server.stop()
