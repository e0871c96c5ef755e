"""What a kind of search must say of itself; everything else is the same for all of them."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from models.data import ImageData
from search.task.space import Preset, Space


class Run(Protocol):
    """One training run, as `models.training.TrainingRun`."""

    def epochs(self) -> Iterator[dict]: ...
    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: dict) -> None: ...
    def weights(self) -> dict: ...


@dataclass(frozen=True)
class Retrained:
    """A winner of the search after it was trained again, for `Task.conclude`."""

    parameters: dict
    weights: dict  # of the search's own trial
    details: list[dict[str, np.ndarray]]  # what `Task.test` kept of each seed
    place: Path  # its folder under best/


@dataclass(frozen=True)
class Surroundings:
    """What a conclusion may look at beside its own search."""

    runs: Path  # the folder of run folders
    data_dir: str
    fetch: Callable[[str], None] = lambda pattern: None
    """Has files at hand in `runs` that are of a pattern, where runs are kept in a bucket."""


class Task(Protocol):
    """A kind of search. Travels to the workers, so it must be small and pickle."""

    metrics: tuple[str, ...]  # the record's keys, beside "epoch"; "train_loss" is among them
    metric: str  # the one that is searched
    mode: str  # "min" or "max"
    max_epochs: int
    checkpoints: bool  # False for trials too short to be worth one
    seconds_per_trial: float | None  # after which a trial is stopped where it is
    kept: tuple[str, ...]  # metrics of the training that final.json repeats
    retrained_presets: tuple[str, ...]  # presets that get new seeds as the winners do

    def space(self) -> Space: ...

    def presets(self) -> tuple[Preset, ...]: ...

    def prepare(self, data: ImageData, device: str) -> Any:
        """Data as `start` takes it; called once per worker process."""

    def start(self, parameters: dict, seed: int, prepared: Any) -> Run: ...

    def describe(self, parameters: dict, seed: int) -> dict:
        """The configuration to store beside weights, JSON-ready."""

    def test(
        self, weights: dict, parameters: dict, data: ImageData, device: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Metrics of trained weights on all of the validation and the test split, and arrays
        to keep for `conclude`, if any."""

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """Arrays for pictures of a winner, without the test split; may be none."""

    def floors(self, data: ImageData) -> dict:
        """What methods without training reach on the same splits, for final.json."""

    def conclude(
        self, winners: list[Retrained], data: ImageData, around: Surroundings
    ) -> tuple[list[dict], dict]:
        """What final.json says of each winner beside its metrics, and of the whole."""


def uses_gpu(task: Task, parameters: dict) -> bool:
    """Whether a trial of those parameters should hold a GPU where there are any; a task whose
    trials differ in that has a method of this name."""
    chosen = getattr(task, "uses_gpu", None)
    return True if chosen is None else chosen(parameters)


def arrays_from_data(data: ImageData) -> dict:
    """`data` with NumPy arrays for tensors: what Ray's object store shares without copies."""
    fields = {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
    arrays = {
        name: value.numpy() if isinstance(value, torch.Tensor) else value
        for name, value in fields.items()
    }
    return {"kind": type(data), **arrays}


def data_from_arrays(arrays: dict) -> ImageData:
    """The inverse of `arrays_from_data`; the tensors share the arrays' memory."""
    kind = arrays["kind"]
    with warnings.catch_warnings():
        # The store's memory is read-only, and nothing here writes to a data set.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return kind(
            **{
                name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for name, value in arrays.items()
                if name != "kind"
            }
        )
