"""The Ray trainable: a few lines around a trial's epochs.

A class trainable runs an epoch inside Ray's call for it. Ray's function trainables run in a
thread of their own, and a reused actor whose thread does not end in time can hang a search.
"""

from __future__ import annotations

from uuid import uuid4

import ray
import torch
from ray import tune
from ray.exceptions import RayActorError, RayTaskError

from search.store.checkpoints import CheckpointStore, check_seen
from search.store.files import Files
from search.task.protocol import Task, data_from_arrays
from search.tune.worker.attempt import Attempt, CheckpointPolicy
from search.tune.worker.card import CardLost, Place
from search.tune.worker.device import claim_device


class EpochTrainable(tune.Trainable):
    """Each step is an epoch of `task`. A config holds `id`, `number`, `seed` and `parameters`.

    With `cards`, a trial that holds a part of a GPU trains in the one process of that GPU."""

    def setup(
        self,
        config: dict,
        task: Task,
        arrays: dict,
        run: Files,
        store: CheckpointStore,
        policy: CheckpointPolicy,
        secret: str,
        threads: int,
        cards: ray.actor.ActorHandle | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        self._check = lambda: check_seen(run, secret)  # before the first trial
        self._task, self._store, self._policy = task, store, policy
        self._cards = cards if ray.get_gpu_ids() else None
        self._card = None
        if self._cards is None:
            device = claim_device()
            # Once per actor: the next trials of a reused actor find the data on the device.
            self._data = task.prepare(data_from_arrays(arrays), device)
        self._attempt: Attempt | None = None
        self._begun: tuple[str, str] | None = None  # id and key of the attempt on the card

    def reset_config(self, new_config: dict) -> bool:
        # The trial begins in `step`: Ray retries a trial that fails there, but not one that
        # fails here.
        self._leave()
        return True

    def cleanup(self) -> None:
        self._leave()

    def step(self) -> dict:
        """The record of the trial's next epoch, see `search.tune.worker.attempt.Attempt`."""
        if self._check:
            self._check()
            self._check = None
        return self._step_here() if self._cards is None else self._step_on_card()

    def _step_here(self) -> dict:
        if self._attempt is None:
            self._attempt = Attempt(self._task, self._store, self._policy, self.config, self._data)
        return self._attempt.next_record()

    def _step_on_card(self) -> dict:
        if self._card is None:
            self._card = ray.get(self._cards.at.remote(Place.of_this_worker()))
        self._begun = self._begun or (self.config["id"], uuid4().hex)
        try:
            record = ray.get(self._card.step.remote(self.config, self._begun[1]))
        except RayTaskError as error:
            raise error.cause from error
        except RayActorError as error:
            raise CardLost(f"the process of its GPU ended: {str(error).splitlines()[0]}") from error
        return record

    def _leave(self) -> None:
        """Free what the last trial holds."""
        if self._begun is not None:
            self._card.leave.remote(*self._begun)
        self._attempt = self._begun = self._card = None
