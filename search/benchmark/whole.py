"""Whole searches: this project's against the two patterns that tutorials teach.

All three search the space of `search.autoencoders` at one code size, with the same trials, epochs
and images, and none begins with a preset:
- ours: a search as the command runs it, without the retraining of its winners;
- Ray's pattern (ray/tune/examples/mnist_pytorch.py): a function trainable that makes a DataLoader
  for its trial, random samples, AsyncHyperBandScheduler with our rungs, an actor for each trial;
- Optuna's (optuna-examples/pytorch/pytorch_simple.py): one process with all cores, TPE and
  MedianPruner, a DataLoader for each trial.

Trials per hour count those that ended, stopped early by the scheduler or not, until the last of
them did; time counts from a running Ray. Ray's pattern takes several times as long as ours: unless
asked to go to its end, it is cut when it has had our time, and its unfinished trials do not count.
The goal is the validation error that the report gives of its best.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import ray
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler

from models.data import ImageData
from search.autoencoders.task import AutoencoderTask
from search.benchmark.figures import Spread, said, table
from search.benchmark.overhead import environment_kept, fit_stock
from search.benchmark.tutorials import Tutorial, tutorial
from search.cluster.capacity import session_limits
from search.record.ledger import read_ledger
from search.session.tables import TableWriter
from search.task.protocol import arrays_from_data, data_from_arrays
from search.task.settings import Settings
from search.task.space import Preset, Space
from search.tune.logbook import Logbook
from search.tune.tuner import REDUCTION_FACTOR, build_tuner

GOAL_MSE = 0.02097  # test error of the report's best, its `sae`
AIM_CPU, AIM_GPU = 5.0, 50.0  # times the trials per hour of Ray's pattern
GPU_SHARES = (1.0, 0.5, 0.25, 0.125)
LATENT_SIZE = 128
FEWEST_TRIALS = 4  # that a rival ends before it is cut
RAY, OPTUNA = "Ray's pattern", "Optuna's pattern"


@dataclass(frozen=True)
class UnbegunTask(AutoencoderTask):
    """A search of autoencoders that begins with nobody's setting."""

    def presets(self) -> tuple[Preset, ...]:
        return ()


@dataclass(frozen=True)
class Size:
    """What is searched, by all three."""

    trials: int
    max_epochs: int
    data: ImageData
    device: str

    @property
    def task(self) -> UnbegunTask:
        return UnbegunTask((LATENT_SIZE,), self.max_epochs, "quick")


@dataclass
class Course:
    """What a search measured, and when, in seconds from its beginning."""

    trials: int  # that ended
    seconds: float = 0.0  # until the last of them did
    values: list[tuple[float, float]] = field(default_factory=list)  # (when, validation MSE)

    @property
    def trials_per_hour(self) -> float:
        return 3600 * self.trials / self.seconds

    def goal_s(self) -> float | None:
        """When the goal was reached first; None if never."""
        return min((when for when, value in self.values if value < GOAL_MSE), default=None)


def ours(size: Size, folder: Path, gpus_per_trial: float = 0.0) -> Course:
    begin, start = time.time(), time.perf_counter()
    logbook = Logbook.start(folder, size.task)
    tables = TableWriter(logbook)
    settings = Settings(num_samples=size.trials, gpus_per_trial=gpus_per_trial)
    with environment_kept():
        arrays = ray.put(arrays_from_data(size.data))
        build_tuner(logbook, session_limits(settings), arrays, [tables.write_if_due]).fit()
    tables.write()
    seconds = time.perf_counter() - start
    events, _ = read_ledger(logbook.folder.ledger)
    epochs = [event for event in events if event["event"] == "epoch"]
    values = [(e["time"] - begin, e["record"]["validation_mse"]) for e in epochs]
    return Course(size.trials, seconds, values)


