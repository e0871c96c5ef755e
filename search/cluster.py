"""The Ray cluster that a session runs on: how it is reached, and how many trials it holds."""

from __future__ import annotations

import logging
import os

import ray

from search.settings import Settings, UsageError
from search.tuner import Limits


def start_ray(address: str | None, num_cpus: int | None = None) -> None:
    """Join the cluster at `address`, or start one on this machine (with all of its CPUs unless
    said); do nothing where this process has joined one. Raises UsageError if none answers."""
    if ray.is_initialized():
        return
    # Ray starts its workers while the driver is still getting ready; what takes them longest is
    # to import these, and here they do it in that time.
    os.environ.setdefault("RAY_preload_python_modules", "torch,ray.tune,optuna")
    try:
        ray.init(
            # Ray would join a cluster that happens to run on this machine, were it not told "local".
            address=address or "local",
            num_cpus=num_cpus,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except ConnectionError as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"--address {address}: no cluster answers ({reason})") from error


def session_limits(settings: Settings) -> Limits:
    """Fill the cluster: as many trials at a time as its CPUs and GPUs hold."""
    have = ray.cluster_resources()
    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = 0.25 if have.get("GPU", 0) else 0.0
    fits = [have.get("CPU", 1) / settings.cpus_per_trial]
    fits += [have.get("GPU", 0) / gpus] if gpus else []
    if min(fits) < 1:
        raise UsageError(
            f"a trial wants {settings.cpus_per_trial:g} CPUs and {gpus:g} GPUs, and "
            f"the cluster has {have.get('CPU', 0):g} and {have.get('GPU', 0):g}"
        )
    return Limits(
        num_samples=settings.num_samples,
        grace_epochs=settings.grace_epochs,
        max_concurrent=settings.max_concurrent or int(min(fits)),
        cpus_per_trial=settings.cpus_per_trial,
        gpus_per_trial=gpus,
        max_failures=settings.max_failures,
        trial_timeout_s=settings.trial_timeout_s,
        time_budget_s=settings.time_budget_s,
    )
