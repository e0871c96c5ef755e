"""Why a trial failed is read from the error that Ray hands over, not from its text."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import ray
from ray.exceptions import ActorDiedError, NodeDiedError, RayTaskError

from probes.classifiers.limits import ProbeTooLarge
from search.store.checkpoints import StorageFailed
from search.tune.failures import TrialKeeper, failure_of
from search.tune.limits import Limits, SearchStopped
from search.tune.searcher import LedgerGenerator, LedgerSearch
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook

LIMITS = Limits(4, 1, 2, 1.0, 0.0, 2, 60.0, None)


def raised(error: Exception) -> RayTaskError:
    """The error as a trial's code raised it, after its way through Ray."""
    traceback = f"Traceback: ProbeTooLarge, StorageFailed, {error!r}"
    wrapped = RayTaskError("train", traceback, error).as_instanceof_cause()
    return ray.cloudpickle.loads(ray.cloudpickle.dumps(wrapped))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (raised(RuntimeError("no more")), "exception"),
        (raised(ProbeTooLarge("5 GB")), "memory limit"),
        (ActorDiedError(), "worker died"),
        (ActorDiedError(RayTaskError("setup", "Traceback", ValueError())), "exception"),
        (NodeDiedError("gone"), "node lost"),
        (None, "exception"),  # an error whose class cannot be loaded here
    ],
)
def test_the_reason_of_a_failure(error, reason):
    failure = failure_of(error, "Traceback\nProbeTooLarge: a text that only looks like it")
    assert failure.reason == reason
    assert failure.detail == "ProbeTooLarge: a text that only looks like it"


def test_a_storage_that_fails_stops_the_search_and_is_no_failure_of_the_trial(tmp_path):
    logbook = open_logbook(tmp_path / "run", ToyTask())
    trial = logbook.new_trial()
    searcher = LedgerSearch(logbook, LIMITS.num_samples)
    keeper = TrialKeeper(logbook, searcher, LedgerGenerator(searcher, 1), LIMITS, [])
    pickled = tmp_path / "error.pkl"
    pickled.write_bytes(ray.cloudpickle.dumps(raised(StorageFailed("no room left"))))
    errors = {"error_file": None, "pickled_error_file": str(pickled)}
    config = {"id": trial.id, "number": trial.number}
    with pytest.raises(SearchStopped, match="^no room left$"):
        keeper.on_trial_error(0, [], SimpleNamespace(config=config, **errors))
    assert (trial.state, trial.failures) == ("running", 0)
