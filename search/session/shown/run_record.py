"""`run.json`: the record of a search for people and for `analysis`."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence

import torch

from models.machine import cores_in_words, seconds
from models.provenance import git_commit, timestamp, versions
from search.record.schema import SEARCH_RUNNING
from search.store.files import write_json
from search.store.folder import RunFolder
from search.task.settings import Settings
from search.tune.logbook import Logbook
from search.tune.scheduler import DECIDERS
from search.tune.schedulers.deciding import REDUCTION_FACTOR

PACKAGES = ("torch", "torchvision", "ray", "optuna", "scikit-learn", "numpy")


class RunRecord:
    """`run.json`: what was run, on which data, with which versions, and how far it came."""

    def __init__(self, logbook: Logbook, settings: Settings, argv: Sequence[str] = ()):
        self._logbook, self._settings = logbook, settings
        self._begin = seconds()
        earlier = _earlier_record(logbook.folder)
        self._earlier_s = float(earlier.get("seconds", 0.0))
        self._sessions = earlier.get("sessions", [])
        self._start = timestamp(time.time())
        self._argv = earlier.get("argv", list(argv))  # of the session that began the search

    def write(self, state: str) -> None:
        """Write run.json; `state` is one of schema.SEARCH_STATES."""
        logbook, header = self._logbook, self._logbook.state.header
        session_s = seconds() - self._begin
        here = {
            "git_commit": git_commit(),
            "versions": versions(PACKAGES),
            "device": _device(),
            "machine": _machine(),
        }
        session = {**here, "start": self._start, "seconds": round(session_s, 1)}
        write_json(
            logbook.folder.run_json,
            {
                "command": header["command"],
                "argv": self._argv,
                "state": state,
                **here,
                "sessions": [*self._sessions, session],
                "data": header["data"],
                "split": header["data"]["split"],
                "seed": header["seed"],
                "budget": self._settings.budget,
                "metric": logbook.task.metric,
                "mode": logbook.task.mode,
                "group": logbook.space.group,
                "groups": list(logbook.space.groups),
                **self._settings.options,
                "settings": self._settings.as_json(),
                "space": header["space"],
                "presets": header["presets"],
                **{
                    name: header[name]
                    for name in ("changes", "left_out", "starts")
                    if name in header
                },
                "scheduler": self._settings.scheduler,
                "reduction_factor": REDUCTION_FACTOR,
                "rungs": DECIDERS[self._settings.scheduler].rungs_of(
                    self._settings.grace_epochs, logbook.task.max_epochs
                ),
                "counts": logbook.state.counts(),
                "start": timestamp(header["time"]),
                "end": None if state == SEARCH_RUNNING else timestamp(time.time()),
                "seconds": round(self._earlier_s + session_s, 1),
            },
        )
        logbook.folder.publish()


def _earlier_record(folder: RunFolder) -> dict:
    """The record of the last session; empty if there is none that can be read."""
    try:
        return json.loads(folder.run_json.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {cores_in_words()}"
