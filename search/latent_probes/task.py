"""`python -m search.latent_probes`: find the best classifiers of an autoencoder's codes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from models.data import DataError, ImageData, load_unseen
from models.data.cache import weights_digest
from models.networks.presets import AUTOENCODER_PRESETS
from probes.classifiers.fitting import METRICS, PROBES, ProbeRun, Scale, predict, restore_probe
from probes.classifiers.limits import GIGABYTE
from probes.codes.encoding import CodedData, attach_codes, encode_images, load_autoencoder
from probes.codes.few_shot import few_shot_table
from probes.codes.floors import pixel_floors
from search.autoencoders.task import AutoencoderTask
from search.cluster.nodes import finish, where_seen
from search.session.command import Command
from search.session.mistakes import conclude_mistakes
from search.session.retraining import train_to_end
from search.store.checkpoints import CheckpointStore
from search.store.files import Files, json_bytes, write_atomically, write_json
from search.store.folder import RunFolder
from search.store.storage import Storage, open_storage
from search.task.protocol import Retrained, Surroundings, arrays_from_data, data_from_arrays
from search.task.settings import (
    BUDGETS,
    Settings,
    UsageError,
    build_parser,
    positive_float,
    positive_int,
)
from search.task.space import Preset, Space
from search.tune.device import claim_device

SIZES = (1024, 128, 32)  # where autoencoders are trained for this
AUTOENCODER = "sae"  # the preset that is trained where there is no run to take one from
MAIN_SIZE = 128  # on whose code the first trials are
BLOCKS = (1, 2, 3, 4, 5, 6)
L2_SWEEP = (1e-5, 1e-4, 1e-3, 1e-2)
RESAMPLINGS = 2000
CODES = ".codes"  # in the storage path: shared by all searches there

STEPS = {"views": 1, "scaling": False, "pca": 0, "lda": 0, "shrinkage": 0.05}
DEFAULTS: Mapping[str, dict] = {
    "nearest-mean": {**STEPS, "pca": 256, "lda": 192, "shrinkage": 0.003},
    "knn": {
        **STEPS,
        "pca": 256,
        "lda": 192,
        "shrinkage": 0.003,
        "neighbours": 10,
        "temperature": 0.05,
    },
    "lda": {**STEPS, "lda_shrinkage": 0.01},
    "logistic": {**STEPS, "pca": 128, "scaling": True, "inverse_l2": 1.0},
    "mlp": {
        **STEPS,
        "blocks": 2,
        "width": 512,
        "dropout": 0.5,
        "input_norm": True,
        "hidden_norm": True,
        "activation": "silu",
        "label_smoothing": 0.1,
        "l2": 0.01,
        "l2_kind": "decoupled",
        "l2_later": None,
        "learning_rate": 2e-3,
    },
    "random-forest": {
        **STEPS,
        "pca": 256,
        "lda": 32,
        "shrinkage": 0.003,
        "max_features": 0.2,
        "min_samples_leaf": 1,
    },
    "extra-trees": {
        **STEPS,
        "pca": 256,
        "lda": 64,
        "shrinkage": 0.003,
        "max_features": 0.5,
        "min_samples_leaf": 1,
    },
    "catboost": {
        **STEPS,
        "pca": 128,
        "candidates": 10,
        "tree_depth": 4,
        "boosting_rate": 0.05,
        "l2_leaf_reg": 3.0,
        "ranker_lda": 48,
        "lda_shrinkage": 0.003,
    },
}
"""Every parameter of each probe at its default setting."""

REPORTED_MLP = {
    **DEFAULTS["mlp"],
    "dropout": 0.0,
    "input_norm": False,
    "hidden_norm": False,
    "activation": "relu",
    "label_smoothing": 0.0,
    "l2": 0.0,
    "l2_kind": "coupled",
    "learning_rate": 1e-3,
}
"""The report's perceptron as far as it says, and as torch's tutorials have it where it does not:
two blocks, Adam with its own coupled L2."""

_LDA_SHRINKAGE = FloatDistribution(1e-4, 0.5, log=True)
_FOREST = {
    "max_features": FloatDistribution(0.05, 1.0),
    "min_samples_leaf": IntDistribution(1, 4),
}
_SAMPLED: Mapping[str, Mapping[str, BaseDistribution]] = {
    "nearest-mean": {},
    "knn": {
        "neighbours": IntDistribution(1, 40),
        "temperature": FloatDistribution(0.01, 0.5, log=True),
    },
    "lda": {"lda_shrinkage": _LDA_SHRINKAGE},
    "logistic": {"inverse_l2": FloatDistribution(1e-3, 1e2, log=True)},
    "mlp": {
        "blocks": IntDistribution(1, 6),
        "width": IntDistribution(256, 1024, step=256),
        "dropout": FloatDistribution(0.0, 0.6, step=0.1),
        "input_norm": CategoricalDistribution((True, False)),
        "label_smoothing": FloatDistribution(0.0, 0.2, step=0.05),
        "l2": FloatDistribution(1e-5, 1e-1, log=True),
        "learning_rate": FloatDistribution(5e-4, 5e-3, log=True),
    },
    "random-forest": _FOREST,
    "extra-trees": _FOREST,
    "catboost": {
        "candidates": IntDistribution(5, 20, step=5),
        "tree_depth": IntDistribution(3, 7),
        "boosting_rate": FloatDistribution(0.02, 0.3, log=True),
        "l2_leaf_reg": FloatDistribution(1.0, 30.0, log=True),
        "ranker_lda": CategoricalDistribution((48, 96)),
        "lda_shrinkage": _LDA_SHRINKAGE,
    },
}
_OWN_LDA = ("lda", "catboost")  # an LDA in front of these would be their own, twice

SCALES = {
    "quick": Scale(stages=9, trees=2, iterations=8, logistic_iterations=20),
    "full": Scale(stages=81, trees=4, iterations=10, logistic_iterations=200),
}
"""What a stage comes to, where --max-epochs does not say another number of them."""


@dataclass(frozen=True)
class ProbeTask:
    """A `search.task.Task`: what there is to search in classifiers of codes."""

    probes: tuple[str, ...]
    latent_sizes: tuple[int, ...]
    max_epochs: int
    budget: str
    seconds_per_trial: float | None = None
    memory_per_trial_gb: float | None = None
    threads: int = 1
    metric: str = "validation_accuracy"
    mode: str = "max"
    metrics: tuple[str, ...] = METRICS
    checkpoints: bool = True
    kept: tuple[str, ...] = ("train_loss", "train_accuracy")
    retrained_presets: tuple[str, ...] = ()

    @property
    def scale(self) -> Scale:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        scale = SCALES[self.budget]
        return replace(scale, stages=self.max_epochs, threads=self.threads, device=device)

    @property
    def most_views(self) -> int:
        return 5 if self.budget == "quick" else 20

    def space(self) -> Space:
        """A family for each kind of probe; one winner for each kind and code size."""
        groups = tuple(group(probe, size) for size in self.latent_sizes for probe in self.probes)
        meaning = {
            group(probe, size): {"probe": probe, "latent_size": size}
            for probe in self.probes
            for size in self.latent_sizes
        }
        return Space.of_families(tuple(map(self._family, self.probes)), groups, meaning)

    def _family(self, probe: str) -> Space:
        steps: dict[str, BaseDistribution] = {
            "views": IntDistribution(1, self.most_views),
            "scaling": CategoricalDistribution((True, False)),
            "pca": CategoricalDistribution((0, 64, 128, 256)),
        }
        if probe not in _OWN_LDA:
            steps["lda"] = CategoricalDistribution((0, 48, 96, 192))
            steps["shrinkage"] = FloatDistribution(1e-3, 0.5, log=True)
        distributions = {**steps, **_SAMPLED[probe]}
        constants = {k: v for k, v in DEFAULTS[probe].items() if k not in distributions}
        groups = tuple(group(probe, size) for size in self.latent_sizes)
        return Space(distributions, "model", groups, constants)

    def presets(self) -> tuple[Preset, ...]:
        """Each probe at its default setting, at one code size and then at the others; between
        them the report's perceptron, and after them its number of blocks and its L2 one by one."""
        main = MAIN_SIZE if MAIN_SIZE in self.latent_sizes else self.latent_sizes[0]
        others = [size for size in self.latent_sizes if size != main]
        named = {f"{probe}-default": self._preset(probe, main) for probe in self.probes}
        if "mlp" in self.probes:
            two_stage = {**REPORTED_MLP, "l2": 1e-4, "l2_later": 5e-5}
            named["report-two-stage"] = self._preset("mlp", main, two_stage)
        for size in others:
            for probe in self.probes:
                named[f"{probe}-default-{size}"] = self._preset(probe, size)
        if "mlp" in self.probes:
            for blocks in BLOCKS:
                values = {**REPORTED_MLP, "blocks": blocks}
                named[f"mlp-{blocks}-blocks"] = self._preset("mlp", main, values)
            for l2 in L2_SWEEP:
                named[f"mlp-l2-{l2:g}"] = self._preset("mlp", main, {**REPORTED_MLP, "l2": l2})
        return tuple(Preset(name, parameters) for name, parameters in named.items())

    def _preset(self, probe: str, size: int, values: Mapping[str, Any] | None = None) -> dict:
        about = {"model": group(probe, size), "probe": probe, "latent_size": size}
        return {**about, **(values or DEFAULTS[probe])}

    def uses_gpu(self, parameters: dict) -> bool:
        """Perceptrons only: the other probes train on CPUs and would let a GPU idle."""
        return parameters["probe"] == "mlp"

    def prepare(self, data: CodedData, device: str) -> CodedData:
        return data

    def start(self, parameters: dict, seed: int, prepared: CodedData) -> ProbeRun:
        memory = (self.memory_per_trial_gb or float("inf")) * GIGABYTE
        return ProbeRun(parameters, seed, prepared, self.scale, memory)

    def describe(self, parameters: dict, seed: int) -> dict:
        return {"scale": asdict(self.scale), "training": {"seed": seed}}

    def test(
        self, weights: dict, parameters: dict, data: CodedData, device: str
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Accuracy on all of validation and test, and the test predictions."""
        probe, projection = restore_probe(weights, parameters, self.scale)
        metrics, predictions = {}, {}
        for split in ("validation", "test"):
            indices = getattr(data, split).numpy()
            size = parameters["latent_size"]
            predictions[split] = predict(probe, projection, data, size, indices)
            known = data.labels.numpy()[indices]
            metrics[f"{split}_accuracy"] = float((predictions[split] == known).mean())
        return metrics, {"predictions": predictions["test"].astype(np.int32)}

    def examples(self, weights: dict, parameters: dict, data: ImageData) -> dict[str, np.ndarray]:
        """None: what a probe gets wrong is in `conclude`."""
        return {}

    def floors(self, data: ImageData) -> dict:
        return pixel_floors(data)

    def conclude(
        self, winners: list[Retrained], data: CodedData, around: Surroundings
    ) -> tuple[list[dict], dict]:
        """Accuracy by class with its interval and the confused pairs of each winner; what of
        characters never seen can be told by a few examples, for each code size."""
        told = []
        for winner in winners:
            about = {name: winner.parameters[name] for name in ("probe", "latent_size")}
            interval = {"test_accuracy_interval": class_interval(winner.details, data)}
            told.append({**about, **interval, **conclude_mistakes(winner, data)})
        autoencoders = winners[0].place.parent.parent / "autoencoders"
        return told, {
            "autoencoders": {
                size: about_autoencoder(autoencoders / str(size)) for size in self.latent_sizes
            },
            "few_shot": few_shot(data, self.latent_sizes, autoencoders, around.data_dir),
        }


def group(probe: str, size: int) -> str:
    """The name of the probes of a kind on codes of a size: of a winner, and of its folder."""
    return f"{probe}-{size}"


def class_interval(details: list[dict[str, np.ndarray]], data: ImageData) -> list[float]:
    """95 % interval of the test accuracy, mean over seeds, under resampling of the classes
    (percentile bootstrap): drawings of one character stand or fall together."""
    predictions = np.stack([kept["predictions"] for kept in details])  # (seeds, tests)
    labels = data.labels[data.test].numpy()
    right = (predictions == labels).mean(0)
    classes, places = np.unique(labels, return_inverse=True)
    sums, counts = np.bincount(places, right), np.bincount(places)
    drawn = np.random.default_rng(0).integers(len(classes), size=(RESAMPLINGS, len(classes)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    return [float(end) for end in np.percentile(means, (2.5, 97.5))]


def few_shot(
    data: ImageData, sizes: tuple[int, ...], autoencoders: Path, data_dir: str
) -> list[dict]:
    """Few-shot accuracies of the codes of characters never seen, and of their pixels; none where
    the set has no such characters, or the autoencoder has seen them."""
    try:
        unseen = load_unseen(data.name, data_dir, centre=data.centred)
    except DataError:
        return []
    if data.split != "drawers":
        return []
    pixels = {"pixels": unseen.images.flatten(1).float() / 255}
    codes = {
        str(size): encode_images(load_autoencoder(autoencoders / str(size))[0], unseen.images)
        for size in sizes
    }
    return [
        {"code": name, **asdict(found)}
        for name, features in {**pixels, **codes}.items()
        for found in few_shot_table(features, unseen.labels)
    ]


def about_autoencoder(place: Path) -> dict:
    network, config = load_autoencoder(place)
    names = ("source", "preset", "trial", "epoch", "validation_mse", "probe_accuracy")
    return {
        **{name: config[name] for name in names if name in config},
        "parameters": config.get("parameters", {}),
        "sha256": weights_digest(network),
    }


def _complete(settings: Settings, data: ImageData) -> Settings:
    """Find the run to take autoencoders from, and the code sizes that it has."""
    options = dict(settings.options)
    storage = open_storage(settings.storage_path)
    if options["autoencoders"]:
        run = _named_run(options["autoencoders"], storage)
        sizes = _usable_sizes(run, data)
        if not sizes:
            raise UsageError(
                f"--autoencoders {run} has no autoencoder of {data.name} ({data.split} split, "
                f"{'' if data.centred else 'not '}centred) in best/<code size>/: "
                f"make one with python -m search.autoencoders --dataset {data.name}"
            )
    else:
        run, sizes = _newest_run(storage, data)
    wanted = options["latent_sizes"] or tuple(sizes) or SIZES
    missing = [str(size) for size in wanted if run and size not in sizes]
    if missing:
        raise UsageError(f"--latent-sizes {' '.join(missing)}: {run} has only {sizes}")
    # A driver's copy of a run in a bucket has another path in the next session.
    named = run.name if run and "://" in storage.location else str(run) if run else None
    options.update(autoencoders=named, latent_sizes=tuple(wanted))
    return replace(settings, options=options)


def _named_run(name: str, storage: Storage) -> Path:
    storage.fetch(f"{name}/best/*")
    for path in (Path(name).expanduser(), storage.root / name):
        if (path / "best").is_dir():
            return path.resolve()
    raise UsageError(f"--autoencoders {name} is no folder of a run of search.autoencoders")


def _newest_run(storage: Storage, data: ImageData) -> tuple[Path | None, list[int]]:
    storage.fetch("*/best/[0-9]*")
    found = [
        (path.stat().st_mtime, path.parent, sizes)
        for path in storage.root.glob("*/best")
        if not path.parent.name.startswith(".") and (sizes := _usable_sizes(path.parent, data))
    ]
    return max(found)[1:] if found else (None, [])


def _usable_sizes(run: Path, data: ImageData) -> list[int]:
    """Code sizes, largest first, of the autoencoders in a run that were trained on the training
    images of these data."""
    sizes = []
    for place in run.glob("best/[0-9]*"):
        try:
            network, config = load_autoencoder(place)
            trained_on = config["data"]
            same = all(
                trained_on[name] == getattr(data, name) for name in ("name", "split", "centred")
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            continue
        if same and place.name == str(network.config.latent_size):
            sizes.append(network.config.latent_size)
    return sorted(sizes, reverse=True)


def _gather(task: ProbeTask, data: ImageData, folder: RunFolder, settings: Settings) -> CodedData:
    """The data with codes. The autoencoders are copied into the run folder, or trained there, so
    that a resumed search, and a reader, find the ones that it began with."""
    home = folder.path / "autoencoders"
    missing = [
        size for size in task.latent_sizes if not (home / str(size) / "config.json").exists()
    ]
    source = settings.options["autoencoders"]
    if source:
        print(f"autoencoders: the best of {source}", flush=True)
        for size in missing:
            run = _named_run(source, open_storage(settings.storage_path))
            _copy(run, size, home / str(size))
    elif missing:
        _train_autoencoders(missing, data, folder, settings)
        folder.fetch()
    folder.publish()
    networks = {size: load_autoencoder(home / str(size))[0] for size in task.latent_sizes}
    cores = min(os.cpu_count() or 1, int(ray.cluster_resources().get("CPU", 1)))
    torch.set_num_threads(max(1, cores))
    return attach_codes(
        data, networks, task.most_views, folder.path.parent / CODES, task.scale.device
    )


def _copy(source: Path, size: int, place: Path) -> None:
    network, config = load_autoencoder(source / "best" / str(size))
    config = {**config, "source": source.name}
    write_atomically(place / "weights.pt", lambda file: torch.save(network.state_dict(), file))
    write_json(place / "config.json", config)


def _train_autoencoders(
    sizes: list[int], data: ImageData, folder: RunFolder, settings: Settings
) -> None:
    epochs = {"quick": 5, "full": 40}[settings.budget]
    print(
        f"no run of search.autoencoders on {data.name} in {settings.storage_path}: training the "
        f"preset {AUTOENCODER} at code size {', '.join(map(str, sizes))} first, {epochs} epochs "
        "each (a searched one makes better codes: --autoencoders RUN)",
        flush=True,
    )
    arrays = ray.put(arrays_from_data(data))
    gpus = 0.25 if ray.cluster_resources().get("GPU", 0) else 0
    train = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(where_seen)
    secret, home = folder.begin_session(), folder.files.child("autoencoders")
    begin = partial(train.remote, folder.files, secret, _train_autoencoder)
    jobs = {
        f"autoencoder {size}": partial(begin, size, epochs, arrays, home, settings)
        for size in sizes
    }
    for _ in finish(jobs, settings.max_failures):
        pass


def _train_autoencoder(
    size: int, epochs: int, arrays: dict, home: Files, settings: Settings
) -> None:
    torch.set_num_threads(1)
    data = data_from_arrays(arrays)
    task = AutoencoderTask((size,), epochs, settings.budget)
    parameters = {**AUTOENCODER_PRESETS[AUTOENCODER], "latent_size": size}
    device = claim_device()
    run = task.start(parameters, settings.seed, task.prepare(data, device))
    store = CheckpointStore(home)
    chosen, weights = train_to_end(task, run, store, str(size), None)
    config = {
        "source": "trained for this search",
        "preset": AUTOENCODER,
        **chosen,
        "parameters": parameters,
        **task.describe(parameters, settings.seed),
        "data": data.summary(),
    }
    place = home.child(str(size))
    place.write("weights.pt", lambda file: torch.save(weights, file))
    place.write("config.json", lambda file: file.write(json_bytes(config)))
    store.delete(str(size))


def _budgets(dataset: str) -> Mapping[str, Mapping[str, Any]]:
    """Sized on two CPU cores, autoencoders and retraining included; all training images, for a
    part of them is too few of each character."""
    quick = {**BUDGETS["quick"], "train_size": None, "max_epochs": SCALES["quick"].stages}
    quick |= {"time_budget_s": 240.0, "grace_epochs": 1, "final_seeds": 2}
    quick |= {"seconds_per_trial": 40.0, "memory_per_trial_gb": 4.0}
    full = {**BUDGETS["full"], "seconds_per_trial": 3600.0, "memory_per_trial_gb": 16.0}
    full |= {"max_epochs": SCALES["full"].stages}
    refit = {"refit_on": "train+validation"}
    return {"quick": {**quick, **refit}, "full": {**full, **refit}}


def _task(settings: Settings, data: ImageData) -> ProbeTask:
    options = settings.options
    return ProbeTask(
        options["probes"],
        options["latent_sizes"],
        settings.max_epochs,
        settings.budget,
        options["seconds_per_trial"],
        options["memory_per_trial_gb"],
        max(1, int(settings.cpus_per_trial)),
    )


def _parser():
    parser = build_parser(
        "latent_probes",
        "Search classifiers of an autoencoder's codes: nearest mean, nearest neighbours, LDA, "
        "logistic regression, perceptrons, forests and boosting, each with the steps before it.",
    )
    add = parser.add_argument
    add(
        "--autoencoders",
        metavar="RUN",
        help="the run of search.autoencoders whose best autoencoders make the codes (default: the "
        f"newest one of the data set; where there is none, the preset {AUTOENCODER} is trained)",
    )
    add("--probes", nargs="+", choices=tuple(PROBES), help="the probes to search (default all)")
    add(
        "--latent-sizes",
        type=positive_int,
        nargs="+",
        help="code sizes (default: all that the run has)",
    )
    add(
        "--seconds-per-trial",
        type=positive_float,
        help="a trial that has taken longer is stopped where it is (quick budget: 40)",
    )
    add(
        "--memory-per-trial-gb",
        type=positive_float,
        help="a trial that would need more is not begun, and says so (quick budget: 4)",
    )
    parser.epilog = (
        "Without --dataset the search takes omniglot and, where that cannot be had, glyphs, "
        "characters that the project draws itself."
    )
    return parser


COMMAND = Command(
    "latent_probes",
    _parser,
    _task,
    default_dataset="omniglot",
    stand_in="glyphs",
    options={"autoencoders": None, "probes": tuple(PROBES), "latent_sizes": ()},
    budgets=_budgets,
    complete=_complete,
    gather=_gather,
)
