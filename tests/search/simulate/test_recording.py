"""Recording the curves of a run folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import optuna
import pytest

from search.autoencoders.space import autoencoder_space
from search.classifiers.space import classifier_space
from search.simulate.command import main
from search.simulate.recorded import load_curves
from search.simulate.recording import record

SPACES = {
    ("validation_mse", "min"): autoencoder_space((32,), full=False, for_probes=False),
    ("validation_accuracy", "max"): classifier_space(full=True),
}


def run_folder(
    path: Path,
    sampler: str = "random",
    states=("complete", "complete", "diverged"),
    metric: str = "validation_mse",
    mode: str = "min",
    first: int = 1,  # epoch that has a figure
):
    """A run folder as a search leaves it: a preset, sampled trials, one diverged."""
    space = SPACES[metric, mode]
    group = {space.group: space.groups[0]}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trials = [
        {"number": n, "state": state, "preset": "sae" if n == 0 else "sampled", **group}
        | study.ask(space.distributions).params
        for n, state in enumerate(states)
    ]
    epochs = [
        {"number": n, "epoch": epoch, metric: value}
        for n, state in enumerate(states)
        for epoch, value in enumerate(
            (0.123456789, 0.1, 0.05 if state == "complete" else np.nan), first
        )
    ]
    path.mkdir()
    for name, rows in (("trials", trials), ("epochs", epochs)):
        with open(path / f"{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    about = {"command": "a", "data": {"name": "b"}, "metric": metric, "mode": mode}
    about["space"] = space.as_json()
    (path / "run.json").write_text(json.dumps(about | {"settings": {"sampler": sampler}}))
    return trials


@pytest.mark.parametrize(("metric", "mode"), SPACES)
def test_a_run_is_recorded_without_its_presets_and_read_back(tmp_path, metric, mode):
    trials = run_folder(tmp_path / "run", metric=metric, mode=mode)
    assert record(tmp_path / "run", tmp_path / "curves.csv.gz") == 2
    curves = load_curves(tmp_path / "curves.csv.gz")
    assert (curves.metric, curves.mode) == (metric, mode)
    assert curves.space.as_json() == SPACES[metric, mode].as_json() | {"constants": ANY}
    assert curves.values[0].tolist() == [0.123457, 0.1, 0.05]
    best = 0.05 if mode == "min" else 1 - 0.123457
    assert curves.finals()[0] == pytest.approx(best) and np.isinf(curves.finals()[1])
    for read, trial in zip(curves.parameters, trials[1:], strict=True):
        for name, value in read.items():
            known = trial[name]
            assert value == (known if isinstance(known, str) else pytest.approx(known, rel=1e-5))


def test_the_same_run_gives_the_same_bytes(tmp_path):
    run_folder(tmp_path / "run")
    files = [tmp_path / "a.gz", tmp_path / "b.gz"]
    for file in files:
        record(tmp_path / "run", file)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": "tpe"},
        {"states": ("complete", "pruned")},
        {"states": ("complete",)},
        {"first": 7},
    ],
)
def test_a_run_that_cannot_stand_for_the_space_is_refused(tmp_path, options, capsys):
    run_folder(tmp_path / "run", **options)
    out = tmp_path / "curves.csv.gz"
    assert main(["--record", str(tmp_path / "run"), "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not out.exists()
