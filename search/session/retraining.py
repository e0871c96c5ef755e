"""After the search: the winners trained again with seeds it has not seen, and the test split read.

Here and nowhere else. A winner was chosen for a low validation error among many, so its own
figure flatters it; the retrained ones were not chosen.
"""

from __future__ import annotations

import io
import json
import math
import statistics
import zipfile
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import ray
import torch

from models.data import ImageData
from search.cluster.jobs import finish, on_node_that_sees
from search.record.state import COMPLETE, TrialRecord
from search.store.bucket import Files
from search.store.checkpoints import CheckpointStore
from search.store.folder import open_storage, write_atomically, write_json
from search.task.protocol import Retrained, Run, Sources, Task, data_from_arrays, uses_gpu
from search.task.settings import Settings
from search.tune.device import claim_device
from search.tune.logbook import Logbook
from search.tune.tuner import Limits

EXAMPLES_VERSION = 1  # raised with what `Task.examples` makes, so that a resume makes it anew
PRESET_SEEDS = 3  # enough for a deviation; presets are not what a large --final-seeds is for


def write_finals(
    logbook: Logbook, data: ImageData, arrays: ray.ObjectRef, limits: Limits, settings: Settings
) -> None:
    """Write final.json and the pictures' examples. What an earlier session retrained already
    is not trained again. With no final seeds, the test split stays unread and no file is made."""
    winners = [trial for trial in map(logbook.best, logbook.space.groups) if trial]
    for trial in winners:
        _write_examples(logbook, trial, data)
    if not settings.final_seeds or not winners:
        return
    seeds = [settings.seed + 1 + n for n in range(settings.final_seeds)]
    presets = [t for t in logbook.state.trials if t.is_preset and t.state == COMPLETE]
    wanted = {trial.number: seeds for trial in winners}
    for trial in presets:
        if trial.origin in logbook.task.retrained_presets:
            wanted.setdefault(trial.number, seeds[:PRESET_SEEDS])
    _retrain(logbook, wanted, arrays, limits, settings.refit_on)
    storage = open_storage(settings.storage_path)
    sources = Sources(logbook.folder.path.parent, settings.data_dir, storage.fetch)
    concluded, overall = logbook.task.conclude(
        [_retrained(logbook, trial, seeds) for trial in winners], data, sources
    )
    write_json(
        logbook.folder.final_json,
        {
            "metric": logbook.task.metric,
            "seeds": seeds,
            "refit_on": settings.refit_on,
            "floors": logbook.task.floors(data),
            **overall,
            "winners": [
                {**_winner(logbook, trial, seeds), **more}
                for trial, more in zip(winners, concluded, strict=True)
            ],
            "presets": [
                _preset(logbook, trial, data, wanted.get(trial.number, ())) for trial in presets
            ],
        },
    )
    logbook.folder.publish()


def _retrain(
    logbook: Logbook,
    wanted: dict[int, list[int]],
    arrays: ray.ObjectRef,
    limits: Limits,
    refit_on: str,
) -> None:
    """Train each trial's configuration with each of its seeds that the ledger does not have
    yet, in parallel."""
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
    train = ray.remote(num_cpus=limits.cpus_per_trial, max_retries=0)(on_node_that_sees)
    secret = logbook.folder.begin_session()
    threads = max(1, int(limits.cpus_per_trial))
    jobs = {}
    for trial, seed in to_do:
        gpus = limits.gpus_per_trial if uses_gpu(logbook.task, trial.parameters) else 0
        jobs[_name(trial.id, seed)] = partial(
            train.options(num_gpus=gpus).remote,
            logbook.folder.files,
            secret,
            retrain_and_test,
            logbook.task,
            arrays,
            logbook.folder.finals,
            trial.id,
            trial.parameters,
            seed,
            threads,
            _chosen_epoch(logbook, trial) if refit_on == "train+validation" else None,
        )
    of_job = {_name(trial.id, seed): (trial, seed) for trial, seed in to_do}
    for number, (job, metrics) in enumerate(finish(jobs, limits.max_failures), 1):
        trial, seed = of_job[job]
        logbook.final(trial, seed, metrics)
        CheckpointStore(logbook.folder.finals).delete(job)
        what = trial.origin if trial.is_preset else trial.id
        print(
            f"  {logbook.space.group.replace('_', ' ')} {trial.group}, {what}, seed {seed}: done, "
            f"{len(to_do) - number} left",
            flush=True,
        )


def retrain_and_test(
    task: Task,
    arrays: dict,
    finals: Files,
    trial_id: str,
    parameters: dict,
    seed: int,
    threads: int,
    epochs: int | None = None,
) -> dict:
    """Train to the full budget; the metrics, test split included, of the weights at the epoch
    that validation likes best. What the task keeps of it in detail goes to `finals`.

    With `epochs`, train so long on the training and the validation split; there are no
    validation metrics then."""
    torch.set_num_threads(threads)
    device = claim_device()
    data = data_from_arrays(arrays)
    data = _with_validation(data) if epochs else data
    run = task.start(parameters, seed, task.prepare(data, device))
    name = _name(trial_id, seed)
    chosen, weights = train_to_end(task, run, CheckpointStore(finals), name, epochs)
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
    task: Task, run: Run, store: CheckpointStore, name: str, epochs: int | None
) -> tuple[dict, dict]:
    """The record and weights of the best epoch, or of epoch number `epochs`; goes on from the
    checkpoint of a lost worker."""
    state = store.load(name)
    chosen = None
    if state is not None:
        run.load_state_dict(state["run"])
        chosen = state["chosen"]
    for record in () if _is_done(chosen, epochs) else run.epochs():
        # The first epoch counts whatever it is: where all diverge, the metrics will say so.
        improved = bool(epochs) or chosen is None or _rank(task, record) < _rank(task, chosen)
        chosen = record if improved else chosen
        store.save(
            name,
            {"run": run.state_dict(), "chosen": chosen},
            run.weights() if improved else None,
        )
        if _is_done(chosen, epochs):
            break
    return chosen, store.load_weights(name)


