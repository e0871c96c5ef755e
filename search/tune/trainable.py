"""The Ray trainable: a few lines around a training generator.

A class trainable runs an epoch inside Ray's call for it. Ray's function trainables run in a
thread of their own, and a reused actor whose thread does not end in time can hang a search.
"""

from __future__ import annotations

import math
import time

import torch
from ray import tune

from search.store.checkpoints import CheckpointStore, check_seen
from search.store.files import Files
from search.task.protocol import Task, data_from_arrays
from search.tune.device import claim_device


class EpochTrainable(tune.Trainable):
    """Each step is an epoch of `task`. A config holds `id`, `number`, `seed` and `parameters`."""

    def setup(
        self,
        config: dict,
        task: Task,
        arrays: dict,
        run: Files,
        store: CheckpointStore,
        secret: str,
        threads: int,
    ) -> None:
        torch.set_num_threads(threads)
        self._check = lambda: check_seen(run, secret)  # before the first trial
        self._task, self._store = task, store
        device = claim_device()
        # Once per actor: the next trials of a reused actor find the data on the device.
        self._data = task.prepare(data_from_arrays(arrays), device)
        self._epochs = None

    def reset_config(self, new_config: dict) -> bool:
        # The trial begins in `step`: Ray retries a trial that fails there, but not one that
        # fails here.
        self._epochs = None
        return True

    def step(self) -> dict:
        """The next epoch's record. The first record after a restart is the checkpoint's own, which
        the driver may not have seen; the driver ignores an epoch that it has already."""
        if self._epochs is None:
            self._begin(self.config)
        if self._replayed is not None:
            record, self._replayed = self._replayed, None
            return dict(record)
        start = time.perf_counter()
        record = next(self._epochs)
        record["seconds"] = time.perf_counter() - start
        self._save(record)
        return dict(record)

    def _begin(self, config: dict) -> None:
        if self._check:
            self._check()
            self._check = None
        self._id = config["id"]
        self._run = self._task.start(config["parameters"], config["seed"], self._data)
        self._replayed, self._best = None, None
        state = self._store.load(self._id)
        if state is not None:
            self._run.load_state_dict(state["run"])
            self._replayed, self._best = state["record"], state["best"]
        self._epochs = self._run.epochs()

    def _save(self, record: dict) -> None:
        if not self._task.checkpoints:
            return
        value = record[self._task.metric]
        value = value if self._task.mode == "min" else -value
        improved = math.isfinite(value) and (self._best is None or value < self._best)
        if improved:
            self._best = value
        state = {"run": self._run.state_dict(), "record": record, "best": self._best}
        self._store.save(self._id, state, self._run.weights() if improved else None)
