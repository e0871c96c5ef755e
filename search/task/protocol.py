"""What a kind of search must define; everything else is the same for all of them."""

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
from search.task.own import OwnSpace
from search.task.space import Preset, Space


class Run(Protocol):
    """One training run, for example a `models.training.loop.TrainingRun`."""

    def epochs(self) -> Iterator[dict]: ...
    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: dict) -> None: ...
    def weights(self) -> dict: ...


@dataclass(frozen=True)
class Retrained:
    """A winner of the search and the results of its retraining, for `Task.conclude`."""

    parameters: dict
    weights: dict  # of the trial in the search, not of a retraining
    details: list[dict[str, np.ndarray]]  # for each seed, the arrays that `Task.test` returned
    folder: Path  # the winner's folder under best/


@dataclass(frozen=True)
class Sources:
    """Where `Task.conclude` finds other runs and other data sets."""

    runs: Path  # the folder of run folders
    data_dir: str  # the folder of data sets
    fetch: Callable[[str], None] = lambda pattern: None
    """Copies the files that match a pattern, such as "*/best/*", to `runs`, if they are in a
    bucket."""


class Task(Protocol):
    """A kind of search. It is pickled and sent to the workers, so it must be small."""

    metrics: tuple[str, ...]  # keys of an epoch's record besides "epoch"; one is "train_loss"
    metric: str  # the one that the search improves
    mode: str  # "min" or "max"
    max_epochs: int
    checkpoints: bool  # False if trials are so short that checkpoints are not worth it
    seconds_per_trial: float | None  # a trial that takes longer is stopped
    kept: tuple[str, ...]  # metrics of the training that final.json repeats
    retrained_presets: tuple[str, ...]  # presets that are retrained with new seeds, as winners are
    own: OwnSpace  # what the user puts in the place of the default space and presets

    def default_space(self) -> Space:
        """What is searched if the user wants nothing else."""

    def default_presets(self) -> tuple[Preset, ...]: ...

    def space(self) -> Space:
        """What is searched: `own.space` of the default."""

    def presets(self) -> tuple[Preset, ...]:
        """The first trials: `own.presets` of the default ones."""

    def check(self, parameters: dict) -> None:
        """Raise ValueError, with the reason in one line, if no trial can have these parameters."""

    def prepare(self, data: ImageData, device: str) -> Any:
        """The data as `start` takes it; called once per worker process."""

    def start(self, parameters: dict, seed: int, prepared: Any) -> Run: ...

    def describe(self, parameters: dict, seed: int) -> dict:
        """The configuration to store beside weights, JSON-ready."""

    def test(
        self, weights: dict, parameters: dict, data: ImageData, device: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Metrics of trained weights on the whole validation split and the whole test split, and
        the arrays that `conclude` needs, if any."""

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """Arrays for pictures of a winner, made without the test split; may be empty."""

    def floors(self, data: ImageData) -> dict:
        """What simple methods reach on the same splits, for final.json."""

    def conclude(
        self, winners: list[Retrained], data: ImageData, sources: Sources
    ) -> tuple[list[dict], dict]:
        """What final.json says about each winner besides its metrics, in the order of `winners`,
        and what it says about the whole search."""


def uses_gpu(task: Task, parameters: dict) -> bool:
    """Whether a trial with these parameters uses a GPU if the cluster has one. The answer is yes,
    unless the task has a method `uses_gpu` that says otherwise."""
    chosen = getattr(task, "uses_gpu", None)
    return True if chosen is None else chosen(parameters)


def arrays_from_data(data: ImageData) -> dict:
    """`data` with NumPy arrays instead of tensors: Ray's object store shares them without a
    copy."""
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
        # The store's memory is read-only, and no code here writes to a data set.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return kind(
            **{
                name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for name, value in arrays.items()
                if name != "kind"
            }
        )
