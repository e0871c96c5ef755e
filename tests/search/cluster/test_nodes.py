"""Searches on several real Ray nodes, some of which die: what is refused, and what survives.

The nodes see neither this checkout nor each other's folders, except for the storage where a test
says so. The driver runs on the head's machine, which holds no trial.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest

from tests.search.cluster.nodes import Nodes
from tests.search.driver import ROOT, SEARCH, BucketDriver, Driver, outcome, table


def on_cluster(nodes: Nodes, storage, flags=SEARCH, address: str | None = None) -> Driver:
    flags = [*flags, "--address", address or nodes.address]
    return Driver(storage, flags=flags, environment=nodes.environment)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """A head, and two storages that a node sees only if it is added with them."""
    seen, unseen = tmp_path_factory.mktemp("seen"), tmp_path_factory.mktemp("unseen")
    with Nodes(seen, unseen) as nodes:
        nodes.seen, nodes.unseen = seen, unseen
        nodes.head(sees=(seen, unseen))
        yield nodes


@pytest.mark.slow
def test_a_node_dies_another_joins_and_the_table_is_that_of_one_node(nodes, twin):
    """The search waits while there is no node, and goes on at the checkpoint with the next."""
    first = nodes.add(sees=(nodes.seen,))
    driver = on_cluster(nodes, nodes.seen)
    process = driver.start("--max-failures", "0")
    driver.wait_for_events(14, process)
    assert process.poll() is None, process.communicate(timeout=60)
    nodes.kill(first)
    second = nodes.add(sees=(nodes.seen,))
    out, err = process.communicate(timeout=400)
    nodes.kill(second)
    assert process.returncode == 0, err
    assert outcome(driver.folder) == outcome(twin.folder)
    errors = [path.read_text() for path in (driver.folder / "errors").iterdir()]
    assert len(errors) == 1 and errors[0].startswith("node lost")


def test_a_storage_that_a_node_does_not_see_is_refused_before_anything_is_written(nodes):
    node = nodes.add(sees=(nodes.seen,))
    # Elsewhere, or what the driver unpacks of the images would lie beside the runs.
    flags = [*SEARCH, "--data-dir", str(nodes.seen)]
    driver = on_cluster(nodes, nodes.unseen / "runs", flags)
    done = driver.finish()
    nodes.kill(node)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"--storage-path {nodes.unseen / 'runs'}: node" in done.stderr
    assert "s3://bucket/prefix" in done.stderr
    assert not driver.storage.exists()


@pytest.mark.slow
def test_three_nodes_share_a_bucket_and_one_of_them_dies(s3, tmp_path, twin):
    """Nothing is shared but the network; retraining survives a node too."""
    flags = [*SEARCH, "--max-concurrent", "3", "--final-seeds", "2", "--max-failures", "0"]
    with Nodes(tmp_path, **s3.keys) as nodes:
        nodes.head()
        first, second = nodes.add(), nodes.add()
        driver = BucketDriver(
            s3,
            "three",
            tmp_path,
            flags=[*flags, "--address", nodes.address],
            environment=nodes.environment,
        )
        process = driver.start()
        driver.wait_for_events(20, process)
        nodes.kill(first)
        third = nodes.add()
        wait_for_line(process, "retraining the chosen configurations")
        nodes.kill(second)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert third.poll() is None
    driver.fetch()
    trials = table(driver.folder / "trials.csv")
    assert len(trials) == 12 and {row["failures"] for row in trials} == {"0"}
    assert {row["state"] for row in trials} <= {"complete", "pruned"}
    final = json.loads((driver.folder / "final.json").read_text())
    assert all(len(winner["runs"]) == 2 for winner in final["winners"])


@pytest.mark.slow
def test_a_ray_client_keeps_its_ledger_and_ends_in_the_same_tables(nodes, twin):
    node = nodes.add(sees=(nodes.seen,))
    driver = on_cluster(nodes, nodes.seen / "client", address=f"ray://{nodes.client}")
    process = driver.start()
    driver.wait_for_events(14, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "--resume" in err, err
    done = driver.finish()
    nodes.kill(node)
    assert done.returncode == 0, done.stderr
    assert outcome(driver.folder) == outcome(twin.folder)


@pytest.mark.slow
def test_a_client_s_own_folder_is_refused(nodes):
    node = nodes.add(sees=(nodes.seen,))
    flags = [*SEARCH, "--data-dir", str(nodes.seen)]
    driver = on_cluster(nodes, nodes.unseen / "runs", flags, address=f"ray://{nodes.client}")
    done = driver.finish()
    nodes.kill(node)
    assert done.returncode == 2 and "it does not see what is written there" in done.stderr
    assert not driver.storage.exists()


@pytest.mark.slow
def test_a_submitted_job_is_killed_and_a_second_one_resumes_it(s3, tmp_path, twin):
    """`ray job submit` with the project's own job environment, on nodes without the project."""
    pytest.importorskip("aiohttp_cors", reason="jobs need ray[default]")
    flags = [flag for flag in SEARCH if flag != "--resume"]
    with Nodes(tmp_path, **s3.keys) as nodes:
        nodes.head(dashboard=True)
        nodes.add()
        driver = BucketDriver(s3, "job", tmp_path)
        search = [
            *(sys.executable, "-m", "search.autoencoders", "--address", "auto", "--name", "run"),
            *("--storage-path", driver.uri, "--data-dir", str(tmp_path / "data")),
        ]
        said = submit(nodes, "first", [*search, *flags], "--no-wait")
        wait_until(lambda: driver.events() >= 14, lambda: said + ray_job(nodes, "logs", "first"))
        ray_job(nodes, "stop", "first")
        printed = submit(nodes, "second", [*search, "--resume"])
        assert "going on after" in printed and "Job 'second' succeeded" in printed, printed
    driver.fetch()
    assert outcome(driver.folder) == outcome(twin.folder)


