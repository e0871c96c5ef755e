"""Run folders for tests of the report, written by the search's own writers; nothing is trained.

Curves and test figures are made up here; files, columns, states and the scheduler's decisions are
those of a real search. All calls to `search.tune`, `search.session` and `search.store` that write
are in `write_run`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import optuna
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from probes.codes.published import SETTINGS
from search.autoencoders.task import AutoencoderTask
from search.classifiers.task import ClassifierTask
from search.latent_probes.task import ProbeTask
from search.record.decision import Failure
from search.record.schema import (
    COMPLETE,
    ENDED,
    REASON_EXCEPTION,
    REASON_MEMORY,
    RUNNING,
    SEARCH_FINISHED,
)
from search.session.final.finals import PRESET_SEEDS, write_finals
from search.session.shown.run_record import RunRecord
from search.session.shown.tables import TableWriter
from search.store.folder import RunFolder
from search.task.settings import Settings
from search.task.space import Preset, Space
from search.tune.logbook import Logbook
from search.tune.schedulers.asha import GroupedASHA

optuna.logging.set_verbosity(optuna.logging.ERROR)  # as a search does

SIZES = (1024, 128, 32)
PCA = {1024: 0.0, 128: 0.00462, 32: 0.01751}
REACHED = {1024: 0.0031, 128: 0.0041, 32: 0.0098}  # validation MSE of a good autoencoder
ACCURACIES = {"naive": 0.91, "another-naive": 0.90, "corrected-naive": 0.93, "residual": 0.97}
PROBE_ACCURACIES = {
    "nearest-mean": 0.55,
    "knn": 0.58,
    "lda": 0.61,
    "logistic": 0.63,
    "mlp": 0.66,
    "random-forest": 0.42,
    "extra-trees": 0.48,
    "catboost": 0.64,
}
STAGED = ("mlp", "random-forest", "extra-trees", "catboost")
OF_SIZE = {1024: -0.01, 128: 0.02, 32: 0.0}
TOO_LARGE = (
    "probes.classifiers.limits.ProbeTooLarge: random-forest on 13,496 rows of 1024 features needs "
    "about 5.1 GB of memory, and a trial may use 4.0: fewer views"
)

Metrics = dict[str, float]
Curve = Callable[[Any, np.random.Generator], list[Metrics]]


@dataclass(frozen=True)
class MadeUpTask:
    """A `search.task.Task` without training: `curve` gives the metrics of each epoch of a trial
    (with a key "epoch" where they do not simply count up), `tested` its figures on all of
    validation and test, from its last metrics."""

    searched: Space
    named: tuple[Preset, ...]
    max_epochs: int
    curve: Curve
    metric: str = "validation_mse"
    mode: str = "min"
    metrics: tuple[str, ...] = ("train_loss", "validation_mse")
    kept: tuple[str, ...] = ("train_loss",)
    retrained_presets: tuple[str, ...] = ()
    checkpoints: bool = True
    seconds_per_trial: float | None = None
    known_floors: Mapping[str, Any] = field(default_factory=dict)
    pictures: Callable[[dict, np.random.Generator], dict] = lambda parameters, draws: {}
    of_winner: Callable[[dict, Path], dict] = lambda parameters, place: {}
    of_all: Mapping[str, Any] = field(default_factory=dict)

    def space(self) -> Space:
        return self.searched

    def presets(self) -> tuple[Preset, ...]:
        return self.named

    def describe(self, parameters: dict, seed: int) -> dict:
        return {"model": {}, "training": {"seed": seed}}

    def test(self, weights: dict, parameters: dict, data: Any, device: str) -> tuple[dict, dict]:
        return tested({name: float(value) for name, value in weights.items()}), {}

    def examples(self, weights: dict, parameters: dict, data: Any) -> dict[str, np.ndarray]:
        return self.pictures(parameters, np.random.default_rng(0))

    def floors(self, data: Any) -> Mapping[str, Any]:
        return self.known_floors

    def conclude(self, winners: list, data: Any, around: Any) -> tuple[list[dict], dict]:
        return [self.of_winner(each.parameters, each.folder) for each in winners], {**self.of_all}


def tested(last: Metrics) -> Metrics:
    """Figures on all of validation and test: a test error is 2 % higher, an accuracy 0.02 lower."""
    found = {name: value for name, value in last.items() if name.startswith("validation_")}
    for name, value in [*found.items()]:
        worse = value - 0.02 if name.endswith("accuracy") else 1.02 * value
        found[name.replace("validation_", "test_")] = worse
    return found


@mock.patch("os.fsync", lambda file: None)  # half of the time, and no test cuts the power
def write_run(
    folder: Path,
    task: MadeUpTask,
    trials: int,
    command: str = "autoencoders",
    *,
    grace: int = 1,
    state: str = SEARCH_FINISHED,
    data: str | Mapping[str, Any] = "mnist5k",
    note: str = "",
    start: str = "",
    failures: Mapping[int, str] | None = None,
    unfinished: Sequence[int] = (),
    **settings: Any,
) -> Path:
    """Write the run folder of a search of `trials` trials, one after another.

    A trial of `failures` ends in an error with that text, one of `unfinished` has a first epoch
    only. A search that ended has a final.json, any other has none. `start` (ISO) replaces the
    time of writing. `settings` are fields of `Settings`; what is none is an option of the command.
    """
    shared = {name: settings.pop(name) for name in [*settings] if name in Settings.__annotations__}
    options = Settings(
        dataset="mnist5k",
        name=folder.name,
        storage_path=str(folder.parent),
        **{
            "num_samples": trials,
            "max_epochs": task.max_epochs,
            "grace_epochs": grace,
            "seed": 0,
            "budget": "quick",
            "sampler": "random",
            "final_seeds": 3,
            "refit_on": "train",
            **shared,
        },
        options=settings,
    )
    run = RunFolder(folder)
    run.create()
    header = {
        "version": 1,
        "command": command,
        "settings": options.as_json(),
        "seed": options.seed,
        "sampler": options.sampler,
        "space": task.space().as_json(),
        "presets": {preset.name: preset.parameters for preset in task.presets()},
        "data": {**_data(data), "note": note},
    }
    Logbook.begin(run, header)
    logbook = Logbook(run, task)
    scheduler = GroupedASHA(task, grace)
    draws = np.random.default_rng(options.seed)
    for number in range(trials):
        trial = logbook.new_trial()
        scheduler.open(trial)
        curve = task.curve(trial, draws)
        if curve:  # presets, whose weights are tested, come to the end of theirs
            weights = {name: torch.tensor(value) for name, value in curve[-1].items()}
            logbook.store.save(trial.id, {"record": curve[-1]}, weights)
        for epoch, metrics in enumerate(curve, 1):
            record = {"epoch": epoch, "seconds": 0.5, **metrics}
            logbook.record_epoch(trial, record, scheduler.decide(trial, record))
            if trial.state != RUNNING or number in unfinished:
                break
        if number in (failures or {}):
            text = failures[number]
            reason = REASON_MEMORY if text == TOO_LARGE else REASON_EXCEPTION
            logbook.record_failure(trial, Failure(reason, text), final=True)
    tables, record = TableWriter(logbook), RunRecord(logbook, options)
    tables.write()
    if state in ENDED:
        _retrain(logbook, options, draws)
        limits = SimpleNamespace(cpus_per_trial=1, gpus_per_trial=0, max_failures=0)
        write_finals(logbook, None, None, limits, options)
    record.write(state)
    change_json(folder / "run.json", partial(_on_a_cpu, start=start))
    return folder


def _on_a_cpu(info: dict, start: str | None) -> None:
    here = {"device": "cpu", **({"start": start} if start else {})}
    info.update(here, sessions=[{**info["sessions"][0], **here}])


def _retrain(logbook: Logbook, options: Settings, draws: np.random.Generator) -> None:
    """Record the figures of each retraining that the search would do, so that none is left."""
    task, seeds = logbook.task, [options.seed + 1 + n for n in range(options.final_seeds)]
    winners = [trial for trial in map(logbook.best, logbook.space.groups) if trial]
    wanted = {trial.number: seeds for trial in winners}
    for trial in logbook.state.trials:
        if trial.is_preset and trial.state == COMPLETE and trial.origin in task.retrained_presets:
            wanted.setdefault(trial.number, seeds[:PRESET_SEEDS])
    for number, of_trial in wanted.items():
        trial = logbook.state.trials[number]
        best = trial.best_record(task.metric, task.mode)
        for seed in of_trial:
            spread = 1 + 0.01 * draws.normal()
            metrics = {name: spread * value for name, value in tested(best).items()}
            if options.refit_on != "train":
                metrics = {k: v for k, v in metrics.items() if not k.startswith("validation_")}
            kept = {name: best[name] for name in task.kept}
            logbook.record_final(trial, seed, {"epochs": best["epoch"], **kept, **metrics})


def _data(data: str | Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says about a data set; `data` is its name, or what differs from MNIST's."""
    given = {"name": data} if isinstance(data, str) else data
    omniglot = {"split": "drawers", "centred": True, "classes": 964}
    return {
        "name": "mnist5k",
        "sha256": "ab" * 32,
        "split": "stratified",
        "centred": False,
        "train": 4000,
        "validation": 500,
        "test": 500,
        "classes": 10,
        **(omniglot if given.get("name") in ("omniglot", "glyphs") else {}),
        **given,
    }


