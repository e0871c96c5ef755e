"""How the trials of a search ended."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.read.runs import Run
from analysis.read.values import column
from search.record.schema import ERROR, REASON_TIME


@dataclass(frozen=True)
class Endings:
    restarted: int  # trials that were started again after a failure
    timed_out: int  # trials that were stopped for the time they took, and not for their rank
    first_timed_out: str  # the words of the first of them
    errors: tuple[tuple[str, int], ...]  # words and their number, the most frequent first


def endings(run: Run) -> Endings:
    failures = column(run.trials, "failures").fillna(0)
    failed = run.trials["state"] == ERROR
    late = run.trials.loc[run.trials["reason"] == REASON_TIME, "detail"]
    errors = run.trials.loc[failed & (run.trials["detail"] != ""), "detail"].value_counts()
    return Endings(
        restarted=int((failures > failed.astype(int)).sum()),
        timed_out=len(late),
        first_timed_out=late.iloc[0] if len(late) else "",
        errors=tuple(sorted(errors.items(), key=lambda each: (-each[1], each[0]))),
    )