def wait_until(true: Callable[[], bool], explain: Callable[[], str], seconds=300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"nothing in {seconds} s: {explain()}"
        time.sleep(0.5)


def ray_job(nodes: Nodes, verb: str, *arguments: str) -> str:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "job", verb),
            *("--address", f"http://127.0.0.1:{nodes.dashboard_port}", *arguments),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        env=nodes.environment,
    )
    return done.stdout + done.stderr


def submit(nodes: Nodes, name: str, entrypoint: list[str], *flags: str) -> str:
    environment = ("--runtime-env", "docs/job-environment.yaml", "--submission-id", name)
    return ray_job(nodes, "submit", *environment, *flags, "--", *entrypoint)


def wait_for_line(process: subprocess.Popen, text: str) -> None:
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without: {text}")


@pytest.mark.slow
def test_trials_without_a_gpu_run_beside_one_that_holds_it(tmp_path):
    """Ray counts one GPU that torch does not see; two kinds of trials, one CPU each."""
    script = f"""
        import json, pathlib, time
        import ray
        from dataclasses import dataclass
        import search.tune.worker.device
        from tests.search.toy import ToyTask
        from tests.search.toy_search import run_toy

        MARKS = pathlib.Path({str(tmp_path)!r})

        @dataclass(frozen=True)
        class Mixed(ToyTask):
            def uses_gpu(self, parameters):
                return parameters["size"] == 1

            def start(self, parameters, seed, prepared):
                begun = time.time()
                time.sleep(1)
                held = len(ray.get_gpu_ids())
                mark = [parameters["size"], held, begun, time.time()]
                (MARKS / f"{{begun}}.json").write_text(json.dumps(mark))
                return super().start(parameters, seed, prepared)

        ray.init(address="local", num_cpus=3, num_gpus=1, log_to_driver=False)
        run_toy(MARKS / "run", Mixed(), 10, max_concurrent=3, gpus_per_trial=1.0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    marks = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert sorted(size for size, *_ in marks) == 5 * [1] + 5 * [2]
    assert all(held == (size == 1) for size, held, *_ in marks)
    spans = [(begun, ended) for size, _, begun, ended in marks if size == 1]
    assert all(a == b or a[1] <= b[0] or b[1] <= a[0] for a in spans for b in spans)
