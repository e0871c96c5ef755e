"""`final.json`: the winners, retrained with seeds that the search has not seen, on the test split.

The test split is read here and nowhere else. A winner was chosen for a low validation error among
many trials, so its own validation error is too optimistic. The retrained models were not chosen.
"""

from __future__ import annotations

import io
import json
import statistics
import zipfile
import zlib
from pathlib import Path

import numpy as np
import ray
import torch

from models.data import ImageData
from models.files import write_atomically
from search.record.schema import COMPLETE
from search.record.state import TrialRecord
from search.session.final.retraining import job_name, retrain
from search.store.files import write_json
from search.store.storage import open_storage
from search.task.protocol import Retrained, Sources
from search.task.settings import Settings
from search.tune.limits import Limits
from search.tune.logbook import Logbook

EXAMPLES_VERSION = 1  # raised when `Task.examples` changes, so that a resume makes them anew
PRESET_SEEDS = 3  # enough for a deviation; a large --final-seeds is for winners only


def write_finals(
    logbook: Logbook, data: ImageData, arrays: ray.ObjectRef, limits: Limits, settings: Settings
) -> None:
    """Write final.json and the examples for pictures. A model that an earlier session retrained is
    not trained again. With no final seeds, the test split stays unread and no file is written."""
    found = [_winner_of(logbook, group) for group in logbook.space.groups]
    winners = [trial for trial in found if trial]
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
    retrain(logbook, wanted, arrays, limits, settings.refit_on)
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


def _winner_of(logbook: Logbook, group: object) -> TrialRecord | None:
    """The trial whose weights best/ has for a group. It is the best trial, unless a better one
    was paused and called back, and then failed or did not end."""
    config = logbook.folder.best / str(group) / "config.json"
    if not config.exists():
        return logbook.best(group)
    name = json.loads(config.read_text(encoding="utf-8"))["trial"]
    return next(trial for trial in logbook.state.trials if trial.id == name)


def _retrained(logbook: Logbook, trial: TrialRecord, seeds: list[int]) -> Retrained:
    winner = logbook.folder.best / str(trial.group)
    kept = [logbook.folder.finals.read(f"{job_name(trial.id, seed)}.npz") for seed in seeds]
    return Retrained(
        parameters=trial.parameters,
        weights=_load_weights(winner / "weights.pt"),
        details=[dict(np.load(io.BytesIO(raw))) for raw in kept if raw is not None],
        folder=winner,
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
    """The figures of a preset as the search trained it and, with `seeds`, as retrained."""
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
    """Write the examples of a winner, unless an earlier session wrote them for the same trial."""
    winner = logbook.folder.best / str(trial.group)
    path, made_of = winner / "examples.npz", {"trial": trial.id, "version": EXAMPLES_VERSION}
    if _made_of(path) == made_of:
        return
    arrays = logbook.task.examples(_load_weights(winner / "weights.pt"), trial.parameters, data)
    if arrays:
        arrays = {**arrays, "made_of": np.array(json.dumps(made_of))}
        write_atomically(path, lambda file: np.savez_compressed(file, **arrays))


def _made_of(path: Path) -> dict | None:
    """The trial and the version that examples were made from; None if there are none that can be
    read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return json.loads(str(archive["made_of"]))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _load_weights(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)