class _Listener(tune.Callback):
    """Notes what a stock Tuner measures and ends, until it is cut."""

    def __init__(self):
        self.start, self.course, self.is_cut = time.perf_counter(), Course(0), False

    def on_trial_result(self, iteration, trials, trial, result, **info) -> None:
        self.course.values.append((self.elapsed(), result["validation_mse"]))

    def on_trial_complete(self, iteration, trials, trial, **info) -> None:
        if not self.is_cut:
            self.course.trials += 1
            self.course.seconds = self.elapsed()

    def elapsed(self) -> float:
        return time.perf_counter() - self.start


class _Cut(tune.Stopper):
    """Ends a stock Tuner after `patience` seconds, or later with its first few trials: what ended
    before is no sample of anything."""

    def __init__(self, listener: _Listener, patience: float):
        self._listener, self._patience = listener, patience

    def __call__(self, trial_id, result) -> bool:
        return False

    def stop_all(self) -> bool:
        late = self._listener.elapsed() >= self._patience
        if late and self._listener.course.trials >= FEWEST_TRIALS:
            self._listener.is_cut = True
        return self._listener.is_cut


def ray_pattern(size: Size, folder: Path, patience: float = math.inf) -> Course:
    listener = _Listener()
    arrays = ray.put(arrays_from_data(size.data))
    trainable = tune.with_parameters(_train, size_of=(size.max_epochs, size.device), arrays=arrays)
    gpus = 1 if size.device == "cuda" else 0
    fit_stock(
        tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1, "gpu": gpus}),
            param_space=ray_space(size.task.space()),
            tune_config=tune.TuneConfig(
                metric="validation_mse",
                mode="min",
                num_samples=size.trials,
                scheduler=AsyncHyperBandScheduler(
                    max_t=size.max_epochs, grace_period=1, reduction_factor=REDUCTION_FACTOR
                ),
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder),
                name="ray",
                verbose=0,
                callbacks=[listener],
                stop=_Cut(listener, patience),
            ),
        )
    )
    return listener.course


def _train(config: dict, size_of: tuple[int, str], arrays: dict) -> None:
    max_epochs, device = size_of
    task = UnbegunTask((LATENT_SIZE,), max_epochs, "quick")
    network = _tutorial(task, config, data_from_arrays(arrays), device)
    for _ in range(max_epochs):
        network.train_epoch()
        tune.report({"validation_mse": network.validation_mse()})


def _tutorial(task: AutoencoderTask, parameters: dict, data: ImageData, device: str) -> Tutorial:
    everything = {**parameters, task.space().group: LATENT_SIZE, **task.space().constants}
    return tutorial(*task.configs(everything, seed=0), data, device)


def ray_space(space: Space) -> dict:
    """The same distributions, as Ray names them."""
    return {name: _ray_domain(each) for name, each in space.distributions.items()}


def _ray_domain(distribution: BaseDistribution):
    if isinstance(distribution, CategoricalDistribution):
        return tune.choice(list(distribution.choices))
    low, high, step = distribution.low, distribution.high, distribution.step
    if step:  # Ray's own steps leave the range by a rounding error
        steps = range(round((high - low) / step) + 1)
        return tune.choice([min(low + step * n, high) for n in steps])
    return tune.loguniform(low, high) if distribution.log else tune.uniform(low, high)


def optuna_pattern(size: Size) -> Course:
    course, start = Course(size.trials), time.perf_counter()
    space = size.task.space()

    def objective(trial: optuna.Trial) -> float:
        parameters = {name: _suggest(trial, name, d) for name, d in space.distributions.items()}
        network = _tutorial(size.task, parameters, size.data, size.device)
        for epoch in range(1, size.max_epochs + 1):
            network.train_epoch()
            value = network.validation_mse()
            course.values.append((time.perf_counter() - start, value))
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    with _all_cores():
        pruner = optuna.pruners.MedianPruner()
        optuna.create_study(direction="minimize", pruner=pruner).optimize(objective, size.trials)
    course.seconds = time.perf_counter() - start
    return course


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution):
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    ask = trial.suggest_int if isinstance(distribution, IntDistribution) else trial.suggest_float
    low, high = distribution.low, distribution.high
    return ask(name, low, high, step=distribution.step, log=distribution.log)


