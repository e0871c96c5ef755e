"""Each question of the seed report, judged once on a run: `claims(run)`."""

from __future__ import annotations

from analysis.measure.claims.claim import Claim
from analysis.read.runs import Run


def claims(run: Run) -> tuple[Claim, ...]:
    """What the seed report says that a run of this command can test, in the report's order."""
    raise NotImplementedError
