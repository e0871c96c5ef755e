"""What a search is asked to do: its settings, what each budget sets, and what a resume may change.

A `Settings` takes each value from the first of these that has it: the command line, the search
that is resumed, the budget, the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from models.data import DATASETS
from models.machine import cores_in_words, usable_cores
from search.task.kinds import (
    data_set,
    image_size,
    natural,
    not_negative,
    number_of_gpus,
    positive_float,
    positive_int,
)

# With these a default command ends within 15 minutes on two CPU cores: the search gets eight
# minutes, because on slow cores the winners' retraining takes six.
QUICK = {"max_epochs": 9, "grace_epochs": 1, "train_size": 5000, "time_budget_s": 480.0}
FULL = {"max_epochs": 81, "grace_epochs": 3}
BUDGETS: Mapping[str, Mapping[str, Any]] = {"quick": QUICK, "full": FULL}
QUICK_VALIDATION_IMAGES = 2000  # measured after each epoch; the winners are measured on all


class UsageError(Exception):
    """A wrong argument; the text is one line that says what to do."""


def _flag(default: Any, text: str, kind: Callable[[str], Any] = str, **more) -> Any:
    """A setting with a flag: its default, its help, and what its value may be."""
    kinds = {"action": "store_true"} if kind is bool else {"type": kind}
    return field(default=default, metadata={"text": text, **kinds, **more})


@dataclass(frozen=True)
class Settings:
    """The settings that all searches share; `options` holds those of one command alone."""

    dataset: str | None = _flag(
        None,
        f"data set: {', '.join(DATASETS)}; or your own images: a .npz file or a folder (default: "
        "see below)",
        data_set,
        metavar="NAME|FILE.npz|FOLDER",
    )
    image_size: int | None = _flag(
        None, "resize images to this many pixels a side (default: as they are)", image_size
    )
    grey: bool = _flag(False, "take the grey values of images in colour", bool)
    split: str | None = _flag(
        None,
        "how the data set is split, if it can be split in several ways: omniglot has drawers "
        "(964 characters, tested on unseen drawers; default) and decathlon (1,623 characters)",
    )
    data_dir: str = _flag("", "where data sets are (default: $DATA_DIR, else ./data)")
    train_size: int | None = _flag(None, "use at most this many training images", positive_int)
    num_samples: int = _flag(50, "number of trials; presets come first", positive_int)
    max_epochs: int = _flag(9, "epochs of a trial that is not stopped early", positive_int)
    grace_epochs: int = _flag(1, "epochs before a trial may be stopped", positive_int)
    set: tuple[str, ...] = _flag(
        (),
        "search other ranges than the default ones, such as depth=2..8 dropout=0.1 "
        "activation=relu,silu learning_rate=1e-4..1e-2; for one probe: mlp.blocks=1..3",
        nargs="+",
        action="extend",
        metavar="NAME=RANGE",
    )
    space: str | None = _flag(
        None,
        "a TOML file that says the same (--print-space prints one); --set comes after it",
        metavar="FILE",
    )
    start_from: tuple[str, ...] = _flag(
        (),
        "runs of this command, on any data set, whose winners are the first trials; a path, or a "
        "name in --storage-path",
        nargs="+",
        metavar="RUN",
    )
    sampler: str = _flag(
        "tpe",
        "tpe learns from the earlier trials; random is the control that it is compared with",
        choices=("tpe", "random"),
    )
    scheduler: str = _flag(
        "promotion",
        "which trials stop early: asha stops what is not among the best third of its rung; "
        "promotion is ASHA that pauses it there and calls it back if its rung shows that it should "
        "go on; none stops nothing",
        choices=("asha", "promotion", "none"),
    )
    control_every: int = _flag(
        0,
        "train all sampled trials of one in N rounds of the groups to the end, whatever their "
        "rank, so that the report can say what early stopping costs; 0: none; the others are "
        "stopped by --scheduler asha",
        natural,
        metavar="N",
    )
    reproducible: int | None = _flag(
        None,
        "one and the same table with any number of workers: trials begin and are stopped as if N "
        "workers were equally fast, which may take longer; more than N at a time are not used "
        "(without N: 4; default: a search is reproducible with --max-concurrent 1)",
        positive_int,
        nargs="?",
        const=4,
        metavar="N",
    )
    seed: int = _flag(0, "seed of sampling and training", natural)
    budget: str | None = _flag(
        None,
        "quick fits into 15 minutes on two cores; full uses all data (default: full if the cluster "
        "has a GPU)",
        choices=tuple(BUDGETS),
    )
    time_budget_s: float | None = _flag(
        None,
        "stop the search after this many seconds; winners are still retrained",
        positive_float,
    )
    final_seeds: int = _flag(
        3,
        "how often each winner is retrained before its test score is read; 0: the test split is "
        "not read",
        natural,
    )
    refit_on: str = _flag(
        "train",
        "what winners are retrained on: train keeps the epoch that is best on validation; "
        "train+validation trains for as many epochs as the search chose, and gives no validation "
        "figure",
        choices=("train", "train+validation"),
    )
    max_failures: int = _flag(2, "how often a failing trial is tried again", natural)
    trial_timeout_s: float = _flag(
        600.0,
        "seconds without an epoch after which a trial's worker is killed and the trial is tried "
        "again",
        positive_float,
    )
    checkpoint_every_s: float | None = _flag(
        None,
        "seconds between the checkpoints of a trial; a crash loses at most that much training, "
        "never a decision (default: as often as fits into 2 %% of a trial's time)",
        not_negative,
    )
    name: str | None = _flag(None, "the run folder's name (default: <command>-<dataset>-<time>)")
    storage_path: str = _flag(
        "runs",
        "where run folders are made: a folder, which on a cluster every node must mount, or "
        "s3://bucket/prefix",
    )
    log_to: tuple[str, ...] = _flag(
        (),
        "show the trials in these tools too, while they run",
        nargs="+",
        choices=("tensorboard", "mlflow", "wandb"),
    )
    report: bool = _flag(
        False,
        "keep a report of the search up to date while it runs: <run folder>/report/report.html",
        bool,
    )
    resume: bool = _flag(False, "continue the search called --name", bool)
    address: str | None = _flag(
        None,
        "a Ray cluster to join: auto, host:port, or ray://host:port (default: this machine)",
    )
    cpus_per_trial: float = _flag(1.0, "CPU cores per trial", positive_float)
    gpus_per_trial: float | None = _flag(
        None,
        "GPUs per trial, fractions too (default: measured on the largest preset)",
        number_of_gpus,
    )
    mps: bool = _flag(
        False,
        "trials that share a GPU get a process each, under NVIDIA's MPS, which is started for this "
        "search (default: one process for each GPU)",
        bool,
    )
    max_concurrent: int | None = _flag(
        None,
        "trials at a time (default: as many as fit, also when nodes come and go; on a cluster that "
        "grows on demand, this says how far it may grow)",
        positive_int,
    )
    options: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict:
        """All settings in one dict: the shared ones, then the command's own."""
        shared = {key: value for key, value in asdict(self).items() if key != "options"}
        values = {**shared, **self.options}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