# Autoencoders


def write_autoencoders(
    folder: Path,
    trials: int = 20,
    epochs: int = 9,
    sizes: tuple[int, ...] = SIZES,
    metric: str = "validation_mse",
    pictures: bool = True,
    **options: Any,
) -> Path:
    """A run of `search.autoencoders`: the real task's space and presets (the report's six models
    first, then one for each code size), with curves like those of real trials."""
    real = AutoencoderTask(sizes, epochs, "quick", metric)
    components = {str(size): {"components": min(size, 784)} for size in sizes}
    floors = {
        "mean_image": {"validation_mse": 0.0671, "test_mse": 0.0668},
        "pca": {
            size: {**entry, "validation_mse": 0.99 * PCA[int(size)], "test_mse": PCA[int(size)]}
            for size, entry in components.items()
        },
    }
    task = MadeUpTask(
        real.space(),
        real.presets(),
        epochs,
        _autoencoder_curve(epochs),
        **_of(real),
        known_floors=floors,
        pictures=_reconstructions if pictures else lambda parameters, draws: {},
    )
    return write_run(folder, task, trials, **{"latent_sizes": sizes, "metric": metric, **options})


def _autoencoder_curve(epochs: int) -> Curve:
    def curve(trial: Any, draws: np.random.Generator) -> list[Metrics]:
        chosen = trial.parameters
        floor = REACHED[chosen["latent_size"]] * (1 + draws.exponential(0.8))
        power, noise = (
            draws.uniform(0.9, 1.6),
            1.5 * chosen["dropout"] + 0.6 * chosen["noise_level"],
        )
        found = []
        for epoch in range(1, epochs + 1):
            mse = floor + 0.05 * epoch**-power * math.exp(draws.normal(0, 0.04))
            found.append(
                {
                    "train_loss": mse * (1.1 + noise) + 20 * chosen["l1"],
                    "train_mse": 0.97 * mse,
                    "validation_mse": mse,
                    "probe_accuracy": 0.8 - 2 * min(mse, 0.3),
                    "active_fraction": 0.9,
                    "effective_rank": 20.0,
                    "units_per_image": _active_units(chosen),
                    "hoyer_sparsity": 0.5,
                    "dead_units": 0.0,
                    "images_per_s": 4000.0,
                }
            )
        return found

    return curve


