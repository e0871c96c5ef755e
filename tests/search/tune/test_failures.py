"""Why a trial failed is read from the error that Ray hands over, not from its text."""

from __future__ import annotations

import errno

import pytest
import ray
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError, RayTaskError

from probes.classifiers.limits import ProbeTooLarge
from search.record.decision import Decision, Failure
from search.session.shown.progress import failure_line
from search.store.checkpoints import StorageFailed
from search.tune import failures, searcher
from search.tune.failures import PAUSE_S, PAUSES, TrialKeeper, failure_of
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
        (OutOfMemoryError("Task was killed due to the node running low on memory."), "node memory"),
        (raised(RuntimeError("CUDA error: uncorrectable ECC error encountered")), "node gpu"),
        (raised(RuntimeError("CUDA error: device-side assert triggered")), "exception"),
        (None, "exception"),  # an error whose class cannot be loaded here
    ],
)
def test_the_reason_of_a_failure(error, reason):
    failure = failure_of(error, "Traceback\nProbeTooLarge: a text that only looks like it")
    assert failure.reason == reason
    told = str(error.cause if isinstance(error, RayTaskError) else error)
    of_node = reason in ("node memory", "node gpu")
    assert failure.detail == (told if of_node else "ProbeTooLarge: a text that only looks like it")


class Failing:
    """A search whose trials fail as told."""

    def __init__(self, path):
        self.path = path
        self.logbook = open_logbook(path / "run", ToyTask())
        self.searcher = LedgerSearch(self.logbook, LIMITS.num_samples)
        generator = LedgerGenerator(self.searcher, 1)
        self.keeper = TrialKeeper(self.logbook, self.searcher, generator, LIMITS, [])

    def begin(self):
        return self.logbook.state.trials[self.searcher.suggest("ray")["number"]]

    def fail(self, trial, error: Exception) -> None:
        pickled = self.path / "error.pkl"
        pickled.write_bytes(ray.cloudpickle.dumps(error))
        errors = {"error_file": None, "pickled_error_file": str(pickled)}
        config = {"id": trial.id, "number": trial.number}
        failed = type("Trial", (), {"config": config, **errors})  # hashable, as Ray's are
        self.keeper.on_trial_error(0, [], failed)


@pytest.mark.parametrize(
    "error",
    [StorageFailed("no room left"), OSError(errno.ENOSPC, "no room left")],
    ids=["checkpoints", "elsewhere"],
)
def test_a_disk_that_is_full_stops_the_search_and_is_no_failure_of_the_trial(tmp_path, error):
    failing = Failing(tmp_path)
    trial = failing.begin()
    with pytest.raises(SearchStopped, match="no room left$"):
        failing.fail(trial, raised(error))
    assert (trial.state, trial.failures) == ("running", 0)


def test_while_the_memory_of_a_node_is_used_up_the_search_waits_and_then_stops(
    tmp_path, monkeypatch, capsys
):
    now = [0.0]
    monkeypatch.setattr(searcher, "seconds", lambda: now[0])
    failing, killed = Failing(tmp_path), OutOfMemoryError("running low on memory")
    first, second = failing.begin(), failing.begin()
    failing.fail(first, killed)
    failing.fail(second, killed)  # at the same time: the same pause
    assert failing.searcher.suggest("ray") is None and not failing.searcher.is_exhausted
    now[0] = PAUSE_S
    assert failing.begin() is first
    record = {"epoch": 1, "train_loss": 1.0, "value": 1.0, "seconds": 0.1}
    failing.logbook.record_epoch(first, record, Decision("continue"))
    failing.keeper.on_trial_result(0, [], "ray", {})  # an epoch: the memory is free again
    for number in range(PAUSES):
        failing.fail(first, killed)
        assert failing.searcher.suggest("ray") is None
        now[0] += PAUSE_S * 2**number
        while failing.begin() is not first:
            pass
    with pytest.raises(SearchStopped, match="memory of a node is used up"):
        failing.fail(first, killed)
    assert [trial.state for trial in failing.logbook.state.trials] == ["running"] * 2
    assert first.failures == 0 and capsys.readouterr().out.count("no trial begins") == 1 + PAUSES


def test_ray_s_memory_monitor_is_known_by_its_text_because_tune_keeps_no_more_of_its_error(
    tmp_path,
):
    failing = Failing(tmp_path)
    trial = failing.begin()
    text = tmp_path / "error.txt"
    text.write_text(
        "Failure # 1 (occurred at 2026-01-01)\n"
        "1 worker(s) were killed due to the node running low on memory. Memory on the node was\n"
        "Refer to the documentation\n"
    )
    files = {"error_file": str(text), "pickled_error_file": None}
    config = {"id": trial.id, "number": trial.number}
    failing.keeper.on_trial_error(0, [], type("Trial", (), {"config": config, **files}))
    assert (trial.state, trial.failures) == ("running", 0)
    assert failing.searcher.is_paused


def test_a_worker_that_the_kernel_killed_for_its_memory_is_no_failure_of_its_trial(
    tmp_path, monkeypatch
):
    kills = iter((7, 7, 8))
    monkeypatch.setattr(failures, "memory_kills", lambda: next(kills))
    failing = Failing(tmp_path)
    crashed, killed = failing.begin(), failing.begin()
    failing.fail(crashed, ActorDiedError())
    failing.fail(killed, ActorDiedError())
    assert (crashed.failures, crashed.losses) == (1, 0)
    assert (killed.failures, killed.losses) == (0, 1)


def test_the_most_frequent_failure_is_named_with_its_file(tmp_path):
    failing = Failing(tmp_path)
    assert failure_line(failing.logbook) == ""
    for number, text in enumerate(("no module a", "needs 7 GB", "needs 8 GB")):
        failing.logbook.record_failure(failing.begin(), Failure("exception", text), number > 1)
    line = failure_line(failing.logbook)
    path = tmp_path / "run" / "errors" / "trial_00002.txt"
    assert "2 trials" in line and "needs 8 GB" in line and str(path) in line and path.exists()
