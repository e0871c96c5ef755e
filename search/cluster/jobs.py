"""Remote tasks that outlive the nodes they run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import ray
from ray.exceptions import NodeDiedError, RayError

from search.store.checkpoints import StorageFailed, check_seen
from search.store.files import Files
from search.tune.limits import SearchStopped

Key = TypeVar("Key")

LOST_NODES = 20  # after more than this, the job itself is probably why its nodes die: stop


def on_node_that_sees(run: Files, secret: str, work: Callable[..., Key], *arguments: Any) -> Key:
    """In a remote task: call `work` if this node sees the run folder, else raise StorageFailed
    (`check_seen`)."""
    check_seen(run, secret)
    return work(*arguments)


def finish(
    jobs: Mapping[Key, Callable[[], ray.ObjectRef]], max_failures: int
) -> Iterator[tuple[Key, Any]]:
    """Yield (key, result) of each job as it ends.

    A job is a call that begins a remote task, whose own retries must be off. It is begun again if
    its node dies, and up to `max_failures` times if it fails.

    Raises SearchStopped if it fails more often."""
    failures, losses = dict.fromkeys(jobs, 0), dict.fromkeys(jobs, 0)
    running = {begin(): key for key, begin in jobs.items()}
    while running:
        (done,), _ = ray.wait(list(running))
        key = running.pop(done)
        try:
            result = ray.get(done)
        except RayError as error:
            if isinstance(error, NodeDiedError) and losses[key] < LOST_NODES:
                losses[key] += 1
            elif failures[key] < max_failures and not isinstance(error, StorageFailed):
                failures[key] += 1
            else:
                raise SearchStopped(f"{key}: {last_line(error)}") from error
            running[jobs[key]()] = key
        else:
            yield key, result


def last_line(error: RayError) -> str:
    """The line of an error that names its cause: Ray puts a traceback before it."""
    return (str(error).strip() or repr(error)).splitlines()[-1]