def _active_units(chosen: dict) -> float:
    size = chosen["latent_size"]
    kept = {"topk": min(chosen["kept_units"], size), "relu": 0.3 * size}
    return float(kept.get(chosen["code_activation"], size))


def _reconstructions(parameters: dict, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """16 made-up strokes, with the noise and the blur of the configuration."""
    rows, columns = np.mgrid[:28, :28]
    inputs = np.zeros((16, 28, 28), np.float32)
    for image in inputs:
        ends = draws.uniform(5, 22, (4, 2))
        for t in np.linspace(0, 1, 40):
            weights = np.array([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
            y, x = weights @ ends
            np.maximum(image, np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2.5), out=image)
    level = parameters["noise_level"] if parameters["noise"] != "none" else 0.0
    noised = (inputs + level * draws.normal(size=inputs.shape)).clip(0, 1)
    blur = {1024: 0.02, 128: 0.06, 32: 0.12}.get(parameters["latent_size"], 0.1)
    redrawn = inputs * (1 - blur) + blur * draws.random(inputs.shape)
    return {
        "inputs": inputs,
        "noised": noised.astype(np.float32),
        "reconstructions": redrawn.clip(0, 1).astype(np.float32),
    }


# Classifiers


def write_classifiers(
    folder: Path,
    trials: int = 12,
    epochs: int = 5,
    names: tuple[str, ...] = tuple("0123456789"),
    pairs: int = 3,
    data: str | Mapping[str, Any] = "mnist5k",
    **options: Any,
) -> Path:
    """A run of `search.classifiers`; `names` are those of its classes, `pairs` of them confused.
    The preset residual has the best accuracy."""
    about = {**_data(data), "classes": len(names)}
    real = ClassifierTask(about["classes"], epochs, "quick")
    task = MadeUpTask(
        real.space(),
        real.presets(),
        epochs,
        _classifier_curve(epochs),
        **_of(real),
        known_floors=_pixel_floors({"most_frequent": 0.1, "nearest_mean": 0.782, "1-nn": 0.8965}),
        of_winner=_mistakes(names, pairs),
    )
    return write_run(folder, task, trials, **{"command": "classifiers", "data": about, **options})


def _classifier_curve(epochs: int) -> Curve:
    def curve(trial: Any, draws: np.random.Generator) -> list[Metrics]:
        reached = ACCURACIES.get(trial.origin, 0.95 - 0.2 * draws.random())
        found = []
        for epoch in range(1, epochs + 1):
            accuracy = reached - 0.3 * (1 / epoch - 1 / epochs)
            loss = 2 / epoch * math.exp(0.02 * draws.normal())
            found.append(
                {
                    "train_loss": loss,
                    "train_accuracy": accuracy + 0.01,
                    "validation_loss": loss,
                    "validation_accuracy": accuracy,
                    "images_per_s": 4000.0,
                }
            )
        return found

    return curve


def _mistakes(names: Sequence[str], pairs: int) -> Callable[[dict, Path], dict]:
    """What a winning classifier gets wrong, its pictures written beside the weights."""
    kinds = sorted({name.split("/")[0] for name in names})

    def of_winner(parameters: dict, place: Path) -> dict:
        draws = np.random.default_rng(0)
        images = {
            name: draws.integers(0, 256, (pairs, 28, 28)).astype(np.uint8)
            for name in ("mistaken", "class", "taken_for")
        }
        np.savez_compressed(place / "confusions.npz", **images)
        return {
            "accuracy_by": {
                kind: round(0.9 + 0.09 * ((7 * turn) % len(kinds)) / len(kinds), 6)
                for turn, kind in enumerate(kinds)
            },
            "confused": [
                {"class": names[turn], "taken_for": names[-1 - turn]}
                | {"times": 9 - turn // 2, "of": 150}
                for turn in range(pairs)
            ],
        }

    return of_winner


# Probes of codes


def write_probes(
    folder: Path,
    sizes: tuple[int, ...] = SIZES,
    probes: tuple[str, ...] = tuple(PROBE_ACCURACIES),
    trials: int | None = None,
    epochs: int = 27,
    pairs: int = 4,
    data: str | Mapping[str, Any] = "omniglot",
    **options: Any,
) -> Path:
    """A run of `search.latent_probes`: by default the real task's presets alone (each probe on each
    code, and the report's perceptrons). Catboost is stopped for its time, a random forest on 1,024
    units is refused for its memory."""
    real = ProbeTask(probes, sizes, epochs, "quick", seconds_per_trial=40.0)
    named = real.presets()
    names = tuple(f"Alphabet_{turn:02d}/character{turn:02d}" for turn in range(30))
    codes = {str(size): _code(size) for size in sizes}
    task = MadeUpTask(
        real.space(),
        named,
        epochs,
        _probe_curve(epochs),
        **{**_of(real), "seconds_per_trial": 40.0},
        known_floors=_pixel_floors({"most_frequent": 0.001, "nearest_mean": 0.31, "1-nn": 0.4344}),
        of_winner=_probe_mistakes(names, pairs),
        of_all={"autoencoders": codes, "few_shot": _few(sizes)},
    )
    large = {"probe": "random-forest", "latent_size": 1024}
    failures = {
        number: TOO_LARGE
        for number, preset in enumerate(named)
        if large.items() <= preset.parameters.items()
    }
    given = {"command": "latent_probes", "data": data, "refit_on": "train+validation"}
    given |= {"latent_sizes": sizes, "probes": probes, "failures": failures, **options}
    return write_run(folder, task, len(named) if trials is None else trials, **given)


def _probe_curve(epochs: int) -> Curve:
    def curve(trial: Any, draws: np.random.Generator) -> list[Metrics]:
        """Probes without stages have a single record, at the last epoch."""
        chosen = trial.parameters
        probe, size = chosen["probe"], chosen["latent_size"]
        if probe == "random-forest" and size == 1024:
            return []
        harm = 2 * (chosen.get("l2") or 0) ** 0.5 + 0.01 * (chosen.get("blocks") or 2)
        usual = trial.origin.startswith(f"{probe}-default")
        reached = PROBE_ACCURACIES[probe] + OF_SIZE[size] - (0 if usual else 0.1 + harm)
        train, seconds = 0.9 - (0 if usual else harm), 15.0 if probe == "catboost" else 0.5
        return [
            {
                "epoch": epoch,
                "train_loss": (0.2 + 6 / epoch**1.5) * math.exp(0.03 * draws.normal()),
                "train_accuracy": train * (1 - 0.5 / epoch),
                "validation_accuracy": reached * (1 - 0.5 / epoch),
                "seconds": seconds,
            }
            for epoch in range(1 if probe in STAGED else epochs, epochs + 1)
        ]

    return curve


def _probe_mistakes(names: Sequence[str], pairs: int) -> Callable[[dict, Path], dict]:
    mistakes = _mistakes(names, pairs)

    def of_winner(parameters: dict, place: Path) -> dict:
        reached = PROBE_ACCURACIES[parameters["probe"]] + OF_SIZE[parameters["latent_size"]] - 0.03
        return {
            **{name: parameters[name] for name in ("probe", "latent_size")},
            "test_accuracy_interval": [reached - 0.013, reached + 0.012],
            **mistakes(parameters, place),
        }

    return of_winner


def _code(size: int) -> dict[str, Any]:
    return {
        "source": "ae-run",
        "preset": "sampled",
        "trial": "trial_00011",
        "epoch": 40,
        "validation_mse": 0.004 + size / 1e6,
        "probe_accuracy": 0.41,
        "parameters": {"latent_size": size, "depth": 6, "width": 32, "noise": "none"},
        "sha256": "cd" * 32,
    }


def _few(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Few-shot accuracies, 0.006 wide to either side."""
    levels = {"pixels": 0.71, **{str(size): 0.8 + OF_SIZE[size] for size in sizes}}
    found = []
    for code, level in levels.items():
        for ways, shots in SETTINGS:
            accuracy = round(level - ways / 100 + shots / 50, 4)
            about = {"code": code, "ways": ways, "shots": shots, "queries": 15, "episodes": 1000}
            interval = {"low": round(accuracy - 0.006, 4), "high": round(accuracy + 0.006, 4)}
            found.append({**about, "accuracy": accuracy, **interval})
    return found


def _pixel_floors(accuracies: Mapping[str, float]) -> dict[str, Metrics]:
    return {
        name: {"validation_accuracy": value + 0.005, "test_accuracy": value}
        for name, value in accuracies.items()
    }


def _of(real: Any) -> dict[str, Any]:
    names = ("metric", "mode", "metrics", "kept", "retrained_presets")
    return {name: getattr(real, name) for name in names}


# A search of any groups


def write_search(
    folder: Path,
    trials: int = 30,
    groups: tuple = SIZES,
    mode: str = "min",
    epochs: int = 9,
    presets: int = 3,
    distributions: Mapping[str, Any] | None = None,
    curve: Curve | None = None,
    named: tuple[Preset, ...] | None = None,
    **options: Any,
) -> Path:
    """A small space, groups of any names, curves that cross now and then; `named` are presets in
    place of the `presets` ones that are all alike."""
    group = "latent_size" if isinstance(groups[0], int) else "model"
    metric = "validation_mse" if mode == "min" else "validation_accuracy"
    space = Space(
        distributions
        or {
            "depth": IntDistribution(2, 9),
            "dropout": FloatDistribution(0.0, 0.3),
            "l1": FloatDistribution(1e-8, 1e-2, log=True),
            "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
            "activation": CategoricalDistribution(("relu", "silu")),
        },
        group,
        groups,
        {},
    )
    values = {"depth": 3, "dropout": 0.1, "l1": 1e-4, "learning_rate": 1e-3, "activation": "relu"}
    turns = [groups[turn % len(groups)] for turn in range(presets)]
    alike = tuple(Preset(f"preset-{n}", {**values, group: g}) for n, g in enumerate(turns))
    task = MadeUpTask(
        space,
        alike if named is None else named,
        epochs,
        curve or _crossing_curve(metric, epochs),
        metric=metric,
        mode=mode,
        metrics=("train_loss", metric),
    )
    command = "autoencoders" if group == "latent_size" else "latent_probes"
    return write_run(folder, task, trials, **{"command": command, "final_seeds": 0, **options})


def _crossing_curve(metric: str, epochs: int) -> Curve:
    def curve(trial: Any, draws: np.random.Generator) -> list[Metrics]:
        end, power = 0.004 * (1 + draws.exponential()), draws.uniform(0.8, 1.6)
        found = []
        for epoch in range(1, epochs + 1):
            error = end + 0.06 * epoch**-power * math.exp(0.05 * draws.normal())
            value = error if metric.endswith("mse") else 0.9 - 6 * error
            found.append({"train_loss": error, metric: value})
        return found

    return curve


# Changes to what was written


def change_json(path: Path, change: Callable[[dict], Any]) -> None:
    """Let `change` alter the object of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def change_csv(path: Path, change: Callable[[dict[str, str]], Any]) -> None:
    """Let `change` alter each row of a CSV, a dict of strings; a column may go."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        change(row)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def empty_tables(folder: Path) -> None:
    """Leave both tables as they are before the first trial."""
    for name in ("trials.csv", "epochs.csv"):
        (folder / name).write_text("")
