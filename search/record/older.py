"""Events of ledgers from before decisions and reason codes were recorded.

Such an epoch has the trial's `state` and, for a control trial, `spared`; `reason` is free text.
This module is the only one that reads reasons from text.
"""

from __future__ import annotations

from search.record.schema import (
    COMPLETE,
    DIVERGED,
    LAST,
    NOT_FINITE,
    NOT_RECORDED,
    PRUNED,
    REASON_EXCEPTION,
    REASON_MEMORY,
    REASON_NODE,
    REASON_STUCK,
    REASON_WORKER,
    REASONS,
    SPARE,
    STOP,
    TIME_LIMIT,
)

_SIGNS = {
    "ProbeTooLarge": REASON_MEMORY,
    "no progress for": REASON_STUCK,
    "its worker process has died": REASON_WORKER,
    "its node has died": REASON_NODE,
}


def as_written_now(event: dict) -> dict:
    """The event in today's form; an event in today's form comes back as it is."""
    if event["event"] == "epoch" and "decision" not in event:
        return {**event, "decision": _decision(event), "detail": event.get("reason", "")}
    if event["event"] == "failure" and event.get("reason") not in REASONS:
        text = event.get("reason", "")
        reason = REASON_NODE if event.get("lost") else _reason(text)
        return {**event, "reason": reason, "detail": text}
    return event


def _decision(event: dict) -> str:
    if event.get("spared"):
        return SPARE
    if event["state"] == PRUNED:
        return TIME_LIMIT if event.get("reason", "").startswith("it took ") else STOP
    # Whether a trial that went on passed a rung was not recorded.
    return {COMPLETE: LAST, DIVERGED: NOT_FINITE}.get(event["state"], NOT_RECORDED)


def _reason(text: str) -> str:
    found = (code for sign, code in _SIGNS.items() if sign in text)
    return next(found, REASON_EXCEPTION)
