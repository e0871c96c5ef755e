"""Why a worker is gone: it died alone, or its node died with it.

Ray 2.60 tells the two apart, but not at once. A worker that crashes or is killed is reported by its
node within milliseconds (`ActorDiedError`: "its worker process has died"). When the node dies too,
nobody reports. After a second the driver hears that the actor is unavailable, which a short break
of the network causes as well. Only when the node has missed its heartbeats, half a minute later,
Ray says that "its node has died". Until then the trial is not begun elsewhere: its worker may be
alive and writing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import ray
from ray.exceptions import (
    ActorUnavailableError,
    GetTimeoutError,
    NodeDiedError,
    RayActorError,
    RayError,
    RayTaskError,
)

LONGEST_S = 120.0  # a worker that is unreachable for longer counts as lost with its node
PERIOD_S = 2.0

# Ray has no attribute for this. The text counts only as a whole line: the traceback of an actor
# that could not begin may hold any text.
_NODE_DIED = re.compile(r"^The actor died because its node has died", re.MULTILINE)


class WorkerUnreachable(Exception):
    """A worker that never answered. Its trial is not to blame."""


def is_node_loss(error: Exception | None) -> bool:
    """Whether an error of a trial means that its node died."""
    if isinstance(error, RayTaskError) or not isinstance(error, RayActorError):
        return isinstance(error, (NodeDiedError, WorkerUnreachable))
    return error.preempted or bool(_NODE_DIED.search(str(error)))


def is_unreachable(error: Exception | None) -> bool:
    """Whether an error only means that the worker does not answer now."""
    return isinstance(error, ActorUnavailableError)


@dataclass
class _Case:
    actor: object
    report: Callable[[Exception], None]
    since: float
    next_question: float
    question: ray.ObjectRef | None = None


class UnreachableWorkers:
    """Finds out why workers do not answer."""

    def __init__(self):
        self._cases: list[_Case] = []

    def __bool__(self) -> bool:
        return bool(self._cases)

    def add(self, actor: object, report: Callable[[Exception], None]) -> None:
        """Call `report` with an error, once it is known what happened to the actor."""
        now = time.monotonic()
        self._cases.append(_Case(actor, report, now, now))

    def settle(self) -> None:
        """Report each worker whose fate is known now. Never waits for an answer."""
        cases, self._cases = self._cases, []
        for case in cases:
            error = self._ask(case)
            if error is None:
                self._cases.append(case)
            else:
                case.report(error)

    def _ask(self, case: _Case) -> Exception | None:
        now = time.monotonic()
        if now - case.since > LONGEST_S:
            return WorkerUnreachable(f"its worker could not be reached for {LONGEST_S:g} s")
        if case.question is None:
            if now >= case.next_question:
                case.question = case.actor.__ray_ready__.remote()
                case.next_question = now + PERIOD_S
            return None
        if not ray.wait([case.question], timeout=0)[0]:
            return None
        question, case.question = case.question, None
        try:
            ray.get(question, timeout=1)
        except (ActorUnavailableError, GetTimeoutError):
            return None
        except RayError as error:
            return error
        # The worker answers again: the network was broken. Ray has given the worker up already,
        # so it is ended.
        ray.kill(case.actor)
        return WorkerUnreachable("the network between the driver and its worker broke")
