"""What the autopsy measures: the accuracy of each classifier at a setting."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from probes.autopsy.codes import Codes, make_codes
from probes.autopsy.fits import FITS, FOREST_TREES, Fit, fit_perceptron
from probes.autopsy.formulations import BOOSTING
from probes.autopsy.levels import Level
from probes.autopsy.plan import Plan


@dataclass(frozen=True)
class Result:
    """A classifier at a level, with one seed."""

    level: Level
    probe: str
    run: dict[str, Any]  # seed, accuracy, train_accuracy, seconds
    note: str


def measure(plan: Plan, levels: list[Level], seed: int) -> list[Result]:
    """A result for each classifier of each level. The levels share a setting, so each classifier
    is fitted once. (The baseline, for example, is a level of every factor.)"""
    torch.set_num_threads(1)
    codes, note = make_codes(plan, levels[0].setting, seed)
    wanted = dict.fromkeys(probe for level in levels for probe in level.probes)
    runs = {probe: _measured(plan, levels[0], probe, codes, seed) for probe in wanted}
    results = []
    for level in levels:
        for probe in level.probes:
            run, note_of_fit = runs[probe]
            notes = "; ".join(part for part in (note, note_of_fit) if part)
            name = "catboost" if level.question == "boosting" else probe
            results.append(Result(level, name, run, notes))
    return results


def _measured(
    plan: Plan, level: Level, probe: str, codes: Codes, seed: int
) -> tuple[dict[str, Any], str]:
    start = time.perf_counter()
    fit = _fit(plan, level, probe, codes, seed)
    run = {
        "seed": seed,
        "accuracy": float((fit.held == codes.held_labels).mean()),
        "train_accuracy": float((fit.train == codes.labels[: codes.drawings]).mean()),
        "seconds": round(time.perf_counter() - start, 2),
    }
    return run, fit.note


def _fit(plan: Plan, level: Level, probe: str, codes: Codes, seed: int) -> Fit:
    if level.question == "boosting":
        return BOOSTING[probe](codes, seed, plan.formulation_seconds)
    if level.question == "l2":
        return fit_perceptron(codes, seed, **level.extra)
    seconds = plan.forest_seconds if probe in FOREST_TREES else plan.seconds
    return FITS[probe](codes, seed, seconds, level.setting)
