"""The report, on made-up run folders that follow the search's contract."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis import report
from analysis.figures import classifiers as classifier_figures
from analysis.figures import style as figures
from analysis.page import document, markdown, parts
from analysis.page.sections import autoencoders, classifiers
from analysis.read.runs import (
    STATES,
    RunError,
    newest,
    preset_results,
    read_examples,
    read_run,
    winners,
)
from analysis.tables import frames as tables
from tests.analysis.report_page import report_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"report.md", "report.html"}
SIZES = (1024, 128, 32)
PCA = {1024: 0.0, 128: 0.00462, 32: 0.01751}
REACHED = {1024: 0.0031, 128: 0.0041, 32: 0.0098}
PRESETS = {
    "dae-l1": 128,
    "deeper-dae": 128,
    "even-deeper-dae": 128,
    "deeper-dae-0.2": 128,
    "sae": 1024,
    "deeper-sae": 1024,
}
METRICS = (
    "train_loss",
    "train_mse",
    "validation_mse",
    "probe_accuracy",
    "active_fraction",
    "effective_rank",
    "images_per_s",
)
NOISY = ("dae-l1", "deeper-dae", "even-deeper-dae", "deeper-dae-0.2")


CLASSIFIERS = ("naive", "another-naive", "corrected-naive", "residual")
ACCURACIES = {"naive": 0.91, "another-naive": 0.90, "corrected-naive": 0.93, "residual": 0.97}


def write_run(
    folder: Path,
    trials: int = 12,
    epochs: int = 9,
    state: str = "finished",
    data: str = "mnist5k",
    start: str = "2026-03-01T10:00:00+00:00",
    seed: int = 0,
    pictures: bool = True,
    note: str = "",
) -> Path:
    """A made-up run folder of `search.autoencoders`, with curves like those of real ones."""
    draws = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    rows = [_trial(number, epochs, draws) for number in range(trials)]
    curves = {row["id"]: _curve(row, epochs, draws) for row in rows}
    for row in rows:
        _add_metrics(row, curves[row["id"]])
    _write_csv(folder / "trials.csv", rows)
    _write_csv(
        folder / "epochs.csv",
        [
            {"id": row["id"], "number": row["number"], **record}
            for row in rows
            for record in curves[row["id"]]
        ],
    )
    counts = {name: sum(row["state"] == name for row in rows) for name in STATES}
    (folder / "run.json").write_text(
        json.dumps(_info(folder.name, trials, epochs, state, data, start, counts, note))
    )
    best = {size: _best_row(rows, size) for size in SIZES}
    best = {size: row for size, row in best.items() if row}
    if state == "finished":
        final = _final(rows, best, draws)
        (folder / "final.json").write_text(json.dumps(final))
    for size in best if pictures else ():
        (folder / "best" / str(size)).mkdir(parents=True)
        np.savez_compressed(
            folder / "best" / str(size) / "examples.npz",
            **_pictures(size, float(best[size]["noise_level"]), draws),
        )
    return folder


def _trial(number: int, epochs: int, draws: np.random.Generator) -> dict:
    names = list(PRESETS)
    preset = names[number] if number < len(names) else "sampled"
    size = PRESETS[preset] if preset in PRESETS else int(draws.choice(SIZES))
    noisy = preset in NOISY or (preset == "sampled" and draws.random() < 0.5)
    ended = "complete"
    if preset == "sampled" and draws.random() < 0.8:
        ended = "pruned" if draws.random() < 0.95 else str(draws.choice(["diverged", "error"]))
    trained = epochs if ended == "complete" else int(draws.choice([1, 3], p=[0.7, 0.3]))
    return {
        "id": f"trial_{number:05d}",
        "number": number,
        "state": ended,
        "preset": preset,
        "latent_size": size,
        "depth": int(draws.integers(3, 10)),
        "decoder_depth": "",
        "width": int(draws.choice([16, 24, 32, 48])),
        "dropout": 0.3 if "deeper-dae" in preset else 0.0,
        "noise": "gaussian" if noisy else "none",
        "noise_level": 0.3 if noisy else 0.0,
        "l1": 1e-4 if "sae" in preset else float(10 ** draws.uniform(-7, -4)),
        "l2": 0.0,
        "affine": 0.0,
        "learning_rate": float(10 ** draws.uniform(-3.3, -2.2)),
        "activation": "silu",
        "epochs": min(trained, epochs),
        "failures": int(ended == "error"),
        "seconds": round(3.1 * trained, 2),
    }


def _curve(row: dict, epochs: int, draws: np.random.Generator) -> list[dict]:
    floor = REACHED[row["latent_size"]] * (1 + draws.exponential(0.8))
    power = draws.uniform(0.9, 1.6)
    records = []
    for epoch in range(1, row["epochs"] + 1):
        mse = floor + 0.05 * epoch**-power * math.exp(draws.normal(0, 0.04))
        noise = 1.5 * row["dropout"] + 0.6 * row["noise_level"]
        loss = mse * (1.1 + noise) + 20 * row["l1"]
        if row["state"] == "diverged" and epoch == row["epochs"]:
            loss, mse = math.nan, 3e4
        records.append(
            {
                "epoch": epoch,
                "train_loss": loss,
                "train_mse": mse * 0.97,
                "validation_mse": mse,
                "probe_accuracy": 0.8 - 2 * min(mse, 0.3),
                "active_fraction": 0.9,
                "effective_rank": 20.0,
                "images_per_s": 4000.0,
            }
        )
    return records


def _add_metrics(row: dict, curve: list[dict]) -> None:
    for metric in METRICS:
        values = [record[metric] for record in curve]
        row[f"best_{metric}"] = max(values) if metric == "probe_accuracy" else min(values)
        row[f"last_{metric}"] = values[-1]
    row["best_epoch"] = row["epochs"]


def _best_row(rows: list[dict], size: int) -> dict | None:
    usable = [
        row for row in rows if row["latent_size"] == size and row["state"] in ("complete", "pruned")
    ]
    return min(usable, key=lambda row: row["best_validation_mse"], default=None)


def _info(
    name: str, trials: int, epochs: int, state: str, data: str, start: str, counts: dict, note: str
) -> dict:
    return {
        "command": "autoencoders",
        "argv": ["--num-samples", str(trials), "--name", name],
        "git_commit": "0123456789abcdef",
        "versions": {"python": "3.11.9", "torch": "2.9.0", "ray": "2.50.0", "optuna": "5.0.0"},
        "data": {
            "name": data,
            "sha256": "ab" * 32,
            "split": "stratified",
            "centred": False,
            "train": 4000,
            "validation": 500,
            "test": 500,
            "classes": 10,
            "note": note,
        },
        "seed": 0,
        "budget": "quick",
        "device": "cpu",
        "metric": "validation_mse",
        "mode": "min",
        "latent_sizes": list(SIZES),
        "space": {},
        "settings": {"num_samples": trials, "max_epochs": epochs, "grace_epochs": 1},
        "state": state,
        "counts": counts,
        "start": start,
        "end": None,
        "seconds": 512.5,
    }


def _final(rows: list[dict], best: dict[int, dict], draws: np.random.Generator) -> dict:
    def measured(error: float) -> dict:
        runs = [
            {
                "seed": seed,
                "epochs": 9,
                "train_loss": error * 1.2,
                "train_mse": error,
                "validation_mse": error * (1 + 0.02 * draws.normal()),
                "test_mse": error * (1.02 + 0.02 * draws.normal()),
            }
            for seed in range(3)
        ]
        keys = [key for key in runs[0] if key != "seed"]
        return {
            "runs": runs,
            "mean": {key: float(np.mean([run[key] for run in runs])) for key in keys},
            "std": {key: float(np.std([run[key] for run in runs], ddof=1)) for key in keys},
        }

    names = (
        "depth",
        "decoder_depth",
        "width",
        "dropout",
        "noise",
        "noise_level",
        "l1",
        "l2",
        "affine",
        "learning_rate",
        "activation",
    )
    chosen = [
        {
            "latent_size": size,
            "trial": row["id"],
            "preset": row["preset"],
            "state": row["state"],
            "epochs": row["epochs"],
            "parameters": {name: row[name] or None for name in names},
            "searched": {"validation_mse": row["best_validation_mse"]},
            **measured(row["best_validation_mse"]),
        }
        for size, row in best.items()
    ]
    presets = [
        {
            "preset": row["preset"],
            "trial": row["id"],
            "latent_size": row["latent_size"],
            "epochs": row["epochs"],
            "train_loss": row["last_train_loss"],
            "train_mse": row["last_train_mse"],
            "validation_mse": row["last_validation_mse"],
            "test_mse": row["last_validation_mse"] * 1.02,
        }
        for row in rows
        if row["preset"] != "sampled"
    ]
    pca = {
        str(size): {"components": min(size, 784), "validation_mse": error * 0.99, "test_mse": error}
        for size, error in PCA.items()
    }
    return {
        "metric": "validation_mse",
        "seeds": [0, 1, 2],
        "winners": chosen,
        "presets": presets,
        "floors": {"mean_image": {"validation_mse": 0.0671, "test_mse": 0.0668}, "pca": pca},
    }


def _pictures(size: int, level: float, draws: np.random.Generator) -> dict[str, np.ndarray]:
    strokes = np.random.default_rng(7)
    rows, columns = np.mgrid[:28, :28]
    inputs = np.zeros((16, 28, 28), np.float32)
    for image in inputs:
        ends = strokes.uniform(5, 22, (4, 2))
        for t in np.linspace(0, 1, 40):
            weights = np.array([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
            y, x = weights @ ends
            np.maximum(image, np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2.5), out=image)
    noised = (inputs + level * draws.normal(size=inputs.shape)).clip(0, 1)
    blur = {1024: 0.02, 128: 0.06, 32: 0.12}[size]
    redrawn = (inputs * (1 - blur) + blur * draws.random(inputs.shape)).clip(0, 1)
    return {
        "inputs": inputs,
        "noised": noised.astype(np.float32),
        "reconstructions": redrawn.astype(np.float32),
    }


def write_classifiers(
    folder: Path,
    trials: int = 8,
    epochs: int = 5,
    state: str = "finished",
    data: str = "mnist5k",
    split: str = "stratified",
    start: str = "2026-03-01T10:00:00+00:00",
    names: tuple[str, ...] = tuple("0123456789"),
    pairs: int = 3,
) -> Path:
    """A made-up run folder of `search.classifiers`; `names` are those of its classes."""
    draws = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = [_classifier_trial(number, epochs, draws) for number in range(trials)]
    curves = {row["id"]: _accuracy_curve(row, draws) for row in rows}
    for row in rows:
        for metric in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
            for end in ("best", "last"):
                row[f"{end}_{metric}"] = curves[row["id"]][-1][metric]
    _write_csv(folder / "trials.csv", rows)
    _write_csv(
        folder / "epochs.csv",
        [{"id": row["id"], **record} for row in rows for record in curves[row["id"]]],
    )
    counts = {name: sum(row["state"] == name for row in rows) for name in STATES}
    info = _info(folder.name, trials, epochs, state, data, start, counts, "")
    del info["latent_sizes"]
    info |= {"command": "classifiers", "metric": "validation_accuracy", "mode": "max"}
    info |= {"group": "model", "groups": ["classifier"]}
    info["data"] |= {"split": split, "classes": len(names)}
    (folder / "run.json").write_text(json.dumps(info))
    if state == "finished":
        final = _classifier_final(rows, names, pairs)
        (folder / "final.json").write_text(json.dumps(final))
        (folder / "best/classifier").mkdir(parents=True)
        np.savez_compressed(
            folder / "best/classifier/confusions.npz",
            **{
                name: draws.integers(0, 256, (pairs, 28, 28)).astype(np.uint8)
                for name in ("mistaken", "class", "taken_for")
            },
        )
    return folder


def _classifier_trial(number: int, epochs: int, draws: np.random.Generator) -> dict:
    preset = CLASSIFIERS[number] if number < len(CLASSIFIERS) else "sampled"
    pruned = preset == "sampled" and number % 2
    return {
        "id": f"trial_{number:05d}",
        "number": number,
        "state": "pruned" if pruned else "complete",
        "preset": preset,
        "model": "classifier",
        "depth": 3,
        "width": 32,
        "residual": preset == "residual",
        "hidden": 128,
        "hidden_activation": "naive" not in preset or preset == "corrected-naive",
        "dropout": 0.3,
        "activation": "relu",
        "learning_rate": 1e-3,
        "l2": 0.0,
        "noise": "none" if preset != "sampled" else "block",
        "noise_level": 0.0,
        "epochs": 1 if pruned else epochs,
        "failures": 0,
        "seconds": 2.0,
        "reached": ACCURACIES.get(preset, 0.95 - 0.2 * draws.random()),
    }


def _accuracy_curve(row: dict, draws: np.random.Generator) -> list[dict]:
    reached = row.pop("reached")
    curve = []
    for epoch in range(1, row["epochs"] + 1):
        accuracy = reached - 0.3 * (1 / epoch - 1 / row["epochs"])
        loss = 2 / epoch * math.exp(0.02 * draws.normal())
        curve.append(
            {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy + 0.01,
                "validation_loss": loss,
                "validation_accuracy": accuracy,
            }
        )
    return curve


def _retrained(accuracies: list[float]) -> dict:
    """What final.json says of a configuration trained again with the seeds 1, 2, ..."""
    runs = [
        {"seed": seed, "validation_accuracy": value - 0.01, "test_accuracy": value}
        for seed, value in enumerate(accuracies, 1)
    ]
    keys = ("validation_accuracy", "test_accuracy")
    std = {key: np.std([run[key] for run in runs], ddof=1) if runs[1:] else None for key in keys}
    return {
        "runs": runs,
        "mean": {key: float(np.mean([run[key] for run in runs])) for key in keys},
        "std": std,
    }


def _classifier_final(rows: list[dict], names: tuple[str, ...], pairs: int) -> dict:
    known = {row["preset"]: row for row in rows if row["preset"] != "sampled"}
    best = known["residual"]
    kinds = sorted({name.split("/")[0] for name in names})
    floors = {"most_frequent": 0.1, "nearest_mean": 0.782, "1-nn": 0.8965}
    retrained = {"naive": [0.91, 0.90, 0.92], "corrected-naive": [0.93, 0.93, 0.96]}
    return {
        "metric": "validation_accuracy",
        "seeds": [1, 2, 3],
        "floors": {
            name: {"validation_accuracy": value + 0.005, "test_accuracy": value}
            for name, value in floors.items()
        },
        "winners": [
            {
                "model": "classifier",
                "trial": best["id"],
                "preset": "residual",
                "state": "complete",
                "epochs": best["epochs"],
                "parameters": {"model": "classifier", "depth": 3, "residual": True},
                "searched": {"validation_accuracy": best["best_validation_accuracy"]},
                **_retrained([0.971, 0.974, 0.9745]),
                "accuracy_by": {
                    kind: round(0.9 + 0.09 * ((7 * place) % len(kinds)) / len(kinds), 6)
                    for place, kind in enumerate(kinds)
                },
                "confused": [
                    {
                        "class": names[place],
                        "taken_for": names[-1 - place],
                        "times": 9 - place // 2,
                        "of": 150,
                    }
                    for place in range(pairs)
                ],
            }
        ],
        "presets": [
            {
                "preset": name,
                "trial": row["id"],
                "model": "classifier",
                "epochs": row["epochs"],
                "train_loss": row["last_train_loss"],
                "train_accuracy": row["last_train_accuracy"],
                "validation_accuracy": row["last_validation_accuracy"],
                "test_accuracy": ACCURACIES[name] + 0.001,
                **(_retrained(retrained[name]) if name in retrained else {}),
            }
            for name, row in known.items()
        ],
    }


def _change(folder: Path, change) -> None:
    """Read final.json, let `change` alter it, write it."""
    final = json.loads((folder / "final.json").read_text())
    change(final)
    (folder / "final.json").write_text(json.dumps(final))


def _write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _report(runs: Path, out: Path) -> str:
    assert report.main(["--runs", str(runs), "--out", str(out)]) == 0
    return (out / "report.md").read_text()


def _text(runs: Path) -> str:
    """The report's words, without its figures drawn."""
    return markdown.render(document.place(parts.parts(report.read_study(runs))))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "mnist-run", trials=20)


