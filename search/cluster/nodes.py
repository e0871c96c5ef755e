"""The Ray cluster that a session runs on: how it is reached, whether its nodes see what they must,
how many trials it holds, and how tasks outlive its nodes."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import AuthenticationError, NodeDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import models
import probes
import search
from search.cluster.gpu import UNKNOWN, measured_share
from search.store.checkpoints import StorageFailed, check_seen
from search.store.files import Files, one_line
from search.store.storage import Storage
from search.task.protocol import Task, uses_gpu
from search.task.settings import Settings, UsageError
from search.tune.limits import Limits, SearchStopped

Key = TypeVar("Key")
Resources = Mapping[str, float]  # of a node, as Ray names them: "CPU", "GPU"

PROBE_S = 120.0  # a node that has not looked at the storage by then is refused
STARTS = 3
QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}
LOST_TASKS = 20  # nodes that may die under one task before it is held to blame


def start_ray(address: str | None, num_cpus: int | None = None) -> None:
    """Join the cluster at `address`, with this code for its workers, or start one on this machine
    (with all of its CPUs unless said); do nothing where this process has joined one. Raises
    UsageError if none answers."""
    if ray.is_initialized():
        return
    # Ray starts its workers while the driver is still getting ready; what takes them longest is
    # to import these, and here they do it in that time.
    os.environ.setdefault("RAY_preload_python_modules", "torch,ray.tune,optuna")
    if address is None:
        _start_here(num_cpus)
        return
    try:
        ray.init(address=address, runtime_env=_code(), **QUIET)
    except (ConnectionError, RuntimeError, RayError) as error:
        raise UsageError(f"--address {address}: {_why_not(error)}") from error


def _start_here(num_cpus: int | None) -> None:
    """On a busy machine Ray's own processes give up on each other after 15 s: tried again then."""
    for left in reversed(range(STARTS)):
        try:
            # Not None: Ray would join whatever cluster was last started on this machine.
            ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **QUIET)
            return
        except Exception as error:  # Ray raises no narrower class here
            if "timed out during startup" not in str(error) or not left:
                raise
            ray.shutdown()


def _code() -> dict:
    """A runtime environment with the packages that workers import, and nothing else of this
    folder: they need not be installed there. No "excludes": those of a job's own runtime
    environment would contradict them."""
    packages = (search, probes, models)
    return {"py_modules": [str(Path(package.__file__).parent) for package in packages]}


def _why_not(error: BaseException) -> str:
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    if any(isinstance(e, AuthenticationError) or "InvalidAuthToken" in str(e) for e in chain):
        return (
            "the cluster asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what its "
            "head node has (ray get-auth-token, there)"
        )
    reason = str(chain[0]).strip().splitlines()[0]
    return f"no cluster answers ({reason})"


def check_storage(storage: Storage, settings: Settings) -> None:
    """Raise UsageError unless every node that can hold a trial sees, and can write, what the
    driver writes there."""
    name = f".probe-{secrets.token_hex(8)}"
    existed = storage.root.exists()
    try:
        storage.files.write(name, lambda file: file.write(name.encode()))
    except OSError as error:
        reason = f"--storage-path {storage.location} cannot be written ({one_line(error)})"
        raise UsageError(reason) from error
    try:
        for node, problem in _ask_nodes(storage.files, name, settings):
            raise UsageError(_refusal(storage, node, problem))
    finally:
        for left in [each for each in storage.files.names() if each.startswith(name)]:
            storage.files.delete(left)
        if not existed:
            with suppress(OSError):
                storage.root.rmdir()


def _ask_nodes(files: Files, name: str, settings: Settings) -> Iterator[tuple[str, str]]:
    """(node, what is wrong) of each node that cannot use the storage."""
    look = ray.remote(num_cpus=0, max_retries=1)(_look)
    asked = {}
    for node in _other_nodes(settings):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[look.options(scheduling_strategy=there).remote(files, name, node["NodeID"])] = node
    done, late = (
        ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_S) if asked else ([], [])
    )
    for ref in late:
        yield _address(asked[ref]), f"it did not answer within {PROBE_S:.0f} s"
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
    """What is wrong with a storage, as a node sees it; empty if nothing is."""
    try:
        if files.read(name) != name.encode():
            return "it does not see what is written there"
        files.write(f"{name}-{node}", lambda file: file.write(b""))
    except OSError as error:
        return one_line(error)
    return ""


def _refusal(storage: Storage, node: str, problem: str) -> str:
    if "://" in storage.location:
        return (
            f"--storage-path {storage.location}: node {node} cannot use it ({problem}): give every "
            "node the credentials, by a role or by AWS_* variables when Ray starts on it"
        )
    return (
        f"--storage-path {storage.location}: node {node} cannot use it ({problem}): give a folder "
        "that every node mounts at that path, or s3://bucket/prefix"
    )


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


