"""Checkpoints of running trials, and the weights that the best ones leave.

Two files a trial: `<id>.pt`, what its next epoch depends on, replaced at every epoch, and
`<id>.best.pt`, its weights at its best epoch so far. The worker writes them before it reports the
epoch, so a checkpoint is never behind the ledger, and at most one epoch ahead of it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import torch

from search.folder import FolderError, write_atomically


class StorageFull(Exception):
    """No room for a checkpoint. Not the trial's fault: the search stops, and can be resumed."""


class CheckpointStore:
    """The checkpoints of one search, in the folder `root`."""

    def __init__(self, root: Path):
        self.root = root

    def state_path(self, trial_id: str) -> Path:
        return self.root / f"{trial_id}.pt"

    def weights_path(self, trial_id: str) -> Path:
        return self.root / f"{trial_id}.best.pt"

    def save(self, trial_id: str, state: dict, weights: dict | None) -> None:
        """Write a trial's state and, if given, its best weights. Raises StorageFull."""
        try:
            if weights is not None:
                _save(self.weights_path(trial_id), weights)
            _save(self.state_path(trial_id), state)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(f"no room left in {self.root}") from error
            raise

    def load(self, trial_id: str) -> dict | None:
        """The state that `save` wrote, on the CPU; None if there is none."""
        path = self.state_path(trial_id)
        if not path.exists():
            return None
        return torch.load(path, map_location="cpu", weights_only=True)

    def check(self, trial_id: str, epochs: int) -> None:
        """Raise FolderError unless the trial can go on from at least that epoch."""
        path = self.state_path(trial_id)
        try:
            state = self.load(trial_id)
        except Exception as error:  # whatever torch makes of a damaged file
            raise FolderError(
                f"{path} is damaged ({type(error).__name__}): put it back from a "
                "copy, or start another search"
            ) from error
        if state is None or state["record"]["epoch"] < epochs:
            raise FolderError(
                f"{path} is {'missing' if state is None else 'too old'}, and its "
                f"trial has had {epochs} epochs: put it back from a copy, or start "
                "another search"
            )

    def delete(self, trial_id: str) -> None:
        self.state_path(trial_id).unlink(missing_ok=True)
        self.weights_path(trial_id).unlink(missing_ok=True)

    def trial_ids(self) -> set[str]:
        """The trials that have any file here; what a killed worker left half written is removed."""
        found = set()
        for name in os.listdir(self.root) if self.root.exists() else ():
            if name.endswith(".tmp"):
                (self.root / name).unlink(missing_ok=True)
            else:
                found.add(name.split(".")[0])
        return found


def _save(path: Path, value: dict) -> None:
    write_atomically(path, lambda file: torch.save(value, _Checked(file)))


class _Checked:
    """torch.save turns a failed write into a RuntimeError without the reason; this keeps the
    OSError, so that a full disk is known for what it is."""

    def __init__(self, file):
        self._file = file

    def write(self, data) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