# A session may change these; the others define the search and stay. `space` is only the name of a
# file: `set` holds what the file says.
MAY_CHANGE = frozenset(
    "num_samples storage_path name address cpus_per_trial gpus_per_trial max_concurrent "
    "time_budget_s final_seeds max_failures trial_timeout_s data_dir resume space log_to report "
    "checkpoint_every_s mps".split()
)


def resolve(
    given: dict, recorded: dict | None, defaults: Mapping[str, Any], options: Mapping[str, Any]
) -> Settings:
    """The settings of this session.

    given: what the command line says. recorded: the settings of the search that is resumed, or
    None. defaults: those of the budget. options: the command's own settings and their defaults.

    Raises UsageError if `given` contradicts itself, or `recorded` in what defines the search.
    """
    if recorded is None:
        data_dir = os.environ.get("DATA_DIR", "data")
        values = {"data_dir": data_dir, **options, **defaults, **given}
    else:
        recorded = {**options, **recorded}  # an older version lacks some
        refuse_changes(given, recorded)
        kept = {key: value for key, value in recorded.items() if key != "time_budget_s"}
        kept.setdefault("scheduler", "asha")  # searches before this setting had no other
        values = {**kept, "data_dir": _data_dir_now(kept.get("data_dir", "data")), **given}
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    shared = {each.name for each in fields(Settings)}
    settings = Settings(
        **{key: value for key, value in values.items() if key in shared},
        options={key: value for key, value in values.items() if key not in shared},
    )
    return _checked(settings, given)


