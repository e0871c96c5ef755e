"""The real command: what it refuses before Ray starts, and one tiny search from end to end."""

from __future__ import annotations

import csv
import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from search.record import schema
from search.session.command import main
from tests.search.driver import study_of

ROOT = Path(__file__).parents[3]
TINY = (
    "--dataset mnist5k --train-size 120 --max-epochs 2 --num-samples 8 --final-seeds 2 --name tiny"
).split()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The folder of the packed data set, so that its slow CSV is read once."""
    return tmp_path_factory.mktemp("data")


def command(*arguments, module="search.autoencoders", **environment):
    """Run the command as a user does; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


def refused(*arguments, capsys, module="search.autoencoders"):
    """The same in this process, for commands that end before Ray starts: it saves the imports."""
    searched = importlib.import_module(f"{module}.command").COMMAND
    try:
        status = main(searched, [str(each) for each in arguments])
    except SystemExit as stop:
        status = stop.code
    return SimpleNamespace(returncode=status, stderr=capsys.readouterr().err)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, data_dir):
    """A finished tiny search: the run folder, and what the command printed."""
    storage = tmp_path_factory.mktemp("my rüns")
    relative = os.path.relpath(storage, ROOT)  # the workers are in another folder
    done = command(*TINY, "--storage-path", relative, "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    return storage / "tiny", done.stdout


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_run_folder_holds_what_it_promises(tiny):
    folder, _ = tiny
    run = json.loads((folder / "run.json").read_text())
    assert run["state"] == "finished" and run["command"] == "autoencoders"
    assert len(run["data"]["sha256"]) == 64 and run["data"]["train"] == 120
    assert run["scheduler"] == "promotion" and run["rungs"] == [1]
    assert run["split"] == "stratified" and run["seed"] == 0 and run["budget"] == "quick"
    assert {"argv", "git_commit", "versions", "device", "start", "end", "seconds"} <= run.keys()
    trials, epochs = rows(folder / "trials.csv"), rows(folder / "epochs.csv")
    assert len(trials) == 8 and {row["state"] for row in trials} <= {"complete", "pruned"}
    assert sum(int(row["epochs"]) for row in trials) == len(epochs)
    metrics = importlib.import_module("search.autoencoders.task").METRICS
    assert list(epochs[0]) == schema.epoch_columns(metrics)
    columns = list(trials[0])
    assert columns == schema.trial_columns(columns[5 : columns.index("epochs")], metrics)
    assert run["reduction_factor"] == 3 and run["rungs"] == [1]
    for row in epochs:  # two epochs: a rung and the last
        assert (
            row["decision"] in {"1": ("continue", "promote", "pause"), "2": ("last",)}[row["epoch"]]
        )
    for row in trials:
        assert row["reason"] == {"complete": "", "pruned": "paused"}[row["state"]]
    last = {row["id"]: row for row in epochs}
    for trial in trials:
        assert trial["last_validation_mse"] == last[trial["id"]]["validation_mse"]
        of_trial = [row for row in epochs if row["id"] == trial["id"]]
        best = min(float(row["validation_mse"]) for row in of_trial)
        assert float(trial["best_validation_mse"]) == best


def test_the_report_s_models_are_the_first_trials_and_complete(tiny):
    trials = rows(tiny[0] / "trials.csv")
    assert [row["preset"] for row in trials[:6]] == [
        "dae-l1",
        "deeper-dae",
        "even-deeper-dae",
        "deeper-dae-0.2",
        "sae",
        "deeper-sae",
    ]
    assert {row["state"] for row in trials[:6]} == {"complete"}


def test_the_best_weights_load_without_pickle_and_match_their_config(tiny):
    found = sorted(path.name for path in (tiny[0] / "best").iterdir())
    sizes = [name for name in found if name.isdigit()]
    assert sizes and "sae" in found
    for name in found:
        config = json.loads((tiny[0] / "best" / name / "config.json").read_text())
        weights = torch.load(tiny[0] / "best" / name / "weights.pt", weights_only=True)
        Autoencoder(AutoencoderConfig(**config["model"])).load_state_dict(weights)
        if name in sizes:
            assert config["model"]["latent_size"] == int(name)
            pictures = np.load(tiny[0] / "best" / name / "examples.npz", allow_pickle=False)
            assert pictures["reconstructions"].shape == (16, 28, 28)


def test_final_figures_are_of_new_seeds_and_stand_beside_their_floors(tiny):
    final = json.loads((tiny[0] / "final.json").read_text())
    assert final["seeds"] == [1, 2] and json.loads((tiny[0] / "run.json").read_text())["seed"] == 0
    for winner in final["winners"]:
        values = [run["test_mse"] for run in winner["runs"]]
        assert len(values) == 2 and math.isclose(winner["mean"]["test_mse"], sum(values) / 2)
    assert len(final["presets"]) == 8  # the report's six, then a linear path at two code sizes
    pca = {size: floor["test_mse"] for size, floor in final["floors"]["pca"].items()}
    assert pca["32"] > pca["128"] and final["floors"]["mean_image"]["test_mse"] > pca["32"]


def test_the_study_opens_in_optuna(tiny):
    study = study_of(tiny[0])
    assert len(study.trials) == 8
    best = min(
        float(row["best_validation_mse"])
        for row in rows(tiny[0] / "trials.csv")
        if row["state"] == "complete"
    )
    assert study.best_value == best


def test_the_output_is_a_status_block_and_a_table_and_none_of_ray_s_boxes(tiny):
    out = tiny[1]
    assert "8/8 trials done" in out and "best latent size 1024" in out
    assert "python -m analysis.report" in out and str(tiny[0]) in out
    assert "╭" not in out and "Trial status" not in out and "Traceback" not in out


def path_with_this_python(folder) -> str:
    """A PATH whose first `python` is this one, as in an environment that is activated."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


def test_the_report_is_made_of_it(tiny, tmp_path):
    (printed,) = [line for line in tiny[1].splitlines() if "analysis.report" in line]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path_with_this_python(tmp_path)}
    pasted = subprocess.run(printed, shell=True, cwd=tmp_path, env=environment, timeout=300)
    assert pasted.returncode == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert "deeper-dae-0.2" in text and "0.02097" in text
    assert list((tmp_path / "report").rglob("*.png"))


def test_a_finished_search_resumes_to_the_same_tables_at_once(tiny, data_dir):
    folder, _ = tiny
    before = (folder / "trials.csv").read_bytes(), (folder / "final.json").read_bytes()
    done = command(
        "--resume", "--name", "tiny", "--storage-path", folder.parent, "--data-dir", data_dir
    )
    assert done.returncode == 0, done.stderr
    assert before == ((folder / "trials.csv").read_bytes(), (folder / "final.json").read_bytes())


WRONG = {
    "control trials without ASHA": (
        ["--scheduler", "promotion", "--control-every", "4"],
        "--control-every measures what --scheduler asha costs",
    ),
    "no number of samples": (["--num-samples", "0"], "--num-samples: 0 is not at least 1"),
    "not a number": (["--num-samples", "many"], "--num-samples: invalid integer value: 'many'"),
    "unknown data set": (["--dataset", "cifar"], "cifar is neither a data set nor a file"),
    "unknown flag": (["--sample", "3"], "unrecognized arguments: --sample 3"),
    "grace longer than the trial": (
        ["--grace-epochs", "5", "--max-epochs", "2"],
        "--grace-epochs 5 is more than --max-epochs 2",
    ),
    "a size twice": (["--latent-sizes", "32", "32"], "names a value twice"),
    "a path for a name": (["--name", "a/b"], "must be a plain folder name"),
    "a name in another encoding": (["--name", "r\udcfcns"], "is not text in UTF-8"),
    "a budget of no time": (["--time-budget-s", "-1"], "is not a positive number"),
    "data that is not there": (["--dataset", "omniglot"], "omniglot"),
    "nothing to resume": (["--resume", "--name", "gone"], "does not exist"),
    "no name to resume": (["--resume"], "--resume needs --name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_one_line_and_status_2(case, tmp_path, capsys):
    arguments, message = WRONG[case]
    arguments = ["--dataset", "mnist5k", *arguments] if "--dataset" not in arguments else arguments
    where = ("--storage-path", tmp_path / "runs", "--data-dir", tmp_path)
    done = refused(*arguments, *where, capsys=capsys)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Downloading")]
    assert len(lines) == 1 and message in lines[0]
    assert not (tmp_path / "runs").exists()


def fingerprint(folder):
    """Every file of a folder with its bytes and its time of change."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "exists already: add --resume"),
        (["--resume", "--seed", "7"], "--seed 7 differs from the search"),
        (["--resume", "--dataset", "glyphs"], "--dataset glyphs differs"),
        (["--resume", "--latent-sizes", "64"], "--latent-sizes 64 differs"),
        (["--resume", "--max-epochs", "5"], "--max-epochs 5 differs"),
        (["--resume", "--scheduler", "asha"], "--scheduler asha differs"),
        (["--resume", "--reproducible"], "--reproducible 4 differs"),
        (["--resume", "--num-samples", "3"], "--num-samples 3 is fewer than the 8 trials"),
    ],
)
def test_what_would_make_it_another_search_is_refused_and_nothing_touched(
    flags, message, tiny, data_dir, capsys
):
    folder, _ = tiny
    before = fingerprint(folder)
    where = ("--name", "tiny", "--storage-path", folder.parent, "--data-dir", data_dir)
    done = refused(*where, *flags, capsys=capsys)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert fingerprint(folder) == before