def node_resources() -> list[Resources]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def capacity(nodes: Iterable[Resources], cpus: float, gpus: float, gpu_part: float = 1.0) -> int:
    """How many trials nodes hold at a time, each trial on one node, and a part of a GPU on one GPU:
    two nodes of 3 CPUs hold two trials of 2, and 0.4 GPUs fit twice into each GPU.

    gpu_part: of the trials, how many hold a GPU; the others need CPUs alone."""
    nodes = list(nodes)
    by_cpu = sum(_fit(node.get("CPU", 0), cpus) for node in nodes)
    if not gpus or not gpu_part:
        return by_cpu
    by_gpu = sum(
        min(_fit(node.get("CPU", 0), cpus), _fit_gpus(node.get("GPU", 0), gpus)) for node in nodes
    )
    return min(by_cpu, int(by_gpu / gpu_part + 1e-9))


def _fit(have: float, want: float) -> int:
    return int(have / want + 1e-9)


def _fit_gpus(have: float, want: float) -> int:
    return _fit(have, want) if want >= 1 else int(have) * _fit(1, want)


def check_room(settings: Settings) -> None:
    """Raise UsageError if no node holds a trial, unless nodes may be on their way: on a cluster
    that grows when trials wait, --max-concurrent says for how many."""
    nodes, gpus = node_resources(), settings.gpus_per_trial or 0
    if capacity(nodes, settings.cpus_per_trial, gpus):
        return
    most = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)), default={})
    wants = (
        f"a trial wants {settings.cpus_per_trial:g} CPUs and {gpus:g} GPUs, and no node has both: "
        f"the largest has {most.get('CPU', 0):g} and {most.get('GPU', 0):g}"
    )
    if not (settings.address and settings.max_concurrent):
        raise UsageError(
            f"{wants}" + (" (--max-concurrent N waits for nodes)" if settings.address else "")
        )
    print(f"{wants}; waiting for one that has", flush=True)


def session_limits(
    settings: Settings, task: Task | None = None, arrays: ray.ObjectRef | None = None
) -> Limits:
    """Fill the cluster: as many trials at a time as its nodes hold, now and when nodes come and go.
    The part of a GPU that a trial gets is measured where it is not said; a quarter without a task
    to measure."""
    part = 1.0 if task is None else _gpu_part(task)
    gpus = settings.gpus_per_trial
    if gpus is None:
        has_gpu = part > 0 and any(node.get("GPU", 0) for node in node_resources())
        found = measured_share(task, arrays, settings) if has_gpu and task else 1 / UNKNOWN
        gpus = found if has_gpu else 0.0

    def slots() -> int:
        return capacity(node_resources(), settings.cpus_per_trial, gpus, part)

    return Limits(
        num_samples=settings.num_samples,
        grace_epochs=settings.grace_epochs,
        max_concurrent=settings.max_concurrent or max(1, slots()),
        cpus_per_trial=settings.cpus_per_trial,
        gpus_per_trial=gpus,
        max_failures=settings.max_failures,
        trial_timeout_s=settings.trial_timeout_s,
        time_budget_s=settings.time_budget_s,
        slots=None if settings.max_concurrent else slots,
    )


def _gpu_part(task: Task) -> float:
    """Of the groups of a search, which take turns, how many use a GPU."""
    space = task.space()
    using = [uses_gpu(task, space.meaning.get(group, {})) for group in space.groups]
    return sum(using) / len(using)


def where_seen(run: Files, secret: str, work: Callable[..., Key], *arguments: Any) -> Key:
    """In a task: `work`, on a node that sees the run folder (`checkpoints.check_seen`)."""
    check_seen(run, secret)
    return work(*arguments)


def finish(
    jobs: Mapping[Key, Callable[[], ray.ObjectRef]], max_failures: int
) -> Iterator[tuple[Key, Any]]:
    """Results of remote tasks as they come; `jobs` begin them, and they must have Ray's own
    retries off. One whose node dies is begun again, one that fails max_failures times.

    Raises SearchStopped if one fails more often."""
    failures, losses = dict.fromkeys(jobs, 0), dict.fromkeys(jobs, 0)
    running = {begin(): key for key, begin in jobs.items()}
    while running:
        (done,), _ = ray.wait(list(running))
        key = running.pop(done)
        try:
            result = ray.get(done)
        except RayError as error:
            if isinstance(error, NodeDiedError) and losses[key] < LOST_TASKS:
                losses[key] += 1
            elif failures[key] < max_failures and not isinstance(error, StorageFailed):
                failures[key] += 1
            else:
                raise SearchStopped(f"{key}: {_reason(error)}") from error
            running[jobs[key]()] = key
        else:
            yield key, result


def _reason(error: RayError) -> str:
    return (str(error).strip() or repr(error)).splitlines()[-1]