def _data_dir_now(recorded: str) -> str:
    """The data folder of a resumed search: the recorded folder or, if it is gone because the run
    was moved, $DATA_DIR or ./data of this session."""
    if Path(recorded).expanduser().exists():
        return recorded
    here = [os.environ.get("DATA_DIR", ""), "data"]
    return next((folder for folder in here if folder and Path(folder).exists()), recorded)


def refuse_changes(given: dict, recorded: dict) -> None:
    """Raise UsageError for the first given flag that a resumed search may not change."""
    for key, value in given.items():
        value = list(value) if isinstance(value, tuple) else value
        before = recorded.get(key, getattr(Settings, key, None))  # an older version lacks some
        if key == "dataset" and _moved(value, before):
            continue
        if key not in MAY_CHANGE and value != before:
            raise UsageError(
                f"{as_flag(key)} {as_typed(value)} differs from the search that is resumed, "
                f"which has {as_typed(before)}: leave the flag out, or start another search under "
                "another --name"
            )


def _moved(value: object, before: object) -> bool:
    """Whether both are paths of own images. Their content is compared later, their place is not."""
    return all(isinstance(each, str) and Path(each).is_absolute() for each in (value, before))


def _checked(settings: Settings, given: dict) -> Settings:
    """Raise UsageError for values that cannot work together. If the default grace period is too
    long, it is shortened."""
    if settings.grace_epochs > settings.max_epochs:
        if "grace_epochs" in given:
            raise UsageError(
                f"--grace-epochs {settings.grace_epochs} is more than --max-epochs "
                f"{settings.max_epochs}"
            )
        settings = replace(settings, grace_epochs=settings.max_epochs)
    for name, value in settings.options.items():
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise UsageError(f"{as_flag(name)} {as_typed(value)} names a value twice")
    if settings.control_every and settings.scheduler != "asha":
        if "scheduler" in given:
            raise UsageError(
                "--control-every measures what --scheduler asha costs: leave it out with "
                f"--scheduler {settings.scheduler}"
            )
        settings = replace(settings, scheduler="asha")
    if settings.split and settings.dataset is None:
        raise UsageError("--split needs --dataset: name the data set to split")
    cores = usable_cores()
    if settings.address is None and settings.cpus_per_trial > cores:
        raise UsageError(
            f"--cpus-per-trial {settings.cpus_per_trial:g} is more than the {cores_in_words()} of "
            "this machine that may be used"
        )
    if settings.report and "://" in settings.storage_path:
        raise UsageError(
            "--report writes into the run folder, and --storage-path names a bucket: "
            "search.fetch and analysis.report make the report of a run in a bucket"
        )
    if settings.mps and settings.address:
        raise UsageError(
            "--mps starts NVIDIA's MPS on this machine, and --address names a cluster: start MPS "
            "on its nodes instead"
        )
    if settings.name is not None and Path(settings.name).name != settings.name:
        raise UsageError(f"--name {settings.name} must be a plain folder name")
    return settings


def as_flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def as_typed(value: object) -> str:
    """A value as a user types it after its flag."""
    if isinstance(value, Mapping):  # a network of the user's own
        return f"{value['file']}:{value['name']}"
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
