"""One attempt at a trial: its epochs on a device, from its checkpoint on.

A checkpoint is saved where it is needed or worth its time. Where a scheduler may end the trial, the
best weights must be on disk before the driver knows of the epoch. Between such epochs a crash costs
the training since the last checkpoint; those epochs are trained again, to the same records.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from search.store.checkpoints import CheckpointStore
from search.task.protocol import Run, Task

SHARE_OF_TIME = 0.02  # the part of a trial's time that checkpoints between the rungs may take


@dataclass(frozen=True)
class CheckpointPolicy:
    """When a trial's checkpoint is saved: at `epochs`, where a scheduler may end it, and `every_s`
    seconds (None: as often as SHARE_OF_TIME allows)."""

    epochs: frozenset[int]
    every_s: float | None = None

    def is_due(self, epoch: int, since_s: float, cost_s: float) -> bool:
        """After an epoch; `since_s` seconds after the last checkpoint, which took `cost_s`."""
        period = cost_s / SHARE_OF_TIME if self.every_s is None else self.every_s
        return epoch in self.epochs or since_s >= period


EVERY_EPOCH = CheckpointPolicy(frozenset(), every_s=0.0)


class Saver:
    """Saves the checkpoints of a training where they are due."""

    def __init__(self, store: CheckpointStore, name: str, policy: CheckpointPolicy):
        self._store, self._name, self._policy = store, name, policy
        self._weights: dict | None = None  # the best so far, where they are not saved yet
        self._saved_at, self._cost_s = time.monotonic(), 0.0

    def keep(
        self, epoch: int, state: dict, run: Run, weights: dict | None, must: bool = False
    ) -> bool:
        """If a checkpoint is due or `must` is true, save `state`, the state of `run` and the best
        weights. Returns whether it saved. `weights`: those of this epoch if it is the best."""
        self._weights = self._weights if weights is None else weights
        start = time.monotonic()
        if not (must or self._policy.is_due(epoch, start - self._saved_at, self._cost_s)):
            return False
        self._store.save(self._name, {**state, "run": run.state_dict()}, self._weights)
        self._weights, self._saved_at = None, time.monotonic()
        self._cost_s = self._saved_at - start
        return True


class Attempt:
    """The epochs of a trial. `config` holds its `id`, `seed` and `parameters`; `data` is what
    `task.prepare` returned."""

    def __init__(
        self, task: Task, store: CheckpointStore, policy: CheckpointPolicy, config: dict, data: Any
    ):
        self._task, self._saver = task, Saver(store, config["id"], policy)
        self._run = task.start(config["parameters"], config["seed"], data)
        self._replayed: dict | None = None
        self._best: float | None = None
        self._saved_epoch = 0
        state = store.load(config["id"])
        if state is not None:
            self._run.load_state_dict(state["run"])
            self._replayed, self._best = state["record"], state["best"]
            self._saved_epoch = state["record"]["epoch"]
        self._epochs = self._run.epochs()

    def next_record(self) -> dict:
        """The next epoch's record. The first record after a restart is the checkpoint's own, which
        the driver may not have seen; the driver ignores an epoch that it has already."""
        if self._replayed is not None:
            record, self._replayed = self._replayed, None
        else:
            start = time.perf_counter()
            record = next(self._epochs)
            record["seconds"] = time.perf_counter() - start
            if self._task.checkpoints:
                self._keep(record)
        return {
            **record,
            "saved_epoch": self._saved_epoch,
            "plain_because": getattr(self._run, "plain_because", None),
        }

    def _keep(self, record: dict) -> None:
        task = self._task
        value = record[task.metric] if task.mode == "min" else -record[task.metric]
        improved = math.isfinite(value) and (self._best is None or value < self._best)
        if improved:
            self._best = value
        diverged = not math.isfinite(value + record["train_loss"])
        saved = self._saver.keep(
            record["epoch"],
            {"record": record, "best": self._best},
            self._run,
            self._run.weights() if improved else None,
            must=diverged or task.seconds_per_trial is not None,
        )
        if saved:
            self._saved_epoch = record["epoch"]
