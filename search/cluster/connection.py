"""Joining a Ray cluster, or starting one on this machine."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
import warnings
from pathlib import Path
from unittest.mock import patch

import ray
import ray._private.utils
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.exceptions import AuthenticationError

import models
import probes
import search
from models import ending
from models.machine import usable_cores
from search.cluster.ray_folder import ray_folder
from search.task.settings import UsageError
from search.tune.limits import SearchStopped

STARTS = 3
QUIET = {"log_to_driver": False, "logging_level": logging.ERROR}


def start_ray(address: str | None, num_cpus: int | None = None) -> None:
    """Join the cluster at `address`, and bring this code to its workers. Without an address, start
    a cluster on this machine, with `num_cpus` CPUs, or as many as this process may use. If this
    process has joined one already, do nothing.

    Raises UsageError if no cluster answers, SearchStopped if Ray does not start here."""
    if ray.is_initialized():
        return
    # A worker spends most of its start on these imports. Ray starts workers while the driver still
    # prepares, and with this variable they import in that time.
    os.environ.setdefault("RAY_preload_python_modules", "torch,ray.tune,optuna")
    # Ray would end the process at SIGTERM, without a line that says how to go on.
    with patch.object(ray._private.utils, "set_sigterm_handler", lambda handler: None):
        if address is None:
            _start_here(num_cpus or usable_cores())
        else:
            _join(address)
    ending.check()  # Ray's C++ code has its own handler, which prints its stack


def _join(address: str) -> None:
    variable = os.environ.get("RAY_ADDRESS") if address == "auto" else None
    where = f"{address} (RAY_ADDRESS is {variable})" if variable else address
    if (variable or address).startswith(("http://", "https://")):
        raise UsageError(
            f"--address {where}: this is the address for ray job submit; give HOST:6379, "
            "ray://HOST:10001, or auto with RAY_ADDRESS unset"
        )
    print(f"joining the cluster at {variable or address}", flush=True)  # it can take a minute
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray raises afterwards what it warns of
            ray.init(address=address, runtime_env=_code(), **QUIET)
    except Exception as error:  # Ray raises many classes here
        raise UsageError(f"--address {where}: {_why_not(error)}") from error


def _start_here(num_cpus: int) -> None:
    """Tries several times: on a busy machine Ray's processes give up on each other after 15 s."""
    folder, note = ray_folder()
    if note:
        print(note, flush=True)
    _keep_token_out_of_home()
    for left in reversed(range(STARTS)):
        try:
            # With address=None Ray would join the cluster that was last started on this machine.
            ray.init(
                address="local",
                num_cpus=num_cpus,
                include_dashboard=False,
                _temp_dir=str(folder),
                **QUIET,
            )
            return
        except Exception as error:  # Ray raises no narrower class here
            ray.shutdown()
            if "timed out during startup" not in str(error) or not left:
                raise SearchStopped(
                    f"Ray does not start on this machine: {_first_line(error)} "
                    f"(its logs: {folder}/session_latest/logs)"
                ) from error


def _keep_token_out_of_home() -> None:
    """Give Ray the token of the new cluster in the environment, where the home cannot be written.
    Ray 2.60 looks for a token there first, and writes a new one to ~/.ray."""
    if any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        return
    folder = Path("~/.ray").expanduser()
    if (folder / "auth_token").exists():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"token")
    except OSError:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _code() -> dict:
    """A runtime environment with the packages that workers import; nodes need not have them
    installed. A submitted job whose working folder holds the packages needs none: Ray sends that
    folder to the workers too. Ray would also apply the job's "excludes" to each package, and
    "/data" would leave out models/data."""
    folders = [Path(package.__file__).parent for package in (search, probes, models)]
    is_job = RAY_JOB_CONFIG_JSON_ENV_VAR in os.environ
    if is_job and all(folder.is_relative_to(Path.cwd()) for folder in folders):
        return {}
    return {"py_modules": [str(folder) for folder in folders]}


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
    if "Version mismatch" in str(chain[0]):  # with the versions on four more lines
        return f"{' '.join(str(chain[0]).split())} (install the cluster's versions here)"
    return f"no cluster answers ({_first_line(chain[0])})"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
