"""Whole searches: this project's, and the two patterns that tutorials teach.

All three search the space of `search.autoencoders` at one code size, with the same number of
trials, epochs and images, and without presets. Ours is a search as the command runs it, without the
retraining of its winners; the other two are in search/benchmark/rivals/patterns.py.

Trials per hour count the trials that ended, stopped early or not, until the last of them ended;
time counts from a running Ray. Ray's pattern takes several times as long as ours, so it is cut
after the time that ours takes, and its unfinished trials do not count; --to-the-end lets it finish.
The goal is a validation error below the test error of the seed report's best autoencoder.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from search.benchmark import inputs
from search.benchmark.figures import ratio_spread, spread, spread_text
from search.benchmark.rivals.patterns import GOAL_MSE, Course, Size, optuna_pattern, ray_pattern
from search.benchmark.searches import search_ours
from search.simulate.table import columns
from search.task.kinds import positive_int
from search.task.settings import Settings

AIM_CPU, AIM_GPU = 5.0, 50.0  # times the trials per hour of Ray's pattern
RAY, OPTUNA = "Ray's pattern", "Optuna's pattern"
NEEDS_RAY = True


def add_flags(parser: argparse.ArgumentParser) -> None:
    for flag, default, what in (
        ("--trials", 50, "trials"),
        ("--max-epochs", 4, "epochs"),
        ("--train-size", 500, "images"),
    ):
        text = f"{what} of a whole search (default {default})"
        parser.add_argument(flag, type=positive_int, default=default, help=text)


def prepare(given: argparse.Namespace) -> Callable[[], dict]:
    """The measurement that was asked for. Raises DataError."""
    data = inputs.images(given, given.train_size)
    size = Size(given.trials, given.max_epochs, data, inputs.device())
    return lambda: measure(size, given.repetitions, given.to_the_end)


def ours(
    size: Size,
    folder: Path,
    gpus_per_trial: float | None = None,
    time_budget_s: float | None = None,
) -> Course:
    begin, start = time.time(), time.perf_counter()
    settings = Settings(
        num_samples=size.trials, gpus_per_trial=gpus_per_trial, time_budget_s=time_budget_s
    )
    logbook = search_ours(size.task, settings, size.data, folder)
    seconds = time.perf_counter() - start
    events, _ = logbook.folder.read_events()
    epochs = [event for event in events if event["event"] == "epoch"]
    values = [(e["time"] - begin, e["record"]["validation_mse"]) for e in epochs]
    ended = len(logbook.state.trials) - len(logbook.state.unfinished())
    return Course(ended, seconds, values)


def measure(size: Size, repetitions: int = 3, to_the_end: bool = False) -> dict:
    """The figures of this part, JSON-ready. Ray must be running. With `to_the_end` Ray's pattern
    runs all of its trials, however long they take."""
    searches = _our_searches(size)
    first = next(iter(searches))
    courses: dict[str, list[Course]] = {name: [] for name in (*searches, RAY, OPTUNA)}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as root:
        ours(Size(2, 1, size.data, size.device), Path(root, "warm"))  # workers import in it
        for repetition in range(repetitions):
            for index, (name, search) in enumerate(searches.items()):
                courses[name].append(search(size, Path(root, f"{repetition}-{index}")))
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
            name: ratio_spread(
                [course.trials_per_hour for course in courses[first]],
                [course.trials_per_hour for course in each],
            )
            for name, each in courses.items()
            if name != first
        },
    }


def _our_searches(size: Size) -> dict[str, Callable[[Size, Path], Course]]:
    """On a GPU also with a whole GPU for a trial."""
    if size.device != "cuda":
        return {"ours": ours}
    return {"ours": ours, "ours, a GPU for each trial": partial(ours, gpus_per_trial=1.0)}


def _summary(courses: list[Course]) -> dict:
    reached = [when for course in courses if (when := course.goal_s()) is not None]
    return {
        "trials_ended": spread([course.trials for course in courses]),
        "seconds": spread([course.seconds for course in courses]),
        "trials_per_hour": spread([course.trials_per_hour for course in courses]),
        "epochs": spread([len(course.values) for course in courses]),
        "best_mse": spread([min(value for _, value in course.values) for course in courses]),
        "goal_reached": len(reached),
        "goal_s": spread(reached) if reached else None,
    }


def as_text(found: dict) -> list[str]:
    key, ratios = next((k, v) for k, v in found.items() if k.endswith(" / other"))
    rows = [
        [
            name,
            spread_text(each["trials_ended"]),
            spread_text(each["trials_per_hour"]),
            spread_text(ratios[name]) if name in ratios else "",
            spread_text(each["epochs"]),
            spread_text(each["best_mse"]),
            f"{spread_text(each['goal_s'])}, {each['goal_reached']} times"
            if each["goal_s"]
            else "never",
        ]
        for name, each in found["searches"].items()
    ]
    head = ["whole searches", "ended", "trials an hour", key.replace("other", "it")]
    return [
        *columns([*head, "epochs", "best MSE", f"s to MSE {found['goal_mse']}"], rows),
        f"{found['trials']} trials of at most {found['max_epochs']} epochs of {found['images']} "
        f"images of {found['dataset']} on {found['device']}; aim: {found['aim']:g} times Ray's "
        "pattern",
    ]
