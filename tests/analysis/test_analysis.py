"""Run folders made by hand, for tests that do not use `run_folders` yet."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np

from analysis import report
from analysis.page import document, markdown, parts
from analysis.read.runs import STATES

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