def _is_done(chosen: dict | None, epochs: int | None) -> bool:
    return bool(epochs and chosen and chosen["epoch"] >= epochs)


def _rank(task: Task, record: dict) -> float:
    value = record[task.metric] if task.mode == "min" else -record[task.metric]
    return value if math.isfinite(value) else math.inf


def _name(trial_id: str, seed: int) -> str:
    return f"{trial_id}-seed-{seed}"


def _retrained(logbook: Logbook, trial: TrialRecord, seeds: list[int]) -> Retrained:
    place = logbook.folder.best / str(trial.group)
    kept = [logbook.folder.finals.read(f"{_name(trial.id, seed)}.npz") for seed in seeds]
    return Retrained(
        parameters=trial.parameters,
        weights=_load_weights(place / "weights.pt"),
        details=[dict(np.load(io.BytesIO(raw))) for raw in kept if raw is not None],
        folder=place,
    )


def _winner(logbook: Logbook, trial: TrialRecord, seeds: list[int]) -> dict:
    task = logbook.task
    return {
        logbook.space.group: trial.group,
        "trial": trial.id,
        "preset": trial.origin,
        "state": trial.state,
        "epochs": trial.epochs,
        "parameters": trial.parameters,
        "searched": {task.metric: trial.best_record(task.metric, task.mode)[task.metric]},
        **_over_seeds(logbook, trial, seeds),
    }


def _over_seeds(logbook: Logbook, trial: TrialRecord, seeds: list[int]) -> dict:
    """Every seed's metrics, their mean and their standard deviation."""
    runs = [{"seed": seed, **logbook.state.finals[trial.number, seed]} for seed in seeds]
    names = [name for name in runs[0] if name != "seed"]
    return {
        "runs": runs,
        "mean": {name: statistics.fmean(run[name] for run in runs) for name in names},
        "std": {
            name: statistics.stdev([run[name] for run in runs]) if len(runs) > 1 else None
            for name in names
        },
    }


def _preset(logbook: Logbook, trial: TrialRecord, data: ImageData, seeds: list[int]) -> dict:
    """A preset as the search trained it and, with `seeds`, as it was trained again."""
    task = logbook.task
    best = trial.best_record(task.metric, task.mode)
    weights = _load_weights(logbook.folder.best / trial.origin / "weights.pt")
    metrics, _ = task.test(weights, trial.parameters, data, "cpu")
    return {
        "preset": trial.origin,
        "trial": trial.id,
        logbook.space.group: trial.group,
        "epochs": trial.epochs,
        **{name: best[name] for name in task.kept},
        **metrics,
        **(_over_seeds(logbook, trial, seeds) if seeds else {}),
    }


def _write_examples(logbook: Logbook, trial: TrialRecord, data: ImageData) -> None:
    """Unless an earlier session wrote them for this very trial: a map of codes takes seconds."""
    place = logbook.folder.best / str(trial.group)
    path, made_of = place / "examples.npz", {"trial": trial.id, "version": EXAMPLES_VERSION}
    if _made_of(path) == made_of:
        return
    arrays = logbook.task.examples(_load_weights(place / "weights.pt"), trial.parameters, data)
    if arrays:
        arrays = {**arrays, "made_of": np.array(json.dumps(made_of))}
        write_atomically(path, lambda file: np.savez_compressed(file, **arrays))


def _made_of(path: Path) -> dict | None:
    """Of which trial examples are, by which version; None where there are none, or older or
    damaged ones."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return json.loads(str(archive["made_of"]))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _load_weights(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def best_table(logbook: Logbook) -> str:
    """The best configuration of each group, as text for a terminal."""
    task, rows = logbook.task, []
    width = max(6, *(len(str(group)) for group in logbook.space.groups))
    for group in logbook.space.groups:
        trial = logbook.best(group)
        if trial is None:
            rows.append(f"{group!s:>{width}}  no trial finished")
            continue
        value = trial.best_record(task.metric, task.mode)[task.metric]
        budget = "" if trial.state == COMPLETE else f" [stopped after {trial.epochs} epochs]"
        rows.append(
            f"{group!s:>{width}}  {value:10.5f}  {_test(logbook, trial):>19}  {trial.origin}: "
            f"{_in_words(trial.parameters, logbook.space.group)}{budget}"
        )
    what = logbook.space.group.replace("latent_", "")
    title = f"{what:>{width}}  {task.metric[:10]:>10}  {'test (retrained)':>19}  best configuration"
    return "\n".join(["", title, *rows, ""])


def _test(logbook: Logbook, trial: TrialRecord) -> str:
    name = logbook.task.metric.replace("validation_", "test_")
    name = name if name.startswith("test_") else f"test_{name}"
    values = [
        metrics[name]
        for (number, _), metrics in logbook.state.finals.items()
        if number == trial.number
    ]
    if not values:
        return "not read"
    spread = f" ± {statistics.stdev(values):.5f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.5f}{spread}"


def _in_words(parameters: dict, group: str) -> str:
    said = {
        name: f"{value:.3g}" if isinstance(value, float) else str(value)
        for name, value in parameters.items()
        if name != group and value is not None
    }
    return ", ".join(f"{name} {value}" for name, value in said.items())
