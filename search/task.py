"""What a kind of search must say of itself; everything else is the same for all of them."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch

from models.data import ImageData
from search.space import Preset, Space


class Run(Protocol):
    """One training run, as `models.training.TrainingRun`."""

    def epochs(self) -> Iterator[dict]: ...
    def state_dict(self) -> dict: ...
    def load_state_dict(self, state: dict) -> None: ...
    def weights(self) -> dict: ...


class Task(Protocol):
    """A kind of search. Travels to the workers, so it must be small and pickle."""

    metrics: tuple[str, ...]  # the record's keys, beside "epoch"; "train_loss" is among them
    metric: str  # the one that is searched
    mode: str  # "min" or "max"
    max_epochs: int
    checkpoints: bool  # False for trials too short to be worth one

    def space(self) -> Space: ...

    def presets(self) -> tuple[Preset, ...]: ...

    def prepare(self, data: ImageData, device: str) -> Any:
        """Data as `start` takes it; called once per worker process."""

    def start(self, parameters: dict, seed: int, prepared: Any) -> Run: ...

    def describe(self, parameters: dict, seed: int) -> dict:
        """The configuration to store beside weights, JSON-ready."""


def arrays_from_data(data: ImageData) -> dict:
    """`data` with NumPy arrays for tensors: what Ray's object store shares without copies."""
    fields = {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
    return {
        name: value.numpy() if isinstance(value, torch.Tensor) else value
        for name, value in fields.items()
    }


def data_from_arrays(arrays: dict) -> ImageData:
    """The inverse of `arrays_from_data`; the tensors share the arrays' memory."""
    with warnings.catch_warnings():
        # The store's memory is read-only, and nothing here writes to a data set.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return ImageData(
            **{
                name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
                for name, value in arrays.items()
            }
        )
