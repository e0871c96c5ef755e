"""What ends a trial or lets it go on: the decision after an epoch, or a failure."""

from __future__ import annotations

from dataclasses import dataclass

from search.record import schema

# Decision -> the trial's state after it, and the reason code of a trial that it ends.
_OUTCOMES = {
    schema.CONTINUE: (schema.RUNNING, ""),
    schema.PROMOTE: (schema.RUNNING, ""),
    schema.SPARE: (schema.RUNNING, ""),
    schema.STOP: (schema.PRUNED, schema.REASON_SCHEDULER),
    schema.PAUSE: (schema.PRUNED, schema.REASON_PAUSED),
    schema.TIME_LIMIT: (schema.PRUNED, schema.REASON_TIME),
    schema.LAST: (schema.COMPLETE, ""),
    schema.NOT_FINITE: (schema.DIVERGED, schema.REASON_DIVERGED),
    schema.NOT_RECORDED: (schema.RUNNING, ""),
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
        """Whether the node failed, and the trial with it. Such a failure is not the trial's own."""
        return self.reason in schema.NODE_REASONS
