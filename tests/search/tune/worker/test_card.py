"""The process of a GPU, in which trials train side by side; here they train on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import ray
import torch

from models.data import load
from search.autoencoders.task import AutoencoderTask
from search.record import schema
from search.store.checkpoints import CheckpointStore
from search.store.files import FolderFiles
from search.store.folder import RunFolder
from search.task.protocol import arrays_from_data
from search.tune.failures import failure_of
from search.tune.logbook import Logbook
from search.tune.worker.attempt import EVERY_EPOCH, Attempt
from search.tune.worker.card import Card, GpuMemory, Need, number_of_weights
from tests.search.toy import ToyTask
from tests.search.toy_search import NO_DATA


def card_of(task, data, path) -> Card:
    store = CheckpointStore(FolderFiles(path))
    return Card("", task, [ray.put(arrays_from_data(data))], store, EVERY_EPOCH)


def config(number: int, **parameters) -> dict:
    return {"id": f"trial_{number:05d}", "seed": 0, "parameters": parameters}


def toy(number: int, trouble: str = "") -> dict:
    return config(number, size=1, x=0.25, trouble=trouble)


@pytest.mark.usefixtures("cluster")
def test_trials_that_train_side_by_side_have_the_curves_that_they_have_alone(tmp_path):
    data = load("mnist5k", "data", train_size=60)
    task = AutoencoderTask((16,), 2, "quick")
    presets = [preset.parameters | {"dropout": 0.2} for preset in task.presets()[:3]]
    configs = [config(n, **parameters) for n, parameters in enumerate(presets)]
    card = card_of(task, data, tmp_path / "together")

    def train(each: dict) -> list[dict]:
        return [without_times(card.step(each, "a")) for _ in range(2)]

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(train, configs))
    store, prepared = CheckpointStore(FolderFiles(tmp_path / "alone")), task.prepare(data, "cpu")
    for each, found in zip(configs, together, strict=True):
        alone = Attempt(task, store, EVERY_EPOCH, each, prepared)
        assert [without_times(alone.next_record()) for _ in range(2)] == found


def without_times(record: dict) -> dict:
    return {k: v for k, v in record.items() if k not in ("seconds", "images_per_s")}


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_raises_takes_no_other_with_it_and_goes_on_from_its_checkpoint(tmp_path):
    task = ToyTask(marks=str(tmp_path))
    card = card_of(task, NO_DATA, tmp_path / "checkpoints")
    card.step(toy(0), "a")
    card.step(toy(1, "raise-once"), "a")
    with pytest.raises(RuntimeError, match="told to raise"):
        card.step(toy(1, "raise-once"), "a")
    assert card.step(toy(0), "a")["epoch"] == 2
    again = [card.step(toy(1, "raise-once"), "b")["epoch"] for _ in range(2)]
    assert again == [1, 2]


@pytest.mark.usefixtures("cluster")
def test_the_end_of_an_attempt_leaves_the_next_attempt_of_the_trial_alone(tmp_path):
    """A trial that is called back may begin before its last worker has left."""
    card = card_of(ToyTask(), NO_DATA, tmp_path)
    assert [card.step(toy(0), key)["epoch"] for key in ("a", "b")] == [1, 1]
    card.leave("trial_00000", "a")
    assert card.step(toy(0), "b")["epoch"] == 2
    card.leave("trial_00000", "b")
    assert not card._attempts


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_does_not_fit_into_the_memory_says_so(tmp_path, monkeypatch):
    def full(self):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    card = card_of(ToyTask(), NO_DATA, tmp_path)
    card.step(toy(0), "a")
    with monkeypatch.context() as patch:
        patch.setattr(Attempt, "next_record", full)
        with pytest.raises(GpuMemory, match="2.00 GiB") as error:
            card.step(toy(1), "a")
    assert failure_of(error.value, "text").reason == schema.REASON_GPU_MEMORY
    assert card.step(toy(0), "a")["epoch"] == 2


def test_the_largest_preset_has_the_most_weights():
    task = AutoencoderTask((1024, 32), 1, "quick")
    images = task.prepare(load("mnist5k", "data", train_size=20), "cpu")
    runs = [task.start(preset.parameters, 0, images) for preset in task.presets()]
    largest = max(runs, key=number_of_weights)
    assert largest.network.config.latent_size == 1024


@pytest.mark.usefixtures("cluster")
def test_what_trials_gain_from_each_other_is_measured_until_half_of_the_memory_is_used(
    tmp_path, monkeypatch
):
    """Trials that sleep hinder each other not at all. `max_epochs` is less than is measured."""
    gib = 2**30
    left = iter([10 * gib, *(10 * gib - n * gib for n in (1, 2, 4, 8))])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (next(left), 10 * gib))
    card = card_of(ToyTask(max_epochs=2, pause_s=0.05), NO_DATA, tmp_path)
    card.device = "cuda"
    need = card.measure([{"size": 1, "x": x, "trouble": ""} for x in (1.0, 0.5, 0.8)], 0)
    assert isinstance(need, Need)
    assert (need.memory, need.total) == (gib, 10 * gib)
    assert list(need.gains) == [1, 2, 4, 8]  # sixteen would not fit
    assert need.gains[1] == pytest.approx(1, abs=0.5)
    assert need.gains[8] > need.gains[2] + 1  # 8 sleep for 6.3 times as long as the longest


SEARCH = """
import sys
from pathlib import Path
import ray
ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
from search.benchmark.searches import search_ours
from search.task.settings import Settings
from tests.search.toy import ToyTask
from tests.search.toy_search import NO_DATA
folder = Path(sys.argv[1])
task = ToyTask(trouble=("", "kill-once", "", "raise"), marks=sys.argv[2])
search_ours(task, Settings(num_samples=8, gpus_per_trial=0.25, max_failures=0), NO_DATA, folder)
"""


@pytest.mark.slow
def test_the_process_of_a_gpu_is_killed_and_its_trials_go_on_in_another(tmp_path):
    """Ray counts a GPU that is not there, so four trials share one process."""
    run, marks = tmp_path / "run", tmp_path / "marks"
    marks.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, str(run), str(marks)],
        capture_output=True,
        timeout=300,
        # A test of this process may have hidden its GPUs, as a worker does.
        env={name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"},
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert (marks / "kill-once").exists()
    assert len(list(marks.glob("worker-*"))) == 2  # processes in which a trial trained
    state = Logbook(RunFolder(run), ToyTask(trouble=("", "kill-once", "", "raise"))).state
    assert [trial.state for trial in state.trials[:4]] == ["complete"] * 3 + ["error"]
    assert not state.unfinished()
