"""Retraining after the search: who is retrained, what survives a killed worker, what is written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import ray
import torch

from search.session.final.finals import PRESET_SEEDS, write_finals
from search.session.final.retraining import retrain_and_test
from search.store.checkpoints import CheckpointStore
from search.task.protocol import arrays_from_data
from search.task.settings import Settings
from search.tune.limits import Limits
from tests.search.toy import ToyTask
from tests.search.toy_search import NO_DATA, open_logbook, run_toy

pytestmark = pytest.mark.usefixtures("cluster")
LIMITS = Limits(6, 1, 2, 1.0, 0.0, 2, 60.0, None)


def conclude(logbook, seeds: int) -> dict:
    arrays = ray.put(arrays_from_data(NO_DATA))
    write_finals(logbook, NO_DATA, arrays, LIMITS, Settings(final_seeds=seeds))
    return json.loads(logbook.folder.final_json.read_text())


@pytest.fixture(scope="module")
def searched(tmp_path_factory, cluster):
    task = ToyTask(trouble=("", ""), retrained_presets=("preset-1",))
    path = tmp_path_factory.mktemp("finals") / "run"
    run_toy(path, task, 6)
    return path, task, conclude(open_logbook(path, task), seeds=4)


def test_every_group_s_winner_is_retrained_with_every_seed(searched):
    _, _, final = searched
    assert final["seeds"] == [1, 2, 3, 4]
    assert [winner["size"] for winner in final["winners"]] == [1, 2]
    for winner in final["winners"]:
        assert [run["seed"] for run in winner["runs"]] == [1, 2, 3, 4]
        assert winner["kept"] == 4 * [winner["parameters"]["x"]]  # what `test` kept of each seed


def test_presets_are_retrained_where_the_task_says_so_with_few_seeds(searched):
    _, _, final = searched
    plain, chosen = final["presets"]
    assert "runs" not in plain and plain["test_value"] == 1.0
    assert [run["seed"] for run in chosen["runs"]] == list(range(1, PRESET_SEEDS + 1))


def test_concluding_again_trains_nothing_and_writes_the_same(searched):
    path, task, final = searched
    broken = replace(task, max_epochs=0)  # a run that began again would have no epoch
    assert conclude(open_logbook(path, broken), seeds=4) == final


def test_examples_are_made_once_for_a_winner_and_again_where_they_are_another_s(searched):
    path, task, final = searched
    first, second = (path / "best" / str(size) / "examples.npz" for size in task.groups)
    made = first.read_bytes()
    for winner, examples in zip(final["winners"], (first, second), strict=True):
        assert np.load(examples)["x"] == winner["parameters"]["x"]
    before = first.stat().st_mtime_ns
    second.write_bytes(made)
    conclude(open_logbook(path, task), seeds=4)
    assert first.stat().st_mtime_ns == before
    assert np.load(second)["x"] == final["winners"][1]["parameters"]["x"]
    first.write_bytes(made[:-30])
    conclude(open_logbook(path, task), seeds=4)
    assert first.read_bytes() == made


def test_more_seeds_train_only_what_is_missing(searched):
    path, task, final = searched
    logbook = open_logbook(path, task)
    before = set(logbook.state.finals)
    assert conclude(logbook, seeds=5)["winners"][0]["runs"][:4] == final["winners"][0]["runs"]
    assert len(set(logbook.state.finals) - before) == 2


def test_a_killed_retraining_goes_on_from_its_last_epoch(tmp_path):
    task = ToyTask(marks=str(tmp_path))
    folder = open_logbook(tmp_path / "run", task).folder
    parameters = {"size": 1, "x": 0.25, "trouble": "kill-once"}  # dies in its second epoch
    arguments = (task, arrays_from_data(NO_DATA), folder.finals, "trial_00000", parameters, 1, 1)
    found = ray.get(ray.remote(retrain_and_test).remote(*arguments))
    assert (tmp_path / "kill-once").exists()
    assert found["epochs"] == found["tested_epoch"] == task.max_epochs
    assert CheckpointStore(folder.finals).trial_ids() == {"trial_00000-seed-1"}


@pytest.mark.parametrize("trouble", ["", "kill-once"])
def test_with_validation_images_training_ends_at_the_chosen_epoch(tmp_path, trouble):
    task = ToyTask(max_epochs=9, marks=str(tmp_path))
    folder = open_logbook(tmp_path / "run", task).folder
    parameters = {"size": 1, "x": 0.25, "trouble": trouble}
    data = replace(
        NO_DATA,
        images=torch.zeros((6, 28, 28), dtype=torch.uint8),
        train=torch.tensor([1, 4]),
        validation=torch.tensor([0, 3]),
        test=torch.tensor([2, 5]),
    )
    arguments = (task, arrays_from_data(data), folder.finals, "trial_00000", parameters, 1, 1, 3)
    found = ray.get(ray.remote(retrain_and_test).remote(*arguments))
    assert found["epochs"] == found["tested_epoch"] == 3
    assert found["trained_on"] == 4
    assert not [key for key in found if key.startswith("validation_")]


def test_the_epoch_that_validation_likes_best_is_tested(tmp_path):
    task = ToyTask(mode="max")  # the toy's value falls: its first epoch is the best
    folder = open_logbook(tmp_path / "run", task).folder
    parameters = {"size": 1, "x": 0.25, "trouble": ""}
    found = retrain_and_test(
        task, arrays_from_data(NO_DATA), folder.finals, "trial_00000", parameters, 1, 1
    )
    assert found["epochs"] == found["tested_epoch"] == 1