OWN = (
    "--dataset mnist5k --train-size 60 --max-epochs 1 --num-samples 4 --final-seeds 0 "
    "--latent-sizes 128 --set linear_path=true depth=2..3"
).split()


@pytest.fixture(scope="module")
def own(tiny, data_dir):
    """A search of ranges of its own that begins with the winners of `tiny`, and what it printed."""
    storage = tiny[0].parent
    where = ("--name", "own", "--storage-path", storage, "--data-dir", data_dir)
    done = command(*OWN, "--start-from", "tiny", *where)
    assert done.returncode == 0, done.stderr
    return storage / "own", done.stdout


def test_own_ranges_and_starts_are_searched_and_recorded(own, tiny):
    folder, printed = own
    trials, run = rows(folder / "trials.csv"), json.loads((folder / "run.json").read_text())
    sampled = [trial for trial in trials if trial["preset"] == "sampled"]
    assert sampled and {trial["depth"] for trial in trials} <= {"2", "3"}
    assert {trial["linear_path"] for trial in trials} == {"True"}
    assert run["settings"]["set"] == ["depth=2..3", "linear_path=true"]
    assert {each["name"]: each["searched"] for each in run["changes"]} == {
        "depth": "2..3",
        "linear_path": "true",
    }
    assert run["left_out"]["sae"] == ["depth", "linear_path"] and "left out" in printed
    assert [start["run"] for start in run["starts"]] == ["tiny"] * len(run["starts"])
    tried = [start for start in run["starts"] if start["parameters"]]
    assert tried
    for number, start in enumerate(tried):
        assert trials[number]["preset"] == start["name"] and trials[number]["state"] == "complete"
        winner = tiny[0] / "best" / str(start["group"]) / "config.json"
        before = json.loads(winner.read_text())["parameters"]
        for name, old, new in start["moved"]:
            assert before[name] == old and start["parameters"][name] == new
            assert f"{name} {old} to {new}" in printed


