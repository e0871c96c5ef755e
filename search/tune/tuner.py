"""The only module that builds a Tuner: the same for a new search and a resumed one.

A search is not restored with `Tuner.restore`: that brings ASHA's rungs back empty, cannot grow
the number of samples, and may start over without notice. A session builds a new Tuner instead.
Its searcher hands out the trials that the ledger says are unfinished before it asks for new ones,
and its scheduler fills its rungs from the ledger. Ray's own files are never read back.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import ray
from ray import tune
from ray.tune.impl.tuner_internal import TunerInternal

from search.task.protocol import Task, uses_gpu
from search.tune.failures import TrialKeeper
from search.tune.limits import Limits, TimeBudget
from search.tune.logbook import Logbook
from search.tune.scheduler import LedgerScheduler
from search.tune.searcher import LedgerGenerator, LedgerSearch
from search.tune.worker.trainable import EpochTrainable


def build_tuner(
    logbook: Logbook,
    limits: Limits,
    arrays: ray.ObjectRef,
    on_progress: list[Callable[[], None]],
    budget: TimeBudget | None = None,
) -> tune.Tuner:
    """A Tuner for the trials that the search still lacks.

    `arrays`: from `search.task.protocol.arrays_from_data`, in the object store, where the workers
    read it. `on_progress`: called several times a second. `budget`: that of the session, which
    begins now if it is not given."""
    _quiet_ray()
    shutil.rmtree(logbook.folder.ray, ignore_errors=True)  # of an earlier session; never read
    state = logbook.state
    left = max(0, limits.num_samples - len(state.trials)) + len(state.unfinished())
    scheduler = LedgerScheduler(logbook, limits.grace_epochs)
    budget = budget or TimeBudget(limits.time_budget_s)
    searcher = LedgerSearch(
        logbook, limits.num_samples, scheduler.decider, budget, limits.max_concurrent
    )
    scheduler.order = searcher.order
    generator = LedgerGenerator(searcher, limits.max_concurrent)

    build = LocalTuner if ray.util.client.ray.is_connected() else tune.Tuner
    return build(
        _trainable(logbook, limits, arrays),
        tune_config=tune.TuneConfig(
            metric=logbook.task.metric,
            mode=logbook.task.mode,
            search_alg=generator,
            scheduler=scheduler,
            num_samples=left,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=logbook.folder.ray.name,
            storage_path=str(logbook.folder.path.resolve()),
            verbose=0,
            # It prints nothing. Ray's own reporter for Jupyter clears the output of the cell.
            progress_reporter=tune.CLIReporter(),
            stop=budget,
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[TrialKeeper(logbook, searcher, generator, limits, on_progress)],
        ),
    )


def _trainable(logbook: Logbook, limits: Limits, arrays: ray.ObjectRef) -> type[tune.Trainable]:
    """`EpochTrainable` with what every trial gets, and with the resources of each trial."""
    trainable = tune.with_parameters(
        EpochTrainable,
        task=logbook.task,
        arrays=arrays,
        run=logbook.folder.files,
        store=logbook.store,
        policy=limits.checkpoints,
        secret=logbook.folder.begin_session(),
        cards=limits.cards,
        threads=max(1, int(limits.cpus_per_trial)),
    )
    cpus, gpus = limits.cpus_per_trial, limits.gpus_per_trial
    return tune.with_resources(trainable, partial(_resources, logbook.task, cpus, gpus))


def _resources(task: Task, cpus: float, gpus: float, config: dict) -> dict:
    """The resources of a trial. Ray reuses a worker only for a trial of the same resources, so a
    worker without a GPU is never handed a trial that needs one. Travels to the workers."""
    return {"cpu": cpus, "gpu": gpus if uses_gpu(task, config["parameters"]) else 0}


def _name(trial) -> str:
    return trial.config["id"]


def _quiet_ray() -> None:
    """Turn off Ray's loggers, snapshots and reports: they cost more than a short trial, and the
    run folder has its own. Ray takes these settings from the environment only."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = str(10**9)
    os.environ["TUNE_WARN_THRESHOLD_S"] = "60"


class LocalTuner:
    """A Tuner that runs in the driver, for a driver that is a Ray Client (`--address ray://…`).

    There, `tune.Tuner` moves itself into an actor on the head node, away from the ledger, its lock
    and Ctrl-C. Ray has no setting against it, so this class uses Ray's internals."""

    def __init__(self, trainable, *, tune_config, run_config):
        self._internal = TunerInternal(
            trainable=trainable,
            tune_config=tune_config,
            run_config=run_config,
            _tuner_kwargs={"_remote": False},
        )

    def fit(self) -> tune.ResultGrid:
        # Ray keeps its own files in the session folder of this machine's node, and a client's
        # machine is no node.
        with (
            tempfile.TemporaryDirectory(prefix="search-") as folder,
            patch("ray.train._internal.storage._get_ray_train_session_dir", lambda: folder),
        ):
            return self._internal.fit()
