"""What became of a worker: whether it died of its own doing, or its node with it.

Ray 2.60 tells the two apart, but not at once. A worker that crashes or is killed is reported by its
node within milliseconds (`ActorDiedError`: "its worker process has died"). When the node goes too,
nobody reports; after a second the driver hears that the actor is unavailable, which a network that
hiccups also gives, and only when the node has missed its heartbeats, half a minute later, that "its
node has died". Until then the trial is not begun elsewhere: its worker may be alive and writing.
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

LONGEST_S = 120.0  # an actor that nobody reaches for so long has died with its node
PERIOD_S = 2.0

# As a line of its own: the traceback of an actor that could not begin may say anything.
_NODE_DIED = re.compile(r"^The actor died because its node has died", re.MULTILINE)


class OutOfReach(Exception):
    """A worker that was given up without an answer; not the doing of its trial."""


def was_lost(error: Exception | None) -> bool:
    """Whether an error of a trial says that its node died."""
    if isinstance(error, RayTaskError) or not isinstance(error, RayActorError):
        return isinstance(error, (NodeDiedError, OutOfReach))
    return error.preempted or bool(_NODE_DIED.search(str(error)))


def is_unclear(error: Exception | None) -> bool:
    """Whether it only says that the worker is out of reach."""
    return isinstance(error, ActorUnavailableError)


@dataclass
class _Case:
    actor: object
    tell: Callable[[Exception], None]
    since: float
    due: float
    asked: ray.ObjectRef | None = None


class Unclear:
    """Actors of which nobody knows yet what became of them."""

    def __init__(self):
        self._cases: list[_Case] = []

    def __bool__(self) -> bool:
        return bool(self._cases)

    def add(self, actor: object, tell: Callable[[Exception], None]) -> None:
        """Call `tell` with an error, once it is known what became of the actor."""
        now = time.monotonic()
        self._cases.append(_Case(actor, tell, now, now))

    def settle(self) -> None:
        """Tell what has become known. Never waits for an answer."""
        cases, self._cases = self._cases, []
        for case in cases:
            error = self._ask(case)
            if error is None:
                self._cases.append(case)
            else:
                case.tell(error)

    def _ask(self, case: _Case) -> Exception | None:
        now = time.monotonic()
        if now - case.since > LONGEST_S:
            return OutOfReach(f"its worker could not be reached for {LONGEST_S:g} s")
        if case.asked is None:
            if now >= case.due:
                case.asked, case.due = case.actor.__ray_ready__.remote(), now + PERIOD_S
            return None
        if not ray.wait([case.asked], timeout=0)[0]:
            return None
        answer, case.asked = case.asked, None
        try:
            ray.get(answer, timeout=1)
        except (ActorUnavailableError, GetTimeoutError):
            return None
        except RayError as error:
            return error
        # Alive again: a break of the network. Ray has given it up, and so it is ended.
        ray.kill(case.actor)
        return OutOfReach("the network between the driver and its worker broke")