def test_a_search_of_own_ranges_resumes_as_it_was_and_refuses_others(
    own, data_dir, tmp_path, capsys
):
    folder, _ = own
    where = ("--name", "own", "--storage-path", folder.parent, "--data-dir", data_dir)
    before = fingerprint(folder)
    file = tmp_path / "other.toml"
    file.write_text("depth = { low = 2, high = 4 }")
    for flags in (
        ["--set", "depth=2..4", "linear_path=true"],
        ["--set", "depth=2..3"],
        ["--space", file],
        ["--start-from", "own"],
    ):
        done = refused("--resume", *flags, *where, capsys=capsys)
        assert done.returncode == 2 and "differs from the search" in done.stderr
        assert done.stderr.count("\n") == 1
    assert fingerprint(folder) == before
    file.write_text("linear_path = true\ndepth = { low = 2, high = 3 }")
    done = command("--resume", "--space", file, "--num-samples", 5, *where)  # the same ranges
    assert done.returncode == 0, done.stderr
    trials = rows(folder / "trials.csv")
    assert len(trials) == 5 and trials[4]["depth"] in ("2", "3")


@pytest.mark.parametrize(
    ("module", "flags", "message"),
    [
        ("search.autoencoders", ["--set", "dept=2..4"], "the nearest is depth"),
        ("search.autoencoders", ["--set", "dropout=0..2"], "dropout must be in [0, 1)"),
        ("search.autoencoders", ["--space", "/nowhere.toml"], "/nowhere.toml"),
        ("search.autoencoders", ["--start-from", "nowhere"], "nowhere is no folder"),
        ("search.classifiers", ["--set", "stem=-16..16"], "stem must not be negative"),
        ("search.latent_probes", ["--set", "mlp.block=1..3"], "the nearest is mlp.blocks"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(
    module, flags, message, data_dir, tmp_path, capsys
):
    where = ("--dataset", "mnist5k", "--data-dir", data_dir, "--storage-path", tmp_path / "runs")
    done = refused(*flags, *where, capsys=capsys, module=module)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("module", ["autoencoders", "classifiers", "latent_probes"])
def test_the_printed_space_is_a_file_that_changes_nothing(module, data_dir, tmp_path, capsys):
    searched = importlib.import_module(f"search.{module}.command").COMMAND
    runs, file = tmp_path / "runs", tmp_path / "space.toml"
    where = ["--dataset", "mnist5k", "--data-dir", str(data_dir), "--storage-path", str(runs)]
    assert main(searched, ["--print-space", *where]) == 0
    printed = capsys.readouterr().out
    file.write_text(printed)
    assert main(searched, ["--print-space", "--space", str(file), *where]) == 0
    assert capsys.readouterr().out == printed and not runs.exists()
