"""Why a trial ended early, as a code of the schema and in words.

Run folders of before the codes hold words alone; their code is recognised by the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.read.runs import text
from search.record.schema import (
    DIVERGED,
    ERROR,
    PRUNED,
    REASON_DIVERGED,
    REASON_EXCEPTION,
    REASON_MEMORY,
    REASON_SCHEDULER,
    REASON_STUCK,
    REASON_TIME,
    REASONS,
)

_TOO_LARGE = "ProbeTooLarge: "
_BY_STATE = {PRUNED: REASON_SCHEDULER, DIVERGED: REASON_DIVERGED, ERROR: REASON_EXCEPTION}
_BY_WORDS = {
    "it took ": REASON_TIME,
    _TOO_LARGE: REASON_MEMORY,
    "no progress": REASON_STUCK,
}


def reason_of(trial: Mapping[str, Any]) -> tuple[str, str]:
    """Code and words of a row of trials.csv; two empty strings where the trial did not end early.

    >>> reason_of({"state": "pruned", "reason": "time limit", "detail": "91 s of 90"})
    ('time limit', '91 s of 90')
    >>> reason_of({"state": "pruned", "reason": "it took 91 s of the 90 that a trial may take"})
    ('time limit', 'it took 91 s of the 90 that a trial may take')
    """
    code, words = text(trial.get("reason")), text(trial.get("detail"))
    if trial["state"] not in _BY_STATE:
        return "", ""
    if code not in REASONS:
        code, words = _recognised(trial["state"], code), code
    return code, words.partition(_TOO_LARGE)[2] or words


def _recognised(state: str, words: str) -> str:
    found = (code for mark, code in _BY_WORDS.items() if mark in words)
    return next(found, _BY_STATE[state])
