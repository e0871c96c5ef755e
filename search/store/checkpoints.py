"""Checkpoints of running trials: what the next epoch depends on, and the best weights so far.

A trial has two files: `<id>.pt`, replaced at every checkpoint, and `<id>.best.pt`, the weights at
the best epoch up to then. The worker writes them before it reports the epoch, and the ledger says
with each epoch which checkpoint was the newest: no checkpoint is older than the ledger says.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from search.store.files import Files, FolderError, one_line
from search.store.folder import SESSION

T = TypeVar("T")


class StorageFailed(Exception):
    """Checkpoints cannot be written or read. This is not the trial's fault: the search stops and
    can be resumed. The text is one line that says why."""


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one search, kept in `files`. It is sent to the workers."""

    files: Files

    def state_name(self, trial_id: str) -> str:
        return f"{trial_id}.pt"

    def weights_name(self, trial_id: str) -> str:
        return f"{trial_id}.best.pt"

    def save(self, trial_id: str, state: dict, weights: dict | None) -> None:
        """Write a trial's state and, if given, its best weights. Raises StorageFailed."""
        if weights is not None:
            self._save(self.weights_name(trial_id), weights)
        self._save(self.state_name(trial_id), state)

    def load(self, trial_id: str) -> dict | None:
        """The state that `save` wrote, with tensors on the CPU; None if there is none. Raises
        StorageFailed."""
        return self._load(self.state_name(trial_id))

    def weights(self, trial_id: str) -> bytes | None:
        """The file of a trial's best weights. Raises OSError."""
        return self.files.read(self.weights_name(trial_id))

    def load_weights(self, trial_id: str) -> dict:
        return self._load(self.weights_name(trial_id))

    def check(self, trial_id: str, epochs: int) -> None:
        """Raise FolderError unless the trial can go on from the epoch `epochs`, which was saved
        according to the ledger, or from a later epoch."""
        name = f"{self.files.location}/{self.state_name(trial_id)}"
        try:
            state = self.load(trial_id)
        except StorageFailed as error:
            raise FolderError(str(error)) from error
        except Exception as error:  # whatever torch makes of a damaged file
            raise FolderError(
                f"{name} is damaged ({type(error).__name__}): put it back from a "
                "copy, or start another search"
            ) from error
        if state is None or state["record"]["epoch"] < epochs:
            raise FolderError(
                f"{name} is {'missing' if state is None else 'too old'}, and its "
                f"trial has had {epochs} epochs: put it back from a copy, or start "
                "another search"
            )

    def holds(self, trial_id: str) -> bool:
        """Whether the trial has a checkpoint to go on from. Raises StorageFailed."""
        return self._attempt(lambda: self.files.read(self.state_name(trial_id))) is not None

    def delete(self, trial_id: str) -> None:
        self.files.delete(self.state_name(trial_id))
        self.files.delete(self.weights_name(trial_id))

    def trial_ids(self) -> set[str]:
        """The trials that have any file here."""
        return {name.split(".")[0] for name in self.files.names()}

    def _save(self, name: str, value: dict) -> None:
        def write(file) -> None:
            torch.save(value, _Checked(file))

        self._attempt(lambda: self.files.write(name, write))

    def _load(self, name: str) -> dict | None:
        found = self._attempt(lambda: self.files.read(name))
        if found is None:
            return None
        return torch.load(io.BytesIO(found), map_location="cpu", weights_only=True)

    def _attempt(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFailed(f"no room left in {self.files.location}") from error
            raise StorageFailed(f"{self.files.location}: {one_line(error)}") from error


def check_seen(run: Files, secret: str) -> None:
    """Raise StorageFailed unless this process sees the run folder of the session with that secret
    (`RunFolder.begin_session`), and not another folder of the same name."""
    try:
        seen = run.read(SESSION) == secret.encode()
    except OSError as error:
        raise StorageFailed(f"{run.location}: {one_line(error)}") from error
    if not seen:
        raise StorageFailed(
            f"{run.location} is not seen by a node that joined the cluster: mount it there, or "
            "take the node away"
        )


class _Checked:
    """torch.save turns a failed write into a RuntimeError without the reason. This keeps the
    OSError, so that a full disk is recognised."""

    def __init__(self, file):
        self._file = file

    def write(self, data) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
