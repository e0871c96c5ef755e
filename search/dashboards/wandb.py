"""Weights & Biases: a group for each search, a run for each trial, and one for the pictures.

The project is $WANDB_PROJECT, else `autoencoder-search`. With WANDB_MODE=offline the runs are
written to `<run folder>/wandb/`, and `wandb sync` sends them later.
"""

from __future__ import annotations

import os

import numpy as np
import wandb

from search.dashboards.dashboard import About, Known, plain
from search.dashboards.wandb_file import steps_of
from search.record.schema import COMPLETE, PRUNED, RUNNING
from search.record.state import TrialRecord
from search.task.settings import UsageError

PROJECT, WINNERS = "autoencoder-search", "winners"


def refuse_unusable() -> None:
    """Raise UsageError without a login: W&B would ask for one in the middle of a search."""
    if _is_online() and not wandb.api.api_key:
        raise UsageError("--log-to wandb: no login; run `wandb login`, or set WANDB_MODE=offline")


def _is_online() -> bool:
    return os.environ.get("WANDB_MODE", "online") == "online"


class WandB:
    """A `search.dashboards.dashboard.Dashboard`."""

    def __init__(self, about: About):
        self._about = about
        self._runs: dict[str, wandb.Run] = {}
        self._earlier: dict[str, Known] = {}

    def open(self) -> None:
        """Find what earlier sessions sent."""
        self._earlier = self._on_server() if _is_online() else self._on_disk()

    def known(self, trial: TrialRecord) -> Known:
        return self._earlier.get(self._id(trial.id), Known())

    def write(self, trial: TrialRecord, state: str, records: list[dict]) -> None:
        run = self._runs.get(trial.id)
        if run is None:
            about = {**plain(trial.parameters), "preset": trial.origin}
            run = self._runs[trial.id] = self._init(trial.id, "trial", about)
        for record in records:
            run.log(record, step=record["epoch"])
        if state != RUNNING:
            run.summary.update({"state": state, "reason": trial.reason, "detail": trial.detail})
            run.summary.update(self._about.best(trial))
            self._runs.pop(trial.id).finish(exit_code=0 if state in (COMPLETE, PRUNED) else 1)

    def picture(self, name: str, image: np.ndarray) -> None:
        run = self._init(WINNERS, WINNERS, {})
        run.log({name: wandb.Image(image)})
        run.finish()

    def close(self) -> None:
        for run in self._runs.values():
            run.finish()

    def _init(self, name: str, kind: str, config: dict) -> wandb.Run:
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            group=self._about.name,
            name=name,
            id=self._id(name),
            job_type=kind,
            config=config,
            dir=self._about.folder,
            resume="allow" if _is_online() else None,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_stats=True,
            ),
        )

    def _id(self, name: str) -> str:
        return f"{self._about.name}-{int(self._about.begun):x}-{name}"[-128:]

    def _on_disk(self) -> dict[str, Known]:
        found: dict[str, set[int]] = {}
        for path in sorted((self._about.folder / "wandb").glob("offline-run-*/run-*.wandb")):
            found.setdefault(path.stem.removeprefix("run-"), set()).update(steps_of(path))
        return {name: Known(frozenset(steps)) for name, steps in found.items()}

    def _on_server(self) -> dict[str, Known]:
        api = wandb.Api()
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        entity = os.environ.get("WANDB_ENTITY") or api.default_entity
        try:
            runs = list(api.runs(f"{entity}/{project}", {"group": self._about.name}))
        except ValueError:  # no such project yet
            return {}
        return {
            run.id: Known(frozenset(range(run.lastHistoryStep + 1)), "state" in run.summary)
            for run in runs
        }


make = WandB