@pytest.fixture(scope="module")
def reported(good, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report")
    _report(good.parent, out)
    return out


def test_report_holds_the_numbers_of_final_json(good, reported):
    page = (reported / "report.md").read_text()
    final = json.loads((good / "final.json").read_text())
    for winner in final["winners"]:
        for split in ("validation", "test"):
            mean, std = (winner[part][f"{split}_mse"] for part in ("mean", "std"))
            assert tables.spread(mean, std, 3, tables.mse) in page
    for preset in final["presets"]:
        assert f"{preset['test_mse']:.5f}" in page
        assert f"{preset['test_mse'] - preset['train_loss']:+.5f}" in page
    assert "0.00462" in page and "0.06680" in page  # the floors
    assert "0.02097" in page and "0.2097, by its text a misprint" in page


def test_report_links_to_every_file_it_writes(reported):
    page = (reported / "report.md").read_text()
    written = set(_files(reported)) - PAGES
    assert written >= {
        f"mnist-run/{name}"
        for name in (
            "best.csv",
            "presets.csv",
            "states.csv",
            "overview.png",
            "curves-presets.png",
            "curves-trials.png",
            *(f"reconstructions-{size}.png" for size in SIZES),
        )
    }
    assert all(f"]({name})" in page for name in written)


def test_csv_of_the_best_table_holds_the_full_numbers(good, reported):
    with (reported / "mnist-run/best.csv").open() as stream:
        rows = {int(row["latent_size"]): row for row in csv.DictReader(stream)}
    for winner in json.loads((good / "final.json").read_text())["winners"]:
        row = rows[winner["latent_size"]]
        assert float(row["test_mse"]) == pytest.approx(winner["mean"]["test_mse"], rel=1e-6)
        assert row["trial"] == winner["trial"]
    assert rows[1024]["test_over_pca"] == ""  # PCA is exact there
    expected = float(rows[32]["test_mse"]) / PCA[32]
    assert float(rows[32]["test_over_pca"]) == pytest.approx(expected, rel=1e-6)
    assert [rows[size]["seed_report_test_loss"] for size in SIZES] == ["0.02097", "", ""]


def test_gap_sentence_computes_what_vanishes(tmp_path):
    run = read_run(write_run(tmp_path / "run"))
    final = json.loads((run.folder / "final.json").read_text())
    for preset in final["presets"]:
        preset.update(train_loss=0.05, train_mse=0.018, test_mse=0.020)
    (run.folder / "final.json").write_text(json.dumps(final))
    sentence = autoencoders.gap_sentence(autoencoders.presets_beside_report(read_run(run.folder)))
    assert "on 6 of 6 presets" in sentence
    assert "-0.03000 on average" in sentence and "+0.00200: 100% of the gap" in sentence


def test_same_folders_give_the_same_bytes(good, reported, tmp_path):
    _report(good.parent, tmp_path)
    assert _files(tmp_path) == _files(reported)


def test_one_run_folder_is_reported_as_is(good, reported, tmp_path):
    assert _text(good) == (reported / "report.md").read_text()


def test_interrupted_run_is_reported_with_its_resume_command(tmp_path):
    write_run(tmp_path / "runs/cut", trials=9, state="interrupted")
    page = report_page(tmp_path / "runs")
    assert "not finished (it is interrupted)" in page
    assert "`python -m search.autoencoders --name cut --resume`" in page
    assert "(search)" in page and "no preset has a test figure yet" in page


@pytest.mark.parametrize("state", ["running", "finished"])
def test_run_with_holes_is_reported(tmp_path, state):
    """Only the columns and keys that a run cannot do without; nothing measured."""
    folder = write_run(tmp_path / "runs/holes", trials=7, state=state)
    info = json.loads((folder / "run.json").read_text())
    bare = {key: info[key] for key in ("command", "start", "state")}
    (folder / "run.json").write_text(json.dumps({**bare, "data": {"name": "mnist"}}))
    (folder / "trials.csv").write_text("id,state,latent_size\ntrial_00000,running,\n")
    (folder / "epochs.csv").write_text("id,epoch\n")
    if state == "finished":
        (folder / "final.json").write_text(
            '{"winners": [{"latent_size": 32, "mean": {"test_mse": NaN}}], "floors": null}'
        )
    page = report_page(tmp_path / "runs")
    assert "| - |" in page and "unknown" in page


def test_numbers_without_end_are_holes(tmp_path):
    folder = write_run(tmp_path / "runs/run", trials=7, pictures=False)
    _change(folder, lambda final: final["presets"][0].update(train_loss=10**400))
    lines = (folder / "epochs.csv").read_text().splitlines()
    (folder / "epochs.csv").write_text("\n".join([*lines, lines[1].replace(",1,", ",inf,", 1)]))
    assert "| `dae-l1` | 128 | 9 | - |" in report_page(tmp_path / "runs")


def test_run_without_any_trial_is_reported(tmp_path):
    folder = write_run(tmp_path / "runs/young", trials=7, state="running", pictures=False)
    for name in ("trials.csv", "epochs.csv"):  # as the search writes a table without rows
        (folder / name).write_text("")
    page = report_page(tmp_path / "runs")
    assert "Code 1024: no trial has been measured yet." in page
    assert "overview.png is left out" in page.replace("\\", "")


def test_winner_short_of_the_budget_is_said(tmp_path):
    folder = write_run(tmp_path / "runs/run")
    final = json.loads((folder / "final.json").read_text())
    final["winners"][0].update(state="pruned", epochs=3)
    (folder / "final.json").write_text(json.dumps(final))
    page = report_page(tmp_path / "runs")
    assert "not trained to the full budget in the search (state pruned, 3 of 9 epochs)" in page


def test_broken_and_foreign_folders_are_named_and_the_rest_reported(tmp_path, capsys):
    runs = tmp_path / "runs"
    for name in ("good", "bad-json", "no-csv", "odd-csv", "bad-final"):
        write_run(runs / name, trials=7, pictures=False)
    (runs / "bad-json/run.json").write_text('{"command": ')
    (runs / "no-csv/trials.csv").unlink()
    (runs / "odd-csv/epochs.csv").write_text("day,rain\n1,2\n")
    (runs / "bad-final/final.json").write_text("[1, 2]")
    (runs / "holiday pictures").mkdir()
    other = json.loads((runs / "good/run.json").read_text()) | {"command": "weather"}
    write_run(runs / "weather", trials=7, pictures=False)
    (runs / "weather/run.json").write_text(json.dumps(other))
    page = report_page(runs)
    faults = capsys.readouterr().err.splitlines()
    assert len(faults) == 6
    for name, reason in {
        "bad-json": "run.json cannot be read",
        "no-csv": "trials.csv is missing",
        "odd-csv": "epochs.csv has no column id, epoch",
        "bad-final": "final.json holds no JSON object",
        "holiday pictures": "not a run folder",
        "weather": "no part of the report is about the command",
    }.items():
        assert any(line.startswith(f"skipped {name}: {reason}") for line in faults)
        assert f"- {name}: skipped" in page
    assert ": good\n" in page


def test_no_runs_is_status_2_in_one_line(tmp_path, capsys):
    for runs in (tmp_path, tmp_path / "absent"):
        assert report.main(["--runs", str(runs), "--out", str(tmp_path / "out")]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and str(runs) in line
    assert not (tmp_path / "out").exists()


def test_only_broken_runs_is_status_2(tmp_path, capsys):
    (tmp_path / "runs/foreign").mkdir(parents=True)
    assert report.main(["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    assert "skipped foreign: not a run folder" in capsys.readouterr().err


def test_wrong_flag_is_status_2():
    with pytest.raises(SystemExit) as stopped:
        report.main(["--rums", "x"])
    assert stopped.value.code == 2


def test_out_that_is_a_file_is_status_2(good, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert report.main(["--runs", str(good), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_newest_run_of_each_command_and_data_set_is_chosen(tmp_path):
    starts = {
        "a-new": "2026-03-02T10:00:00+02:00",
        "b-old": "2026-03-02T09:00:00+02:00",
        "c-naive": "2026-03-02T07:30:00",
    }  # without a zone: UTC
    for name, start in starts.items():
        write_run(tmp_path / "runs" / name, trials=7, start=start, pictures=False)
    write_run(
        tmp_path / "runs/other",
        trials=7,
        data="omniglot",
        start="2020-01-01T00:00:00",
        pictures=False,
    )
    runs = [read_run(path) for path in sorted((tmp_path / "runs").iterdir())]
    chosen, older = newest(runs)
    assert [run.name for run in chosen] == ["a-new", "other"]
    assert [run.name for run in older] == ["b-old", "c-naive"]
    page = report_page(tmp_path / "runs")
    assert "- b-old: an older run of autoencoders on mnist5k" in page
    assert "](b-old/" not in page


def test_two_trials_are_enough(tmp_path):
    write_run(tmp_path / "runs/two", trials=2, epochs=1)
    page = report_page(tmp_path / "runs")
    assert "Code 32: no trial has been measured yet." in page
    assert "](two/overview.png)" in page


def test_diverged_trials_never_lead(tmp_path):
    folder = write_run(tmp_path / "run", trials=7, state="interrupted")
    lines = (folder / "trials.csv").read_text().splitlines()
    best = winners(read_run(folder))[1024].trial
    text = "\n".join(
        line.replace(",complete,", ",diverged,", 1) if line.startswith(best) else line
        for line in lines
    )
    (folder / "trials.csv").write_text(text)
    assert winners(read_run(folder))[1024].trial != best


def test_pruned_trial_leads_only_where_none_is_complete(tmp_path):
    folder = write_run(tmp_path / "run", trials=50, state="interrupted")
    run = read_run(folder)
    trials = run.trials.set_index("id")
    assert all(winner.state == "complete" for winner in winners(run).values())
    for winner in winners(run).values():
        rivals = trials[(trials["latent_size"] == winner.group) & (trials["state"] == "complete")]
        assert rivals["best_validation_mse"].idxmin() == winner.trial


def test_presets_that_were_not_tested_come_from_the_trials(tmp_path):
    run = read_run(write_run(tmp_path / "run", trials=3, state="interrupted"))
    assert [result.preset for result in preset_results(run)] == list(PRESETS)[:3]
    rows = autoencoders.presets_beside_report(run).rows
    assert [row["model"] for row in rows] == [*PRESETS, "mean image"]
    assert math.isnan(rows[0]["test_mse"]) and rows[0]["train_loss"] > 0


@pytest.mark.parametrize("spoil", ["pickled", "cut", "shape", "absent"])
def test_unusable_pictures_are_refused_and_the_rest_reported(tmp_path, capsys, spoil):
    folder = write_run(tmp_path / "runs/run", trials=7)
    path = folder / "best/128/examples.npz"
    if spoil == "pickled":
        np.savez(
            path,
            **dict.fromkeys(
                ("inputs", "noised", "reconstructions"), np.array([{"a": 1}], dtype=object)
            ),
        )
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif spoil == "shape":
        np.savez(path, **dict.fromkeys(("inputs", "noised", "reconstructions"), np.zeros((4, 9))))
    else:
        path.unlink()
    with pytest.raises(RunError, match=r"best/128/examples\.npz"):
        read_examples(read_run(folder), 128)
    page = report_page(tmp_path / "runs")
    assert "reconstructions-128.png is left out" in page
    assert "](run/reconstructions-1024.png)" in page


def test_words_from_files_cannot_break_the_page(tmp_path):
    write_run(tmp_path / "runs/a | b", trials=7, pictures=False, note="<script>|x|</script>")
    page = report_page(tmp_path / "runs")
    assert "<script>" not in page and "(a%20%7C%20b/best.csv)" in page


def test_configuration_in_words_leaves_out_what_is_off():
    words = tables.in_words(
        "sae",
        {
            "depth": 9,
            "dropout": 0.0,
            "noise": "block",
            "l1": 1e-4,
            "noise_level": 0.25,
            "decoder_depth": math.nan,
            "l2": None,
        },
    )
    assert words == "`sae`: depth 9, L1 0.0001, block noise 0.25 on the input"
    words = tables.in_words("sampled", {"noise": "block", "noise_level": 0.0, "stem": 16})
    assert words == "sampled: stem 16"


@pytest.fixture(scope="module")
def classified(tmp_path_factory) -> Path:
    return write_classifiers(tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def classifier_report(classified, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report")
    _report(classified.parent, out)
    return out


def test_classifier_section_holds_the_numbers_of_final_json(classified, classifier_report):
    page = (classifier_report / "report.md").read_text()
    assert "## Classifiers on mnist5k (split stratified): digits" in page
    best = "| 0.9632 ± 0.0019 | 0.9732 ± 0.0019 (3 seeds) | 0.995 | 0.1000 | 0.7820 | 0.8965 |"
    assert f"| `residual`: depth 3, residual blocks {best}" in page
    final = json.loads((classified / "final.json").read_text())
    rows = {
        preset["preset"]: f"| `{preset['preset']}` | 5 | {preset['train_loss']:.4f} |"
        for preset in final["presets"]
    }
    assert f"{rows['naive']} 0.2055 | 0.9200 | 0.9110 | 0.62 | 0.9100 ± 0.0100 (3 seeds) |" in page
    assert f"{rows['another-naive']} 0.2157 | 0.9100 | 0.9010 | 0.60 | - |" in page
    assert (
        f"{rows['corrected-naive']} 0.0941 | 0.9400 | 0.9310 | 0.65 | 0.9400 ± 0.0173 (3 seeds) |"
        in page
    )
    assert rows["residual"] not in page  # ours, not the report's
    assert "The report's numbers are of Omniglot and ours of mnist5k" in page
    assert "| 0 | 9 | 9 of 150 |" in page


def test_classifier_section_links_to_every_file_it_writes(classifier_report):
    page = (classifier_report / "report.md").read_text()
    written = set(_files(classifier_report)) - PAGES
    tables_ = ("best", "presets", "accuracy", "confused", "states")
    pictures = ("curves-presets", "curves-trials", "accuracy-by-class", "confusions")
    expected = {f"digits/{name}.csv" for name in tables_}
    assert written >= expected | {f"digits/{name}.png" for name in pictures}
    assert all(f"]({name})" in page for name in written)


def test_same_classifier_folders_give_the_same_bytes(classified, classifier_report, tmp_path):
    _report(classified.parent, tmp_path)
    assert _files(tmp_path) == _files(classifier_report)


def test_csv_of_the_best_classifier_holds_the_full_numbers(classifier_report):
    with (classifier_report / "digits/best.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["model"] == "classifier" and row["seeds"] == "3"
    assert float(row["test_accuracy"]) == pytest.approx((0.971 + 0.974 + 0.9745) / 3, rel=1e-6)
    assert row["seed_report_lowest"] == row["seed_report_highest"] == "0.995"
    assert row["1_nn_test_accuracy"] == "0.8965"


def test_a_winner_that_was_refitted_on_validation_images_says_so(tmp_path, classifier_report):
    folder = write_classifiers(tmp_path / "runs/refitted", trials=4)

    def change(final: dict) -> None:
        final["refit_on"] = "train+validation"
        for entry in (final["winners"][0], *final["winners"][0]["runs"]):
            del entry.get("mean", entry)["validation_accuracy"]

    _change(folder, change)
    page = report_page(tmp_path / "runs")
    assert "on the training and the validation split" in page
    assert "| - | 0.9732 ± 0.0019 (3 seeds) | 0.995 |" in page
    assert "validation split, for" not in (classifier_report / "report.md").read_text()


@pytest.mark.parametrize(
    "naive, corrected, words",
    [
        (
            [0.5, 0.5, 0.5],
            [0.52, 0.53, 0.54],
            "changes test accuracy by +3.00 points [+0.52, +5.48] over 3 seeds",
        ),
        (
            [0.5, 0.5, 0.5],
            [0.48, 0.47, 0.46],
            "changes test accuracy by -3.00 points [-5.48, -0.52] over 3 seeds",
        ),
        (
            [0.5, 0.5],
            [0.5, 0.52],
            "changes test accuracy by +1.00 points [-11.71, +13.71] over 2 seeds",
        ),
        ([0.5], [0.6, 0.6, 0.6], "cannot be judged here: `naive` and `corrected-naive` share 1"),
    ],
)
def test_the_missing_activation_is_judged_by_its_interval(tmp_path, naive, corrected, words):
    folder = write_classifiers(tmp_path / "run")

    def change(final: dict) -> None:
        for preset in final["presets"]:
            values = {"naive": naive, "corrected-naive": corrected}.get(preset["preset"])
            preset.update(_retrained(values) if values else {})

    _change(folder, change)
    sentence = classifiers.activation_sentence(read_run(folder))
    assert words in sentence
    assert ("it makes the classifier better" in sentence) == (corrected[0] == 0.52)
    assert ("it makes the classifier worse" in sentence) == (corrected[0] == 0.48)
    assert ("includes 0" in sentence) == (len(naive) == 2)
    assert ("--name run --resume --final-seeds 3` fills" in sentence) == (len(naive) == 1)


def test_only_seeds_that_both_presets_share_are_paired(tmp_path):
    folder = write_classifiers(tmp_path / "run")

    def change(final: dict) -> None:
        final["presets"][0]["runs"][0]["seed"] = 7  # of naive: 2 and 3 are shared
        final["presets"][2]["runs"][1]["test_accuracy"] = None

    _change(folder, change)
    assert "share 1 retrained seed," in classifiers.activation_sentence(read_run(folder))


def test_seed_noise_is_named_beside_the_reports_gain(classified):
    sentence = classifiers.noise_sentence(read_run(classified))
    assert "gain is 3 points (0.62 to 0.65)" in sentence
    assert "2 of the 3 points are within seed noise" in sentence
    assert "ours differ by 1.00, and `naive` scatters by 1.00 (std over 3 seeds)" in sentence


def test_classes_are_listed_from_worst_to_best(classified, classifier_report):
    page = (classifier_report / "report.md").read_text()
    by_class = json.loads((classified / "final.json").read_text())["winners"][0]["accuracy_by"]
    ranked = sorted(by_class, key=by_class.get)
    rows = [f"| {name} | {by_class[name]:.4f} | " for name in ranked]
    places = [page.index(row) for row in rows]
    assert places == sorted(places)


def test_of_many_classes_the_worst_are_shown_and_the_csv_has_all(tmp_path):
    names = tuple(f"glyph{place:03}" for place in range(100))
    write_classifiers(tmp_path / "runs/many", trials=4, data="glyphs", names=names)
    page = _report(tmp_path / "runs", tmp_path / "out")
    assert "The 60 worst of 100; the CSV has all." in page and page.count("\n| glyph") == 60 + 3
    assert len((tmp_path / "out/many/accuracy.csv").read_text().splitlines()) == 101


@pytest.mark.parametrize(
    "data, split, said, unsaid",
    [
        ("mnist", "published", "Best published single network on MNIST: 0.9983.", "0.8983"),
        ("mnist5k", "stratified", "mnist5k holds 5,000 images", "0.9983"),
        ("omniglot", "drawers", "no drawer of a test image was seen", "0.8983"),
        ("omniglot", "decathlon", "0.8983 (Visual Decathlon, MTAN", "no drawer of a test"),
        ("kmnist", "published", "ours of kmnist: they do not compare", "0.995"),
    ],
)
def test_classifiers_stand_beside_what_compares(tmp_path, data, split, said, unsaid):
    run = read_run(write_classifiers(tmp_path / "run", trials=4, data=data, split=split))
    page = "\n".join(b for b in classifiers.classifier_blocks(run) if isinstance(b, str))
    best = classifiers.best_classifier(run).markdown()
    assert said in page and unsaid not in page
    assert ("| 0.60-0.65 |" in best) == (data == "omniglot")
    assert ("| 0.995 |" in best) == data.startswith("mnist")


def test_both_splits_of_omniglot_are_reported_after_the_autoencoders(tmp_path):
    names = ("Greek/character01", "Japanese_(hiragana)/character02", "Greek/character03")
    for name, split, start in (
        ("a", "drawers", "2026-03-02T10:00:00+00:00"),
        ("b", "decathlon", "2026-03-01T10:00:00+00:00"),
        ("c", "drawers", "2026-03-01T10:00:00+00:00"),
    ):
        write_classifiers(
            tmp_path / "runs" / name, 4, 2, data="omniglot", split=split, start=start, names=names
        )
    write_run(tmp_path / "runs/z", trials=6, data="omniglot", pictures=False)
    page = report_page(tmp_path / "runs")
    heads = [line for line in page.splitlines() if re.match("### .*(: |not reported)", line)]
    assert heads[-4:] == [
        "### Autoencoders on omniglot (split stratified): z",
        "### Classifiers on omniglot (split decathlon): b",
        "### Classifiers on omniglot (split drawers): a",
        "### Folders not reported",
    ]
    assert "- c: an older run of classifiers on omniglot (split drawers)" in page
    assert "### Accuracy per alphabet" in page and "| Japanese (hiragana) |" in page


def test_interrupted_classifier_search_is_reported_from_its_trials(tmp_path):
    write_classifiers(tmp_path / "runs/cut", state="interrupted")
    page = report_page(tmp_path / "runs")
    assert "| `residual`: depth 3, width 32, residual blocks, hidden units 128," in page
    assert "| 0.9700 (search) | - | 0.995 | - | - | - |" in page
    assert "| `naive` | 5 |" in page and "| 0.9200 | - | 0.62 | - |" in page
    assert "no activation between the dense layers" not in page  # the winner has one
    assert "share 0 retrained seeds" in page and "ours are not both measured yet" in page
    assert page.count("`python -m search.classifiers --name cut --resume` makes one.") == 2


@pytest.mark.parametrize("state", ["running", "finished"])
def test_classifier_run_with_holes_is_reported(tmp_path, state):
    folder = write_classifiers(tmp_path / "runs/holes", state=state)
    info = json.loads((folder / "run.json").read_text())
    bare = {key: info[key] for key in ("command", "start", "state", "group")}
    (folder / "run.json").write_text(json.dumps({**bare, "data": {"name": "omniglot"}}))
    (folder / "trials.csv").write_text("id,state,model,epochs\ntrial_00000,running,,many\n")
    (folder / "epochs.csv").write_text("id,epoch\n")
    if state == "finished":
        winner = {"model": "classifier", "accuracy_by": {"Greek": None, "Latin": 0.5}}
        winner["confused"] = [{"class": 5}, "x"]
        final = {"winners": [winner], "floors": {"1-nn": 3}, "presets": [{"runs": [{}, 1]}]}
        (folder / "final.json").write_text(json.dumps(final))
    page = report_page(tmp_path / "runs")
    assert "Best classifier" in page and "| - |" in page
    assert ("| Latin | 0.5000 | - |" in page) == (state == "finished")


@pytest.mark.parametrize("spoil", ["pickled", "cut", "fewer", "absent"])
def test_unusable_confusions_are_refused_and_the_rest_reported(tmp_path, capsys, spoil):
    folder = write_classifiers(tmp_path / "runs/run", trials=4)
    path = folder / "best/classifier/confusions.npz"
    keys = ("mistaken", "class", "taken_for")
    if spoil == "pickled":
        np.savez(path, **dict.fromkeys(keys, np.array([{"a": 1}], dtype=object)))
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif spoil == "fewer":
        np.savez(path, **dict.fromkeys(keys, np.zeros((2, 28, 28), np.uint8)))
    else:
        path.unlink()
    page = report_page(tmp_path / "runs")
    assert "(confusions.png is left out: best/classifier/confusions.npz" in page.replace("\\", "")
    assert "| 0 | 9 | 9 of 150 |" in page and "## 7. Provenance" in page


def test_perfect_classifier_has_no_confused_pairs(tmp_path):
    write_classifiers(tmp_path / "runs/perfect", trials=4, pairs=0)
    page = report_page(tmp_path / "runs")
    assert "None: no retrained network mistook any test image." in page
    assert "](perfect/confusions.png)" not in page


LONG = (
    "Blackfoot_(Canadian_Aboriginal_Syllabics)/character14",
    "Old_Church_Slavonic_(Cyrillic)/character32",
    "Japanese_(hiragana)/character06",
    "Alphabet_of_the_Magi/character03",
    "one_word_without_any_space_that_could_break_it",
    "T-shirt/top",
)


@pytest.mark.parametrize("pairs", [1, 12])
def test_words_in_the_picture_of_confusions_do_not_overlap(pairs):
    draws = np.random.default_rng(0)
    labels = [("12 of 100 times", LONG[n % 6], LONG[(n + 1) % 6]) for n in range(pairs)]
    figure = classifier_figures.confusions([draws.random((pairs, 28, 28))] * 3, labels)
    renderer = FigureCanvasAgg(figure).get_renderer()
    words = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels())]
    boxes = [text.get_window_extent(renderer) for text in words if text.get_text()]
    assert len(boxes) == 3 * pairs + 3 * len(figure.axes)
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    width, height = figure.canvas.get_width_height()
    assert all(0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height for box in boxes)


def test_floors_far_below_the_accuracies_leave_them_their_room():
    low, high = figures.ACCURACY.limits([0.95, 0.99], [0.96, 0.1, math.nan])
    assert 0.9 < low < 0.95 and 0.99 < high < 1.0
    assert figures.ACCURACY.limits([0.1, 0.2], [0.5])[1] > 0.5  # a floor not reached is shown


def test_trials_keep_every_column_of_their_file(classified):
    trials = read_run(classified).trials
    assert trials["residual"].tolist()[:5] == [False, False, False, True, False]
    assert set(trials["noise"]) == {"none", "block"} and trials["hidden"].sum() == 8 * 128
    assert trials["last_validation_loss"].dtype == float


def test_report_imports_neither_ray_nor_torch():
    code = "import sys, analysis.report; sys.exit(bool({'ray', 'torch'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_finished_search_without_the_reports_models_says_what_trains_them(tmp_path):
    folder = write_run(tmp_path / "runs/codes", trials=12)
    info = json.loads((folder / "run.json").read_text())
    info["presets"] = {"unwarping": {}, **dict.fromkeys(PRESETS, {})}
    (folder / "run.json").write_text(json.dumps(info))
    text = (folder / "trials.csv").read_text()
    for name in PRESETS:
        text = text.replace(f",{name},", ",sampled,")
    (folder / "trials.csv").write_text(text)
    _change(folder, lambda final: final.update(presets=[]))
    page = report_page(tmp_path / "runs")
    assert "None of the report's models was trained in this run" in page
    assert f"--resume --num-samples {1 + len(PRESETS)}` trains them" in page
    assert "The report's training curves" not in page
