"""When a trial's checkpoint is saved, and what a restart repeats."""

from __future__ import annotations

import pytest

from search.store.checkpoints import CheckpointStore
from search.store.files import FolderFiles
from search.tune.scheduler import checkpoint_policy
from search.tune.worker.attempt import EVERY_EPOCH, Attempt, CheckpointPolicy
from tests.search.toy import ToyTask

CONFIG = {"id": "trial_00000", "seed": 0, "parameters": {"size": 1, "x": 0.25, "trouble": ""}}
NEVER = CheckpointPolicy(frozenset(), every_s=1e9)


def attempt(path, policy=EVERY_EPOCH, task=None, config=CONFIG) -> Attempt:
    return Attempt(task or ToyTask(), CheckpointStore(FolderFiles(path)), policy, config, None)


def saved(path) -> int:
    state = CheckpointStore(FolderFiles(path)).load("trial_00000")
    return state["record"]["epoch"] if state else 0


def test_a_checkpoint_is_due_at_a_rung_after_a_while_and_by_its_cost():
    policy = CheckpointPolicy(frozenset([3]))
    assert policy.is_due(3, since_s=0.0, cost_s=9.0)
    assert not policy.is_due(2, since_s=4.9, cost_s=0.1)  # 0.1 s of 4.9 s is more than 2 %
    assert policy.is_due(2, since_s=5.0, cost_s=0.1)
    assert CheckpointPolicy(frozenset(), every_s=30.0).is_due(1, since_s=30.0, cost_s=9.0)
    assert not CheckpointPolicy(frozenset(), every_s=30.0).is_due(1, since_s=29.0, cost_s=0.0)


def test_a_trial_is_saved_wherever_it_may_be_stopped():
    assert checkpoint_policy(ToyTask(max_epochs=81), 3, None, "asha").epochs == {3, 9, 27, 81}


def test_between_the_rungs_nothing_is_written_and_every_record_says_so(tmp_path):
    running = attempt(tmp_path, CheckpointPolicy(frozenset([3]), every_s=1e9))
    found = [(record["epoch"], record["saved_epoch"]) for record in map(_next, [running] * 4)]
    assert found == [(1, 0), (2, 0), (3, 3), (4, 3)] and saved(tmp_path) == 3


def test_a_restart_repeats_the_epochs_since_the_checkpoint_to_the_same_values(tmp_path):
    first = attempt(tmp_path, CheckpointPolicy(frozenset([2]), every_s=1e9))
    values = [first.next_record()["value"] for _ in range(3)]
    again = attempt(tmp_path, NEVER)
    repeated = [again.next_record() for _ in range(2)]
    assert [each["epoch"] for each in repeated] == [2, 3]
    assert [each["value"] for each in repeated] == values[1:]


def test_the_best_weights_of_an_epoch_that_was_not_saved_come_with_the_next_checkpoint(tmp_path):
    task = ToyTask(mode="max")  # the toy's value falls: its first epoch is the best
    running = attempt(tmp_path, CheckpointPolicy(frozenset([3]), every_s=1e9), task)
    for _ in range(3):
        running.next_record()
    assert CheckpointStore(FolderFiles(tmp_path)).load_weights("trial_00000") == {"epoch": 1}


@pytest.mark.parametrize("trouble", ["nan"])
def test_an_epoch_that_ends_the_trial_for_another_reason_is_saved(tmp_path, trouble):
    config = {**CONFIG, "parameters": {**CONFIG["parameters"], "trouble": trouble}}
    running = attempt(tmp_path, NEVER, config=config)
    assert [running.next_record()["saved_epoch"] for _ in range(2)] == [0, 2]
    limited = attempt(tmp_path / "limited", NEVER, ToyTask(seconds_per_trial=9.0))
    assert limited.next_record()["saved_epoch"] == 1


def _next(running: Attempt) -> dict:
    return running.next_record()
