"""A search task that costs nothing: its "training" is arithmetic, and it can fail on demand."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from optuna.distributions import FloatDistribution

from search.task.space import Preset, Space


@dataclass(frozen=True)
class ToyTask:
    """Minimises (x - 0.3)^2 + 1 / epoch. `trouble` maps a trial's x (rounded to its index in
    the presets) to what goes wrong there; each kind of trouble strikes at the second epoch."""

    max_epochs: int = 4
    trouble: tuple[str, ...] = ()  # one preset for each, in order
    marks: str = ""  # folder where a trouble that strikes once leaves its mark
    checkpoints: bool = True
    seconds_per_trial: float | None = None
    metric: str = "value"
    mode: str = "min"
    metrics: tuple[str, ...] = ("train_loss", "value")
    groups: tuple[int, ...] = (1, 2)
    kept: tuple[str, ...] = ("train_loss",)
    retrained_presets: tuple[str, ...] = ()
    pause_s: float = 0.0  # an epoch takes up to so long: x times that

    def space(self):
        return Space({"x": FloatDistribution(0.0, 1.0)}, "size", self.groups, {"trouble": ""})

    def presets(self):
        return tuple(
            Preset(f"preset-{n}", {"size": self.groups[0], "x": 1.0, "trouble": kind})
            for n, kind in enumerate(self.trouble)
        )

    def prepare(self, data, device):
        return None

    def start(self, parameters, seed, prepared):
        return ToyRun(self, parameters)

    def describe(self, parameters, seed):
        return {"model": {"x": parameters["x"]}}

    def test(self, weights, parameters, data, device):
        metrics = {
            "validation_value": parameters["x"],
            "test_value": parameters["x"],
            "tested_epoch": weights["epoch"],
            "trained_on": len(data.train),
        }
        return metrics, {"kept": np.array([parameters["x"]])}

    def examples(self, weights, parameters, data):
        return {"x": np.array(parameters["x"])}

    def floors(self, data):
        return {}

    def conclude(self, winners, data, sources):
        told = [{"kept": [float(d["kept"][0]) for d in winner.details]} for winner in winners]
        return told, {"concluded": len(winners)}


class ToyRun:
    def __init__(self, task: ToyTask, parameters: dict):
        self.task, self.parameters, self.epoch = task, parameters, 0

    def epochs(self):
        if self.task.marks:
            Path(self.task.marks, f"worker-{os.getpid()}").touch()
        while self.epoch < self.task.max_epochs:
            if self.epoch == 1:
                self._misbehave(self.parameters["trouble"])
            self.epoch += 1
            time.sleep(self.task.pause_s * self.parameters["x"])
            value = (self.parameters["x"] - 0.3) ** 2 + 1 / self.epoch
            if self.parameters["trouble"] == "nan" and self.epoch == 2:
                value = float("nan")
            yield {"epoch": self.epoch, "train_loss": value, "value": value}

    def _misbehave(self, trouble: str) -> None:
        if trouble.endswith("-once"):
            mark = Path(self.task.marks, trouble)
            if mark.exists():
                return
            mark.touch()
        if trouble.startswith("raise"):
            raise RuntimeError("this trial was told to raise")
        if trouble.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble.startswith("stuck"):
            time.sleep(3600)

    def state_dict(self):
        return {"epoch": self.epoch}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]

    def weights(self):
        return {"epoch": self.epoch}
