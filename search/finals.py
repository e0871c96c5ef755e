"""After the search: the winners trained again with seeds it has not seen, and the test split read.

Here and nowhere else. A winner was chosen for a low validation error among many, so its own
figure flatters it; the retrained ones were not chosen.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import numpy as np
import ray
import torch

from models.data import ImageData
from search.folder import write_atomically, write_json
from search.logbook import Logbook
from search.settings import Settings
from search.state import TrialRecord
from search.task import Task, data_from_arrays
from search.tuner import Limits


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
    _retrain(logbook, winners, seeds, arrays, limits)
    write_json(
        logbook.folder.final_json,
        {
            "metric": logbook.task.metric,
            "seeds": seeds,
            "floors": logbook.task.floors(data),
            "winners": [_winner(logbook, trial, seeds) for trial in winners],
            "presets": [
                _preset(logbook, trial, data)
                for trial in logbook.state.trials
                if trial.is_preset and trial.state == "complete"
            ],
        },
    )


def _retrain(
    logbook: Logbook,
    winners: list[TrialRecord],
    seeds: list[int],
    arrays: ray.ObjectRef,
    limits: Limits,
) -> None:
    """Train every winner with every seed that the ledger does not have yet, in parallel."""
    wanted = [
        (trial, seed)
        for trial in winners
        for seed in seeds
        if (trial.number, seed) not in logbook.state.finals
    ]
    if wanted:
        print(
            f"training {len(winners)} winners with {len(seeds)} new seeds each "
            f"({len(wanted)} to do)",
            flush=True,
        )
    train = ray.remote(num_cpus=limits.cpus_per_trial, num_gpus=limits.gpus_per_trial)(
        retrain_and_test
    )
    threads = max(1, int(limits.cpus_per_trial))
    running = {
        train.remote(logbook.task, arrays, trial.parameters, seed, threads): (trial, seed)
        for trial, seed in wanted
    }
    while running:
        (done,), _ = ray.wait(list(running))
        trial, seed = running.pop(done)
        logbook.final(trial, seed, ray.get(done))
        print(
            f"  {logbook.space.group.replace('_', ' ')} {trial.group}, seed {seed}: done, "
            f"{len(running)} left",
            flush=True,
        )


def retrain_and_test(task: Task, arrays: dict, parameters: dict, seed: int, threads: int) -> dict:
    """Train to the full budget; the metrics, test split included, of the weights at the epoch
    that validation likes best."""
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = data_from_arrays(arrays)
    run = task.start(parameters, seed, task.prepare(data, device))
    best, chosen, weights = math.inf, None, None
    for record in run.epochs():
        value = record[task.metric] if task.mode == "min" else -record[task.metric]
        if value < best:
            best, chosen, weights = value, record, run.weights()
    if chosen is None:  # diverged from the first epoch on: its metrics will say so
        chosen, weights = record, run.weights()
    return {
        "epochs": chosen["epoch"],
        "train_loss": chosen["train_loss"],
        "train_mse": chosen["train_mse"],
        **task.final_metrics(weights, parameters, data, device),
    }


def _winner(logbook: Logbook, trial: TrialRecord, seeds: list[int]) -> dict:
    task = logbook.task
    runs = [{"seed": seed, **logbook.state.finals[trial.number, seed]} for seed in seeds]
    names = [name for name in runs[0] if name != "seed"]
    return {
        logbook.space.group: trial.group,
        "trial": trial.id,
        "preset": trial.origin,
        "state": trial.state,
        "epochs": trial.epochs,
        "parameters": trial.parameters,
        "searched": {task.metric: trial.best_record(task.metric, task.mode)[task.metric]},
        "runs": runs,
        "mean": {name: statistics.fmean(run[name] for run in runs) for name in names},
        "std": {
            name: statistics.stdev([run[name] for run in runs]) if len(runs) > 1 else None
            for name in names
        },
    }


def _preset(logbook: Logbook, trial: TrialRecord, data: ImageData) -> dict:
    best = trial.best_record(logbook.task.metric, logbook.task.mode)
    weights = _load_weights(logbook.folder.best / trial.origin / "weights.pt")
    return {
        "preset": trial.origin,
        "trial": trial.id,
        logbook.space.group: trial.group,
        "epochs": trial.epochs,
        "train_loss": best["train_loss"],
        "train_mse": best["train_mse"],
        **logbook.task.final_metrics(weights, trial.parameters, data, "cpu"),
    }


def _write_examples(logbook: Logbook, trial: TrialRecord, data: ImageData) -> None:
    place = logbook.folder.best / str(trial.group)
    weights = _load_weights(place / "weights.pt")
    arrays = logbook.task.examples(weights, trial.parameters, data)
    write_atomically(place / "examples.npz", lambda file: np.savez_compressed(file, **arrays))


def _load_weights(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def best_table(logbook: Logbook) -> str:
    """The best configuration of each group, as text for a terminal."""
    task, rows = logbook.task, []
    for group in logbook.space.groups:
        trial = logbook.best(group)
        if trial is None:
            rows.append(f"{group!s:>6}  no trial finished")
            continue
        value = trial.best_record(task.metric, task.mode)[task.metric]
        budget = "" if trial.state == "complete" else f" [stopped after {trial.epochs} epochs]"
        rows.append(
            f"{group!s:>6}  {value:10.5f}  {_test(logbook, trial):>19}  {trial.origin}: "
            f"{_in_words(trial.parameters, logbook.space.group)}{budget}"
        )
    title = f"{'size':>6}  {task.metric[:10]:>10}  {'test (retrained)':>19}  best configuration"
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
