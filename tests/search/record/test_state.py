"""The state of a search from its ledger: of today's version, and of the one before decisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.record.decision import Decision
from search.record.ledger import read_ledger
from search.record.schema import DECISIONS, REASONS, SEARCH_STATES, TRIAL_STATES
from search.record.state import SearchState

BEFORE_DECISIONS = Path(__file__).parent / "before_decisions.log"


@pytest.fixture(scope="module")
def older() -> SearchState:
    return SearchState.from_events(read_ledger(BEFORE_DECISIONS)[0])


def test_every_decision_gives_a_state_and_a_reason_of_the_schema():
    for kind in DECISIONS:
        decision = Decision(kind)
        assert decision.state in TRIAL_STATES and decision.reason in ("", *REASONS)
    assert len(set(DECISIONS)) == len(DECISIONS) and len(set(SEARCH_STATES)) == 4


@pytest.mark.parametrize(
    ("number", "state", "reason", "detail", "last_decision"),
    [
        (0, "complete", "", "", "last"),
        (1, "diverged", "not finite", "", "not finite"),
        (4, "error", "exception", "RuntimeError: this trial raises", ""),
        (5, "error", "memory limit", "ProbeTooLarge: it needs 5.0 GB", ""),
        (7, "pruned", "time limit", "it took 70 s of the 60 that a trial may take", "time limit"),
        (8, "pruned", "scheduler", "others did better at the same epoch", "stop"),
        (14, "running", "", "", ""),
    ],
)
def test_reasons_and_decisions_of_an_older_ledger_are_read(
    older, number, state, reason, detail, last_decision
):
    trial = older.trials[number]
    assert (trial.state, trial.reason) == (state, reason) and detail in trial.detail
    assert trial.decisions[-1] == last_decision
    assert len(trial.decisions) == len(trial.records)


def test_control_trials_and_lost_nodes_of_an_older_ledger_are_read(older):
    spared = older.trials[6]
    assert spared.control and spared.spared_at == 1 and spared.decisions[0] == "spare"
    assert (spared.failures, spared.losses) == (0, 0)  # lost once, then it went on
    assert older.counts() == {
        "complete": 6,
        "pruned": 5,
        "diverged": 1,
        "error": 2,
        "running": 2,
    }