@contextmanager
def _all_cores():
    """PyTorch's own number of threads: all cores, which one process has to itself here."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(size: Size, repetitions: int = 3, to_the_end: bool = False) -> dict:
    """Everything that is printed of this part, JSON-ready; Ray is up. With `to_the_end` Ray's
    pattern runs all of its trials, whatever they take."""
    searches = _our_searches(size)
    first = next(iter(searches))
    courses: dict[str, list[Course]] = {name: [] for name in (*searches, RAY, OPTUNA)}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as root:
        ours(Size(2, 1, size.data, size.device), Path(root, "warm"))  # workers import, once
        for repetition in range(repetitions):
            for place, (name, search) in enumerate(searches.items()):
                courses[name].append(search(size, Path(root, f"{repetition}-{place}")))
            patience = math.inf if to_the_end else courses[first][-1].seconds
            courses[RAY].append(ray_pattern(size, Path(root, f"{repetition}-ray"), patience))
            courses[OPTUNA].append(optuna_pattern(size))
    return {
        "trials": size.trials,
        "max_epochs": size.max_epochs,
        "images": len(size.data.train),
        "dataset": size.data.name,
        "device": size.device,
        "goal_mse": GOAL_MSE,
        "aim": AIM_GPU if size.device == "cuda" else AIM_CPU,
        "searches": {name: _summary(each) for name, each in courses.items()},
        f"{first} / other": {
            name: Spread.of_ratios(
                [course.trials_per_hour for course in courses[first]],
                [course.trials_per_hour for course in each],
            ).as_json()
            for name, each in courses.items()
            if name != first
        },
    }


def _our_searches(size: Size) -> dict[str, Callable[[Size, Path], Course]]:
    """On a GPU one for each share of it that a trial may take; the default share first."""
    if size.device != "cuda":
        return {"ours": ours}
    shares = sorted(GPU_SHARES, key=lambda share: share != 0.25)
    return {
        f"ours, {share:g} GPU a trial": lambda size, folder, share=share: ours(size, folder, share)
        for share in shares
    }


def _summary(courses: list[Course]) -> dict:
    reached = [when for course in courses if (when := course.goal_s()) is not None]
    return {
        "trials_ended": Spread.of([course.trials for course in courses]).as_json(),
        "seconds": Spread.of([course.seconds for course in courses]).as_json(),
        "trials_per_hour": Spread.of([course.trials_per_hour for course in courses]).as_json(),
        "epochs": Spread.of([len(course.values) for course in courses]).as_json(),
        "best_mse": Spread.of(
            [min(value for _, value in course.values) for course in courses]
        ).as_json(),
        "goal_reached": len(reached),
        "goal_s": Spread.of(reached).as_json() if reached else None,
    }


def as_text(found: dict) -> list[str]:
    key, ratios = next((k, v) for k, v in found.items() if k.endswith(" / other"))
    rows = [
        [
            name,
            said(each["trials_ended"]),
            said(each["trials_per_hour"]),
            said(ratios[name]) if name in ratios else "",
            said(each["epochs"]),
            said(each["best_mse"]),
            f"{said(each['goal_s'])}, {each['goal_reached']} times" if each["goal_s"] else "never",
        ]
        for name, each in found["searches"].items()
    ]
    head = ["whole searches", "ended", "trials an hour", key.replace("other", "it")]
    return [
        *table([*head, "epochs", "best MSE", f"s to MSE {found['goal_mse']}"], rows),
        f"{found['trials']} trials of at most {found['max_epochs']} epochs of {found['images']} "
        f"images of {found['dataset']} on {found['device']}; aim: {found['aim']:g} times Ray's "
        "pattern",
    ]
