"""Events of ledgers from before decisions and reason codes were recorded.

Such an epoch has the trial's `state` and, for a control trial, `spared`; `reason` is free text.
Only this module reads the reasons of such events, from their text.
"""

from __future__ import annotations

from search.record import schema

_SIGNS = {
    "ProbeTooLarge": schema.REASON_MEMORY,
    "no progress for": schema.REASON_STUCK,
    "its worker process has died": schema.REASON_WORKER,
}


def as_written_now(event: dict) -> dict:
    """The event in today's form; an event in today's form comes back as it is."""
    if event["event"] == "epoch" and "decision" not in event:
        return {**event, "decision": _decision(event), "detail": event.get("reason", "")}
    if event["event"] == "failure" and event.get("reason") not in schema.REASONS:
        text = event.get("reason", "")
        reason = schema.REASON_NODE if event.get("lost") else _reason(text)
        return {**event, "reason": reason, "detail": text}
    return event


def _decision(event: dict) -> str:
    if event.get("spared"):
        return schema.SPARE
    if event["state"] == schema.PRUNED:
        return schema.TIME_LIMIT if event.get("reason", "").startswith("it took ") else schema.STOP
    ends = {schema.COMPLETE: schema.LAST, schema.DIVERGED: schema.NOT_FINITE}
    # Whether a trial that went on had passed a rung was not recorded.
    return ends.get(event["state"], schema.NOT_RECORDED)


def _reason(text: str) -> str:
    found = (code for sign, code in _SIGNS.items() if sign in text)
    return next(found, schema.REASON_EXCEPTION)
