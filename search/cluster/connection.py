"""Joining a Ray cluster, or starting one on this machine."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from unittest.mock import patch

import ray
import ray._private.utils
from ray.exceptions import AuthenticationError, RayError

import models
import probes
import search
from models import ending
from models.machine import usable_cores
from search.task.settings import UsageError

STARTS = 3
QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}


def start_ray(address: str | None, num_cpus: int | None = None) -> None:
    """Join the cluster at `address`, and bring this code to its workers. Without an address, start
    a cluster on this machine, with `num_cpus` CPUs, or as many as this process may use. If this
    process has joined one already, do nothing.

    Raises UsageError if no cluster answers."""
    if ray.is_initialized():
        return
    # Importing these takes a worker longest. Ray starts workers while the driver is still getting
    # ready, and with this they import them in that time.
    os.environ.setdefault("RAY_preload_python_modules", "torch,ray.tune,optuna")
    # Ray would end the process at SIGTERM, without a word on how to go on.
    with patch.object(ray._private.utils, "set_sigterm_handler", lambda handler: None):
        if address is None:
            _start_here(num_cpus or usable_cores())
        else:
            _join(address)
    ending.check()  # Ray's C++ code has its own handler, which prints its stack


def _join(address: str) -> None:
    try:
        ray.init(address=address, runtime_env=_code(), **QUIET)
    except (ConnectionError, RuntimeError, RayError) as error:
        raise UsageError(f"--address {address}: {_why_not(error)}") from error


def _start_here(num_cpus: int) -> None:
    """Tries several times: on a busy machine Ray's processes give up on each other after 15 s."""
    for left in reversed(range(STARTS)):
        try:
            # With address=None Ray would join the cluster that was last started on this machine.
            ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **QUIET)
            return
        except Exception as error:  # Ray raises no narrower class here
            if "timed out during startup" not in str(error) or not left:
                raise
            ray.shutdown()


def _code() -> dict:
    """A runtime environment with the packages that workers import; nodes need not have them
    installed. It has no "excludes", which would contradict those of a submitted job's own
    environment."""
    packages = (search, probes, models)
    return {"py_modules": [str(Path(package.__file__).parent) for package in packages]}


def _why_not(error: BaseException) -> str:
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    if any(isinstance(e, AuthenticationError) or "InvalidAuthToken" in str(e) for e in chain):
        return (
            "the cluster asks for a token: set RAY_AUTH_MODE=token, and set RAY_AUTH_TOKEN to the "
            "token of its head node (run ray get-auth-token there)"
        )
    reason = str(chain[0]).strip().splitlines()[0]
    return f"no cluster answers ({reason})"
