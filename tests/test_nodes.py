"""Searches on several real Ray nodes, some of which die: what is refused, and what is survived.

The nodes see neither this checkout nor each other's folders, except for the storage where a test
says so. The driver runs on the head's machine, which holds no trial.
"""

from __future__ import annotations

import pytest

from tests.driver import SEARCH, Driver, outcome, table
from tests.nodes import Nodes


def on_cluster(nodes: Nodes, storage, flags=SEARCH, address: str | None = None) -> Driver:
    flags = [*flags, "--address", address or nodes.address]
    return Driver(storage, flags=flags, environment=nodes.environment)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """A head; the two storages are hidden from nodes that are not told to see them."""
    seen, unseen = tmp_path_factory.mktemp("seen"), tmp_path_factory.mktemp("unseen")
    with Nodes(seen, unseen) as nodes:
        nodes.seen, nodes.unseen = seen, unseen
        nodes.head(sees=(seen, unseen))
        yield nodes


def workers_of(driver: Driver) -> set[int]:
    """The numbers of the nodes' processes that trained, from what Ray noted of each result."""
    return {int(row["number"]) for row in table(driver.folder / "trials.csv")}


def test_a_node_dies_another_joins_and_the_table_is_that_of_one_node(nodes, twin):
    """The search waits while there is no node, and goes on at the checkpoint with the next."""
    first = nodes.add(sees=(nodes.seen,))
    driver = on_cluster(nodes, nodes.seen)
    process = driver.start("--max-failures", "0")
    driver.wait_for_events(14, process)
    assert process.poll() is None, process.communicate()
    nodes.kill(first)
    second = nodes.add(sees=(nodes.seen,))
    out, err = process.communicate(timeout=400)
    nodes.kill(second)
    assert process.returncode == 0, err
    assert outcome(driver.folder) == outcome(twin.folder)
    said = [path.read_text() for path in (driver.folder / "errors").iterdir()]
    assert len(said) == 1 and said[0].startswith("node lost")


def test_a_storage_that_a_node_does_not_see_is_refused_before_anything_is_written(nodes):
    node = nodes.add(sees=(nodes.seen,))
    driver = on_cluster(nodes, nodes.unseen / "runs")
    done = driver.finish()
    nodes.kill(node)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"--storage-path {nodes.unseen / 'runs'}: node" in done.stderr
    assert "s3://bucket/prefix" in done.stderr
    assert not driver.storage.exists()
