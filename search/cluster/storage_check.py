"""Whether every node that may hold a trial can read and write `--storage-path`."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.cluster.capacity import capacity
from search.store.files import Files, one_line
from search.store.storage import Storage
from search.task.settings import Settings, UsageError

ANSWER_S = 120.0  # a node that has not answered by then is refused


def check_storage(storage: Storage, settings: Settings) -> None:
    """Raise UsageError unless every node that can hold a trial sees what the driver writes to the
    storage, and the driver sees what the node writes."""
    name = f".check-{secrets.token_hex(8)}"
    existed = storage.root.exists()
    try:
        storage.files.write(name, lambda file: file.write(name.encode()))
    except OSError as error:
        reason = f"--storage-path {storage.location} cannot be written ({one_line(error)})"
        raise UsageError(reason) from error
    try:
        for node, problem in _problems(storage.files, name, settings):
            raise UsageError(_refusal(storage, node, problem))
    finally:
        for left in [each for each in storage.files.names() if each.startswith(name)]:
            storage.files.delete(left)
        if not existed:
            with suppress(OSError):
                storage.root.rmdir()


def _problems(files: Files, name: str, settings: Settings) -> Iterator[tuple[str, str]]:
    """(address, what is wrong) of each node that cannot use the storage."""
    look = ray.remote(num_cpus=0, max_retries=1)(_look)
    asked = {}
    for node in _other_nodes(settings):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[look.options(scheduling_strategy=there).remote(files, name, node["NodeID"])] = node
    if not asked:
        return
    done, late = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    for ref in late:
        yield _address(asked[ref]), f"it did not answer within {ANSWER_S:.0f} s"
    for ref in done:
        node = asked[ref]
        try:
            problem = ray.get(ref)
        except RayError as error:
            problem = one_line(error)
        if not problem and files.read(f"{name}-{node['NodeID']}") is None:
            problem = "what it writes there is not seen here"
        if problem:
            yield _address(node), problem


def _look(files: Files, name: str, node: str) -> str:
    """On a node: what is wrong with the storage there; empty if nothing is."""
    try:
        if files.read(name) != name.encode():
            return "it does not see what is written there"
        files.write(f"{name}-{node}", lambda file: file.write(b""))
    except OSError as error:
        return one_line(error)
    return ""


def _refusal(storage: Storage, node: str, problem: str) -> str:
    if "://" in storage.location:
        advice = (
            "give every node the credentials, by a role or by AWS_* variables when Ray starts on it"
        )
    else:
        advice = "give a folder that every node mounts at that path, or s3://bucket/prefix"
    return f"--storage-path {storage.location}: node {node} cannot use it ({problem}): {advice}"


def _other_nodes(settings: Settings) -> list[dict]:
    """Nodes that can hold a trial, without the driver's own."""
    client = ray.util.client.ray.is_connected()
    here = None if client else ray.get_runtime_context().get_node_id()
    return [
        node
        for node in ray.nodes()
        if node["Alive"]
        and node["NodeID"] != here
        and capacity([node["Resources"]], settings.cpus_per_trial, 0)
    ]


def _address(node: dict) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
