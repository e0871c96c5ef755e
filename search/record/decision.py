"""What is decided about a trial: by the scheduler after an epoch, by the search after a failure."""

from __future__ import annotations

from dataclasses import dataclass

from search.record.schema import (
    COMPLETE,
    CONTINUE,
    DIVERGED,
    LAST,
    NOT_FINITE,
    NOT_RECORDED,
    PROMOTE,
    PRUNED,
    REASON_DIVERGED,
    REASON_NODE,
    REASON_SCHEDULER,
    REASON_TIME,
    RUNNING,
    SPARE,
    STOP,
    TIME_LIMIT,
)

# Decision -> the trial's state after it, and the reason code of a trial that it ends.
_OUTCOMES = {
    CONTINUE: (RUNNING, ""),
    PROMOTE: (RUNNING, ""),
    SPARE: (RUNNING, ""),
    STOP: (PRUNED, REASON_SCHEDULER),
    TIME_LIMIT: (PRUNED, REASON_TIME),
    LAST: (COMPLETE, ""),
    NOT_FINITE: (DIVERGED, REASON_DIVERGED),
    NOT_RECORDED: (RUNNING, ""),
}


@dataclass(frozen=True)
class Decision:
    """What the scheduler decides after an epoch."""

    kind: str  # of schema.DECISIONS
    detail: str = ""  # why the trial ends, in words for people

    @property
    def state(self) -> str:
        """The state of the trial after this decision."""
        return _OUTCOMES[self.kind][0]

    @property
    def reason(self) -> str:
        """The reason code of a trial that this decision ends early; empty for all others."""
        return _OUTCOMES[self.kind][1]


@dataclass(frozen=True)
class Failure:
    """Why a trial failed."""

    reason: str  # of schema.REASONS
    text: str  # the traceback, or a sentence; its last line says what happened

    @property
    def detail(self) -> str:
        return self.text.strip().rpartition("\n")[2]

    @property
    def is_loss(self) -> bool:
        """Whether the trial was lost with its node. Such a failure is not the trial's fault."""
        return self.reason == REASON_NODE
