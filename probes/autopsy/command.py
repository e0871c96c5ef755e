"""Why did forests and boosting fail on the codes, and why did stronger L2 make it worse?

`python -m probes.autopsy` changes one thing at a time, holds the others, and measures with several
seeds what it costs: trees and boosting beside controls that do not split on single units. It writes
`autopsy.json` as it goes and goes on where it was stopped; `python -m analysis.report` makes the
table, the figure and the answer of it. Accuracy is on the validation split: nothing here reads a
test image.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from scipy.stats import ortho_group

from models.data import DataError, ImageData, load
from models.data.prepared import prepare
from models.networks.autoencoder import Autoencoder, AutoencoderConfig
from models.training.code_statistics import active_fraction
from models.training.loop import TrainingConfig
from models.training.reconstruction import autoencoder_run
from probes.autopsy.fits import BOOSTING, FITS, FOREST_TREES, Codes, Fit, fit_perceptron
from probes.codes.encoding import encode_images
from probes.codes.projection import ProjectionConfig, fit_projection

CONTROLS = ("lda", "logistic", "1-nn")
TREES = ("extra-trees", "random-forest", "catboost")
LDA_COMPONENTS = 48
DEPTH, WIDTH = 5, 16  # of the autoencoders: small, for many are trained

AUTOENCODERS: Mapping[str, Mapping[str, float | str]] = {
    "plain": {},
    "dropout 0.3": {"dropout": 0.3},
    "affine augmentation": {"affine": 1.0},
    "block masking": {"noise": "block", "noise_level": 0.3},
    "affine and masking": {"affine": 1.0, "noise": "block", "noise_level": 0.3},
    "warped input": {"affine": 0.5, "noise": "block", "noise_level": 0.2, "warp": 1.0},
    "strong L1": {"l1": 30.0},  # it gives back the mean image: 0.3 and 3 cost nothing
    "untrained": {},
}


@dataclass(frozen=True)
class Setting:
    """All that a fit depends on, but the probe and the seed. The defaults are the baseline."""

    centred: bool = True
    autoencoder: str = "affine and masking"
    code: int = 128
    rotation: str = "as it is"
    classes: int = 200
    drawings: int = 14  # of each class, at most
    views: int = 1
    min_samples_leaf: int = 1
    max_features: float | str = "sqrt"
    depth: int = 6  # of CatBoost's trees
    leaf_estimation: str = "Newton"
    mistake: str = ""


@dataclass(frozen=True)
class Level:
    """One row of the table: a factor at one of its levels, for some probes."""

    factor: str
    name: str
    setting: Setting
    probes: tuple[str, ...]
    question: str = "trees"
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    dataset: str
    data_dir: str
    out: Path
    seeds: int
    classes: int
    epochs: int  # of each autoencoder
    seconds: float  # of a fit of boosting
    forest_seconds: float  # after which a forest stays as large as it is
    formulation_seconds: float
    jobs: int


def factor_levels(base: Setting, all_classes: int) -> Iterator[Level]:
    """The levels of "why did the trees fail", the baseline of each factor among them."""
    every = (*TREES, *CONTROLS)
    few = [n for n in (10, 50, 200) if n < all_classes and n != base.classes]
    counts = sorted({*few, base.classes, all_classes})
    vary: dict[str, list[tuple[str, dict, tuple[str, ...]]]] = {
        "registration": [
            ("centred", {}, every),
            ("not centred", {"centred": False}, every),
        ],
        "autoencoder": [
            (name, {"autoencoder": name}, every)
            for name in AUTOENCODERS
            if name not in ("strong L1", "untrained")
        ],
        "code size": [(str(n), {"code": n}, every) for n in (32, 128, 1024)],
        "rotation of the code": [
            (name, {"rotation": name}, every)
            for name in ("as it is", "random rotation", "PCA", f"LDA({LDA_COMPONENTS})")
        ],
        "classes": [(str(n), {"classes": n}, every) for n in counts],
        "drawings per class": [
            # One drawing of each has no spread within a class, which LDA is about.
            (str(n), {"drawings": n}, tuple(p for p in every if n > 1 or p != "lda"))
            for n in (1, 3, 7, 14)
        ],
        "views": [(str(n), {"views": n}, ("extra-trees", *CONTROLS)) for n in (1, 10)],
        "leaf size": [
            (str(n), {"min_samples_leaf": n}, ("extra-trees", "random-forest")) for n in (1, 3, 7)
        ],
        "features per split": [
            (str(n), {"max_features": n}, ("extra-trees", "random-forest"))
            for n in ("sqrt", 0.3, 1.0)
        ],
        "CatBoost": [
            ("depth 6, Newton", {}, ("catboost",)),
            ("depth 3", {"depth": 3}, ("catboost",)),
            ("leaves by gradient", {"leaf_estimation": "Gradient"}, ("catboost",)),
        ],
        "mistakes": [
            ("none", {}, every),
            ("two sets' labels collide", {"mistake": "labels collide"}, every),
            ("test set numbered anew", {"mistake": "labels renumbered"}, every),
            ("scaling fitted on test", {"mistake": "scaling on test"}, every),
            ("untrained encoder", {"autoencoder": "untrained"}, every),
            ("code collapsed by L1", {"autoencoder": "strong L1"}, every),
        ],
    }
    for factor, levels in vary.items():
        for name, changes, probes in levels:
            yield Level(factor, name, replace(base, **changes), probes)


def formulation_levels(base: Setting, all_classes: int) -> Iterator[Level]:
    """Boosting put in other words, on all classes, each in the same time."""
    setting = replace(base, classes=all_classes)
    for name in BOOSTING:
        yield Level("formulation", name, setting, (name,), "boosting")


def l2_levels(base: Setting) -> Iterator[Level]:
    for kind in ("coupled", "decoupled"):
        for norm in (False, True):
            for l2 in (0.0, 1e-4, 1e-3, 1e-2, 1e-1):
                name = f"{kind}, {l2:g}{' + batch norm' if norm else ''}"
                extra = {"l2": l2, "l2_kind": kind, "batch_norm": norm}
                yield Level("L2", name, base, ("mlp",), "l2", extra)


# Autoencoders and codes


def autoencoder_path(plan: Plan, setting: Setting, seed: int) -> Path:
    kind = setting.autoencoder.replace(" ", "-")
    where = "centred" if setting.centred else "as-drawn"
    return plan.out / "autoencoders" / f"{kind}-{setting.code}-{where}-{seed}.pt"


def train_autoencoder(plan: Plan, setting: Setting, seed: int) -> None:
    """Train the autoencoder of a setting, unless it is there."""
    path = autoencoder_path(plan, setting, seed)
    if path.exists():
        return
    torch.set_num_threads(1)
    options = dict(AUTOENCODERS[setting.autoencoder])
    model = _autoencoder_config(setting)
    data = prepare(_load(plan, setting.centred), validation_limit=500)
    training = TrainingConfig(
        max_epochs=plan.epochs,
        batch_size=64,
        seed=seed,
        **{name: value for name, value in options.items() if name != "dropout"},
    )
    run = autoencoder_run(model, training, data)
    if setting.autoencoder != "untrained":
        for _ in run.epochs():
            pass
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(run.weights(), half)
    os.replace(half, path)


def _autoencoder_config(setting: Setting) -> AutoencoderConfig:
    dropout = AUTOENCODERS[setting.autoencoder].get("dropout", 0.0)
    return AutoencoderConfig(DEPTH, None, WIDTH, setting.code, dropout)


def _load(plan: Plan, centred: bool) -> ImageData:
    return load(plan.dataset, plan.data_dir, centre=centred, download=False)


def make_codes(plan: Plan, setting: Setting, seed: int) -> tuple[Codes, str]:
    """Training and validation codes of a setting, and what must be said of them."""
    data = _load(plan, setting.centred)
    network = Autoencoder(_autoencoder_config(setting))
    path = autoencoder_path(plan, setting, seed)
    network.load_state_dict(torch.load(path, weights_only=True))
    rng = np.random.default_rng([seed, 1])
    classes = rng.permutation(len(data.class_names))[: setting.classes]
    labels = data.labels.numpy()
    train = _few_of_each(data.train.numpy(), labels, classes, setting.drawings, rng)
    held = data.validation.numpy()
    held = held[np.isin(labels[held], classes)]
    codes = Codes(
        _encode(network, data, train, setting.views, seed),
        np.tile(labels[train], setting.views),
        _encode(network, data, held, 1, seed),
        labels[held],
        None if data.drawers is None else np.tile(data.drawers.numpy()[train], setting.views),
        tuple(name.split("/")[0] for name in data.class_names),
        len(train),
    )
    active = active_fraction(torch.from_numpy(codes.train)) * setting.code
    note = f"{active:.0f} of {setting.code} units active" if active < setting.code / 2 else ""
    return _with_mistake(_rotated(codes, setting.rotation, seed), setting.mistake, rng), note


def _few_of_each(
    indices: np.ndarray, labels: np.ndarray, classes: np.ndarray, most: int, rng
) -> np.ndarray:
    chosen = [rng.permutation(indices[labels[indices] == c])[:most] for c in np.sort(classes)]
    return np.concatenate(chosen)


def _encode(
    network: Autoencoder, data: ImageData, indices: np.ndarray, views: int, seed: int
) -> np.ndarray:
    images = data.images[torch.from_numpy(indices)]
    parts = [encode_images(network, images)]
    for view in range(1, views):
        generator = torch.Generator().manual_seed(1000 * seed + view)
        parts.append(encode_images(network, images, "cpu", generator))
    return np.concatenate(parts).astype(np.float32)


def _rotated(codes: Codes, rotation: str, seed: int) -> Codes:
    if rotation == "as it is":
        return codes
    size = codes.train.shape[1]
    if rotation == "random rotation":
        matrix = ortho_group.rvs(size, random_state=seed).astype(np.float32)
        return replace(codes, train=codes.train @ matrix, held=codes.held @ matrix)
    steps = {"pca": size} if rotation == "PCA" else {"lda": LDA_COMPONENTS}
    projection = fit_projection(ProjectionConfig(**steps), codes.train, codes.labels)
    return replace(codes, train=projection(codes.train), held=projection(codes.held))


def _with_mistake(codes: Codes, mistake: str, rng: np.random.Generator) -> Codes:
    """Codes as a plain bug would have left them."""
    if mistake == "labels collide":  # each of two sets numbers its classes from 0
        classes, places = np.unique(codes.labels, return_inverse=True)
        half = max(1, len(classes) // 2)
        held = np.searchsorted(classes, codes.held_labels) % half
        return replace(codes, labels=places % half, held_labels=held)
    if mistake == "labels renumbered":
        classes = np.unique(codes.labels)
        other = rng.permutation(classes)[np.searchsorted(classes, codes.held_labels)]
        return replace(codes, held_labels=other)
    if mistake == "scaling on test":
        return replace(codes, train=_standard(codes.train), held=_standard(codes.held))
    return codes


def _standard(codes: np.ndarray) -> np.ndarray:
    return (codes - codes.mean(0)) / np.maximum(codes.std(0), 1e-6)


# Measuring


def measure(plan: Plan, levels: list[Level], seed: int) -> list[dict]:
    """A result for each probe of each of the levels, which share their setting (the baseline is a
    level of every factor): what is the same fit is fitted once."""
    torch.set_num_threads(1)
    codes, note = make_codes(plan, levels[0].setting, seed)
    wanted = dict.fromkeys(probe for level in levels for probe in level.probes)
    runs = {probe: _measured(plan, levels[0], probe, codes, seed) for probe in wanted}
    results = []
    for level in levels:
        for probe in level.probes:
            run, said = runs[probe]
            notes = "; ".join(part for part in (note, said) if part)
            name = "catboost" if level.question == "boosting" else probe
            results.append({"level": level, "probe": name, "run": run, "note": notes})
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


def rows_of(results: Iterable[dict], base: Setting) -> list[dict]:
    """Results of several seeds as rows of the table."""
    rows: dict[tuple, dict] = {}
    for result in results:
        level: Level = result["level"]
        key = level.question, level.factor, level.name, result["probe"]
        row = rows.setdefault(
            key,
            {
                "question": level.question,
                "factor": level.factor,
                "level": level.name,
                "baseline": level.question == "trees" and level.setting == base,
                "probe": result["probe"],
                **level.extra,
                "note": result["note"],
                "runs": [],
            },
        )
        row["runs"] = sorted([*row["runs"], result["run"]], key=lambda run: run["seed"])
    for row in rows.values():
        values = [run["accuracy"] for run in row["runs"]]
        row["accuracy"] = statistics.fmean(values)
        row["std"] = statistics.stdev(values) if len(values) > 1 else None
    return list(rows.values())


def levels_of(plan: Plan, data: ImageData) -> list[Level]:
    everything = len(data.class_names)
    base = Setting(classes=min(plan.classes, everything))
    return [
        *factor_levels(base, everything),
        *formulation_levels(base, everything),
        *l2_levels(base),
    ]


def run(plan: Plan) -> None:
    """Measure all that autopsy.json lacks, and write it after every setting."""
    data = _load(plan, True)
    levels = levels_of(plan, data)
    base = Setting(classes=min(plan.classes, len(data.class_names)))
    path, begin = plan.out / "autopsy.json", time.time()
    earlier = _read(path, plan)
    known = {
        (row["question"], row["factor"], row["level"], run["seed"])
        for row in earlier.get("rows", [])
        for run in row["runs"]
    }
    to_do = _to_do(levels, plan.seeds, known)
    print(f"autopsy: {len(to_do)} settings to measure", flush=True)
    results = list(_results_again(earlier, levels))
    workers = Parallel(n_jobs=plan.jobs, return_as="generator_unordered")
    needed = {(_of_autoencoder(alike[0].setting), seed) for alike, seed in to_do}
    missing = [one for one in needed if not autoencoder_path(plan, *one).exists()]
    jobs = (delayed(train_autoencoder)(plan, *one) for one in sorted(missing, key=repr))
    for number, _ in enumerate(workers(jobs), 1):
        print(f"autoencoder {number} of {len(missing)} trained", flush=True)
    about = {
        "command": f"python -m probes.autopsy {' '.join(sys.argv[1:])}".strip(),
        "start": earlier.get("start", _now()),
        "git_commit": _git_commit(),
        "data": data.summary(),
        "classes": base.classes,
        "plan": {**asdict(plan), "out": plan.out.name, "data_dir": ""},
    }
    spent = earlier.get("seconds", 0.0)

    def write(finished: bool) -> None:
        seconds = round(spent + time.time() - begin, 1)
        rows = rows_of(results, base)
        _write(path, {**about, "seconds": seconds, "finished": finished, "rows": rows})

    found = workers(delayed(measure)(plan, *one) for one in to_do)
    for number, more in enumerate(found, 1):
        results += more
        write(False)
        level = more[0]["level"]
        said = {each["probe"]: f"{each['run']['accuracy']:.3f}" for each in more}
        print(f"[{number}/{len(to_do)}] {level.factor}, {level.name}: {said}", flush=True)
    write(True)
    print(f"wrote {path}; table and answer: python -m analysis.report --runs {path.parent}")


def _to_do(levels: list[Level], seeds: int, known: set) -> list[tuple[list[Level], int]]:
    """Levels that share a setting, with a seed; all of one seed before the next."""
    found: dict[tuple, list[Level]] = {}
    for seed in range(seeds):
        for level in levels:
            if (level.question, level.factor, level.name, seed) not in known:
                formulation = level.probes if level.question == "boosting" else ()
                key = seed, level.question, level.setting, formulation, *level.extra.items()
                found.setdefault(key, []).append(level)
    return [(alike, key[0]) for key, alike in found.items()]


def _of_autoencoder(setting: Setting) -> Setting:
    """Only what an autoencoder depends on: several settings share one."""
    return Setting(setting.centred, setting.autoencoder, setting.code)


def _results_again(earlier: dict, levels: list[Level]) -> Iterator[dict]:
    named = {(level.question, level.factor, level.name): level for level in levels}
    for row in earlier.get("rows", []):
        level = named.get((row["question"], row["factor"], row["level"]))
        for run in row["runs"] if level else ():
            yield {"level": level, "probe": row["probe"], "run": run, "note": row["note"]}


def _read(path: Path, plan: Plan) -> dict:
    """What an earlier run of the same plan left; empty where there is none."""
    try:
        earlier = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    mine = {**asdict(plan), "out": plan.out.name, "data_dir": ""}
    free = ("seeds", "jobs")
    theirs = earlier.get("plan", {})
    same = all(theirs.get(name) == mine[name] for name in mine if name not in free)
    return earlier if same else {}


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(half, path)


def _git_commit() -> str | None:
    """The commit of this code; None outside a checkout."""
    try:
        told = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
        )
    except OSError:
        return None
    return told.stdout.strip() or None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def main(arguments: list[str] | None = None) -> int:
    """Run the autopsy; 2 with one line on stderr if the data cannot be had."""
    options = vars(_parser().parse_args(arguments))
    plan = Plan(**options)
    try:
        try:
            run(plan)
        except DataError as error:
            if plan.dataset != "omniglot":
                raise
            print(f"note: omniglot could not be had, glyphs is used instead ({error})")
            run(replace(plan, dataset="glyphs"))
    except (DataError, OSError) as error:
        print(f"probes.autopsy: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("probes.autopsy: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m probes.autopsy",
        description="Measure why forests and boosting fail on an autoencoder's codes.",
    )
    add = parser.add_argument
    add("--dataset", default="omniglot", choices=("omniglot", "glyphs"))
    add("--data-dir", default=os.environ.get("DATA_DIR", "data"))
    add("--out", type=Path, default=Path("runs/autopsy"), help="default runs/autopsy")
    add("--seeds", type=int, default=3, help="default 3")
    add("--classes", type=int, default=200, help="of the baseline (default 200)")
    add("--epochs", type=int, default=6, help="of each autoencoder (default 6)")
    add("--seconds", type=float, default=8.0, help="of a fit of boosting (default 8)")
    add(
        "--forest-seconds",
        type=float,
        default=180.0,
        help="after which a forest is left as large as it is, and that is noted (default 180)",
    )
    add(
        "--formulation-seconds",
        type=float,
        default=40.0,
        help="of each formulation of boosting (default 40)",
    )
    add("--jobs", type=int, default=os.cpu_count(), help="at a time (default: all cores)")
    return parser
