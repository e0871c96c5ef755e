"""The chosen configurations trained again with new seeds, in parallel on the cluster."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import ray
import torch

from models.data import ImageData
from search.cluster.jobs import finish, on_node_that_sees
from search.record.state import TrialRecord
from search.store.checkpoints import CheckpointStore
from search.store.files import Files
from search.task.protocol import Run, Task, data_from_arrays, uses_gpu
from search.tune.limits import Limits
from search.tune.logbook import Logbook
from search.tune.worker.attempt import EVERY_EPOCH, CheckpointPolicy, Saver
from search.tune.worker.card import Place
from search.tune.worker.device import claim_device


def retrain(
    logbook: Logbook,
    wanted: dict[int, list[int]],
    arrays: ray.ObjectRef,
    limits: Limits,
    refit_on: str,
) -> None:
    """Train the configuration of each trial with each of its seeds, in parallel. `wanted` holds the
    seeds by trial number. Results that the ledger holds are not computed again."""
    to_do = [
        (logbook.state.trials[number], seed)
        for number, seeds in wanted.items()
        for seed in seeds
        if (number, seed) not in logbook.state.finals
    ]
    if to_do:
        print(
            f"retraining the chosen configurations with new seeds: {len(to_do)} to do", flush=True
        )
    jobs = _jobs(logbook, to_do, arrays, limits, refit_on)
    by_name = {job_name(trial.id, seed): (trial, seed) for trial, seed in to_do}
    for number, (name, metrics) in enumerate(finish(jobs, limits.max_failures), 1):
        trial, seed = by_name[name]
        logbook.record_final(trial, seed, metrics)
        CheckpointStore(logbook.folder.finals).delete(name)
        label = trial.origin if trial.is_preset else trial.id
        print(
            f"  {logbook.space.group.replace('_', ' ')} {trial.group}, {label}, seed {seed}: done, "
            f"{len(to_do) - number} left",
            flush=True,
        )


def _jobs(
    logbook: Logbook,
    to_do: list[tuple[TrialRecord, int]],
    arrays: ray.ObjectRef,
    limits: Limits,
    refit_on: str,
) -> dict[str, Callable[[], ray.ObjectRef]]:
    """For each training, by name, the call that begins it on the cluster."""
    train = ray.remote(num_cpus=limits.cpus_per_trial, max_retries=0)(on_node_that_sees)
    secret = logbook.folder.begin_session()
    threads = max(1, int(limits.cpus_per_trial))
    jobs = {}
    for trial, seed in to_do:
        gpus = limits.gpus_per_trial if uses_gpu(logbook.task, trial.parameters) else 0
        on_card = gpus and limits.cards is not None
        jobs[job_name(trial.id, seed)] = partial(
            train.options(num_gpus=gpus).remote,
            logbook.folder.files,
            secret,
            *((_on_card, limits.cards) if on_card else (retrain_and_test, logbook.task, arrays)),
            logbook.folder.finals,
            trial.id,
            trial.parameters,
            seed,
            threads,
            _chosen_epoch(logbook, trial) if refit_on == "train+validation" else None,
            limits.checkpoints.every_s,
        )
    return jobs


def _on_card(cards: ray.actor.ActorHandle, *arguments: Any) -> dict:
    """`retrain_and_test` in the process of this worker's GPU, which has the task and the data."""
    card = ray.get(cards.at.remote(Place.of_this_worker()))
    return ray.get(card.call.remote(retrain_and_test, *arguments))


def retrain_and_test(
    task: Task,
    arrays: dict,
    finals: Files,
    trial_id: str,
    parameters: dict,
    seed: int,
    threads: int,
    epochs: int | None = None,
    checkpoint_every_s: float | None = None,
    device: str | None = None,
) -> dict:
    """Train to the full budget, on a worker. Returns the metrics, test split included, of the
    weights at the epoch with the best validation metric. The task's details go to `finals`.

    With `epochs`, train for that many epochs on the training and the validation split. There are
    no validation metrics then."""
    torch.set_num_threads(threads)
    device = device or claim_device()
    data = data_from_arrays(arrays)
    data = _with_validation(data) if epochs else data
    run = task.start(parameters, seed, task.prepare(data, device))
    name = job_name(trial_id, seed)
    checkpoints = CheckpointPolicy(frozenset([epochs or task.max_epochs]), checkpoint_every_s)
    chosen, weights = train_to_end(task, run, CheckpointStore(finals), name, epochs, checkpoints)
    metrics, details = task.test(weights, parameters, data, device)
    if details:
        finals.write(f"{name}.npz", lambda file: np.savez_compressed(file, **details))
    if epochs:
        metrics = {key: v for key, v in metrics.items() if not key.startswith("validation_")}
    return {"epochs": chosen["epoch"], **{key: chosen[key] for key in task.kept}, **metrics}


def _with_validation(data: ImageData) -> ImageData:
    """`data` with the validation images among the training images."""
    return replace(data, train=torch.cat([data.train, data.validation]).sort().values)


def _chosen_epoch(logbook: Logbook, trial: TrialRecord) -> int:
    return trial.best_record(logbook.task.metric, logbook.task.mode)["epoch"]


def train_to_end(
    task: Task,
    run: Run,
    store: CheckpointStore,
    name: str,
    epochs: int | None,
    checkpoints: CheckpointPolicy = EVERY_EPOCH,
) -> tuple[dict, dict]:
    """The record and weights of the best epoch, or of epoch number `epochs`. Goes on from the
    checkpoint of a lost worker."""
    state = store.load(name)
    chosen, weights = None, None
    if state is not None:
        run.load_state_dict(state["run"])
        chosen, weights = state["chosen"], store.load_weights(name)
    saver = Saver(store, name, checkpoints)
    for record in () if _is_done(chosen, epochs) else run.epochs():
        # The first epoch always counts: if all epochs diverge, the metrics say so.
        improved = bool(epochs) or chosen is None or _rank(task, record) < _rank(task, chosen)
        if improved:
            chosen, weights = record, run.weights()
        saver.keep(record["epoch"], {"chosen": chosen}, run, weights if improved else None)
        if _is_done(chosen, epochs):
            break
    return chosen, weights


def _is_done(chosen: dict | None, epochs: int | None) -> bool:
    return bool(epochs and chosen and chosen["epoch"] >= epochs)


def _rank(task: Task, record: dict) -> float:
    value = record[task.metric] if task.mode == "min" else -record[task.metric]
    return value if math.isfinite(value) else math.inf


def job_name(trial_id: str, seed: int) -> str:
    return f"{trial_id}-seed-{seed}"
