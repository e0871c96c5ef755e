"""What counts as a trial's failure, and what as the loss of its node.

The tests with real nodes are in tests/search/cluster/test_nodes.py."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    RayTaskError,
)

from search.record.decision import Decision
from search.record.schema import CONTINUE
from search.tune.failures import LOSSES, TrialKeeper, failure_of
from search.tune.limits import Limits
from search.tune.lost_workers import WorkerUnreachable, is_node_loss, is_unreachable
from search.tune.searcher import LedgerGenerator, LedgerSearch
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook

LIMITS = Limits(4, 1, 2, 1.0, 0.0, 2, 60.0, None)


def died(reason: str) -> ActorDiedError:
    """An actor's death with Ray 2.60's own text, as far as it does not depend on a cluster."""
    error = ActorDiedError()
    error.error_msg = f"The actor died unexpectedly before finishing this task.\n{reason}"
    return error


OWN = died(
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR "
    "consider enabling resource isolation to prevent node deaths by resource contention"
)
LOST = died("The actor died because its node has died. Node Id: c63b0430cb7bdf84c02280a75785efd2")
AWAY = ActorUnavailableError("The actor is temporarily unavailable: Socket closed", None)
RAISED = RayTaskError("train", "RuntimeError: its node has died", RuntimeError("node has died"))
OTHERS = died("its creation task raised: RuntimeError: The actor died because its node has died")


def test_a_crash_a_lost_node_and_an_unreachable_worker_differ():
    """test_nodes.py tests that Ray still uses these texts."""
    gone = NodeDiedError("gone"), WorkerUnreachable("gone")
    errors = (OWN, LOST, AWAY, RAISED, OTHERS, *gone, None)
    lost = [False, True, False, False, False, True, True, False]
    assert [is_node_loss(error) for error in errors] == lost
    assert [is_unreachable(error) for error in errors] == [error is AWAY for error in errors]


@pytest.fixture
def keeper(tmp_path):
    """A TrialKeeper of a search with one trial, begun and not finished."""
    logbook = open_logbook(tmp_path / "run", ToyTask())
    trial = logbook.new_trial()
    searcher = LedgerSearch(logbook, LIMITS.num_samples)
    generator = LedgerGenerator(searcher, 1)
    return TrialKeeper(logbook, searcher, generator, LIMITS, []), logbook, trial


def test_losses_do_not_count_as_failures_and_are_bounded(keeper):
    keeper, logbook, trial = keeper
    record = {"epoch": 1, "train_loss": 1.0, "value": 1.0, "seconds": 0.1}
    for _ in range(LOSSES - 1):
        keeper._failed(trial, failure_of(LOST, "lost"))
    assert (trial.state, trial.failures, trial.losses) == ("running", 0, LOSSES - 1)
    logbook.record_epoch(trial, record, Decision(CONTINUE))  # progress: the count begins anew
    for _ in range(LOSSES):
        assert trial.state == "running"
        keeper._failed(trial, failure_of(LOST, "lost"))
    assert trial.state == "error" and trial.failures == 0
    again = open_logbook(logbook.folder.path, ToyTask()).state.trials[0]
    assert (again.state, again.failures, again.losses) == ("error", 0, LOSSES)


@pytest.mark.parametrize(("error", "counted"), [(AWAY, 0), (LOST, 0), (OWN, 1)])
def test_a_node_lost_while_a_trial_is_handed_to_its_worker_does_not_count(
    keeper, tmp_path, error, counted
):
    """Ray then says that the trial failed without ever having said that it began."""
    keeper, _, trial = keeper
    text, pickled = tmp_path / "error.txt", tmp_path / "error.pkl"
    text.write_text(f"Failure # 1 (occurred at noon)\n{error}\n")
    pickled.write_bytes(ray.cloudpickle.dumps(error))
    keeper.on_trial_error(
        0,
        [],
        SimpleNamespace(
            config={"id": trial.id, "number": trial.number},
            error_file=str(text),
            pickled_error_file=str(pickled),
        ),
    )
    assert (trial.state, trial.failures, trial.losses) == ("running", counted, 1 - counted)


def test_crashes_count_whatever_was_lost_before(keeper):
    keeper, _, trial = keeper
    keeper._failed(trial, failure_of(LOST, "lost"))
    for _ in range(LIMITS.max_failures + 1):
        assert trial.state == "running"
        keeper._failed(trial, failure_of(OWN, "crashed"))
    assert trial.state == "error" and trial.failures == LIMITS.max_failures + 1


def test_the_number_of_trials_at_a_time_follows_the_cluster(tmp_path, monkeypatch):
    """One node, then three, none and two: the trials that run already go on."""
    monkeypatch.setattr("search.tune.failures.FOLLOW_S", 0.0)
    logbook = open_logbook(tmp_path / "run", ToyTask())
    sizes = iter((1, 3, 0, 2))
    limits = replace(LIMITS, num_samples=9, slots=lambda: next(sizes))
    searcher = LedgerSearch(logbook, limits.num_samples)
    generator = LedgerGenerator(searcher, 1)
    keeper = TrialKeeper(logbook, searcher, generator, limits, [])
    begun, counts = 0, []
    for _ in range(4):
        keeper.on_step_begin(0, [])
        while generator.searcher.suggest(f"ray-{begun}") is not None:
            begun += 1
        counts.append(begun)
    assert counts == [1, 3, 3, 3]
