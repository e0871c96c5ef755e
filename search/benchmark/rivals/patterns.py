"""The two patterns that tutorials teach for a whole search, with the space and network of ours.

- Ray's (ray/tune/examples/mnist_pytorch.py): a function trainable that makes a DataLoader for its
  trial, random samples, AsyncHyperBandScheduler with our rungs, an actor for each trial.
- Optuna's (optuna-examples/pytorch/pytorch_simple.py): one process with all cores, TPE and
  MedianPruner, a DataLoader for each trial.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import ray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler

from models.data import ImageData
from models.machine import usable_cores
from search.autoencoders.task import AutoencoderTask
from search.benchmark.inputs import threads
from search.benchmark.rivals.tutorials import Tutorial, tutorial
from search.benchmark.searches import search_stock
from search.task.protocol import arrays_from_data, data_from_arrays
from search.task.space import Preset, Space
from search.tune.schedulers.deciding import REDUCTION_FACTOR

GOAL_MSE = 0.02097  # test error of the seed report's best autoencoder, `sae`
LATENT_SIZE = 128
FEWEST_TRIALS = 4  # that a pattern ends before it is cut


class TaskWithoutPresets(AutoencoderTask):
    """A search of autoencoders whose trials are all sampled."""

    def presets(self) -> tuple[Preset, ...]:
        return ()


@dataclass(frozen=True)
class Size:
    """What all three searches have in common."""

    trials: int
    max_epochs: int
    data: ImageData
    device: str

    @property
    def task(self) -> TaskWithoutPresets:
        return TaskWithoutPresets((LATENT_SIZE,), self.max_epochs, "quick")


@dataclass
class Course:
    """What a search measured, and when, in seconds since it began."""

    trials: int  # that ended
    seconds: float = 0.0  # until the last of them ended
    values: list[tuple[float, float]] = field(default_factory=list)  # (when, validation MSE)

    @property
    def trials_per_hour(self) -> float:
        return 3600 * self.trials / self.seconds

    def goal_s(self) -> float | None:
        """When the goal was first reached; None if never."""
        return min((when for when, value in self.values if value < GOAL_MSE), default=None)


class _Listener(tune.Callback):
    """Records the results of a stock Tuner, and counts the trials that end before it is cut."""

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
    """Ends a stock Tuner after `patience` seconds, but not before FEWEST_TRIALS trials ended: fewer
    trials say nothing."""

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
    """Random search with early stopping by Ray's own scheduler; cut after `patience` seconds."""
    listener = _Listener()
    arrays = ray.put(arrays_from_data(size.data))
    trainable = tune.with_parameters(_train, task=size.task, device=size.device, arrays=arrays)
    gpus = 1 if size.device == "cuda" else 0
    search_stock(
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


def _train(config: dict, task: AutoencoderTask, device: str, arrays: dict) -> None:
    network = _tutorial(task, config, data_from_arrays(arrays), device)
    for _ in range(task.max_epochs):
        network.train_epoch()
        tune.report({"validation_mse": network.validation_mse()})


def _tutorial(task: AutoencoderTask, parameters: dict, data: ImageData, device: str) -> Tutorial:
    complete = {**parameters, task.space().group: LATENT_SIZE, **task.space().constants}
    return tutorial(*task.configs(complete, seed=0), data, device)


def ray_space(space: Space) -> dict:
    """The same distributions in Ray's terms."""
    return {name: _ray_domain(each) for name, each in space.distributions.items()}


def _ray_domain(distribution: BaseDistribution):
    if isinstance(distribution, CategoricalDistribution):
        return tune.choice(list(distribution.choices))
    low, high, step = distribution.low, distribution.high, distribution.step
    if step:  # Ray's own steps leave the range by rounding errors
        steps = range(round((high - low) / step) + 1)
        return tune.choice([min(low + step * n, high) for n in steps])
    return tune.loguniform(low, high) if distribution.log else tune.uniform(low, high)


def optuna_pattern(size: Size) -> Course:
    """TPE with a median pruner, one trial after another."""
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

    with threads(usable_cores()):  # PyTorch's default, for this is the only process
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
