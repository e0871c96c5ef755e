"""The flags that all searches share, what each budget makes of them, and what a resume may change.

Every flag's value ends in one `Settings`: defaults, then the budget's, then those recorded by the
search that is resumed, then what the command line says.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from models.data import DATASETS


class UsageError(Exception):
    """A wrong argument; the text is one line that says what to do."""


@dataclass(frozen=True)
class Settings:
    """What a search was asked to do."""

    dataset: str | None = None  # None: the command's default, or its stand-in
    data_dir: str = ""
    split: str | None = None
    num_samples: int = 50
    max_epochs: int = 9
    grace_epochs: int = 1
    name: str | None = None
    storage_path: str = "runs"
    address: str | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None  # None: as measured, where the cluster has any
    max_concurrent: int | None = None  # None: as many as the cluster holds
    time_budget_s: float | None = None
    seed: int = 0
    train_size: int | None = None
    final_seeds: int = 3
    refit_on: str = "train"
    budget: str | None = None  # None: full with a GPU in the cluster, quick without
    max_failures: int = 2
    trial_timeout_s: float = 600.0
    sampler: str = "tpe"
    control_every: int = 0  # rounds of the groups; 0: no control sample
    resume: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # of the command's own flags

    def as_json(self) -> dict:
        """All settings in one dict, the command's own beside the shared ones."""
        shared = {key: value for key, value in asdict(self).items() if key != "options"}
        values = {**shared, **self.options}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


# A session may change these; the rest says what the search is, and stays.
MAY_CHANGE = frozenset(
    {
        "num_samples",
        "storage_path",
        "name",
        "address",
        "cpus_per_trial",
        "gpus_per_trial",
        "max_concurrent",
        "time_budget_s",
        "final_seeds",
        "max_failures",
        "trial_timeout_s",
        "data_dir",
        "resume",
    }
)

# Sized so that a default command ends within 15 minutes on two CPU cores: on slow ones the winners'
# retraining takes six, so the search gives out no more time after eight.
QUICK = {"max_epochs": 9, "grace_epochs": 1, "train_size": 5000, "time_budget_s": 480.0}
FULL = {"max_epochs": 81, "grace_epochs": 3}
BUDGETS: Mapping[str, Mapping[str, Any]] = {"quick": QUICK, "full": FULL}
QUICK_VALIDATION_IMAGES = 2000  # measured each epoch; the winners are measured on all

SAMPLERS = ("tpe", "random")
REFITS = ("train", "train+validation")


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {message}\n")


def build_parser(command: str, description: str) -> argparse.ArgumentParser:
    """The shared flags; a flag that is not given is absent from the result."""
    parser = OneLineParser(
        prog=f"python -m search.{command}",
        description=description,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", choices=tuple(DATASETS), help="data set (default: see below)")
    add(
        "--split",
        help="how the data set is split, where it has several: omniglot's are drawers "
        "(964 characters, tested on unseen drawers; default) and decathlon (1,623 characters)",
    )
    add("--data-dir", help="where data sets are (default: $DATA_DIR, else ./data)")
    add("--num-samples", type=positive_int, help="trials in all, presets first (default 50)")
    add("--max-epochs", type=positive_int, help="epochs of a trial that is not stopped early")
    add("--grace-epochs", type=positive_int, help="epochs before a trial may be stopped")
    add("--name", help="the run folder's name (default <command>-<dataset>-<time>)")
    add(
        "--storage-path",
        help="where run folders are made: a folder, on a cluster one that every node mounts, or "
        "s3://bucket/prefix (default runs)",
    )
    add("--resume", action="store_true", help="go on with the search called --name")
    add(
        "--address",
        help="a Ray cluster to join: auto, host:port, or ray://host:port (default: this machine)",
    )
    add("--cpus-per-trial", type=positive_float, help="CPU cores per trial (default 1)")
    add(
        "--gpus-per-trial",
        type=fraction,
        help="GPUs per trial, fractions too (default: what the largest preset is seen to need)",
    )
    add(
        "--max-concurrent",
        type=positive_int,
        help="trials at a time (default: all that fit, also as nodes come and go; on a cluster "
        "that grows on demand, how far it is to grow)",
    )
    add(
        "--time-budget-s",
        type=positive_float,
        help="stop the search after so many seconds; "
        "winners are still retrained (quick budget: 480)",
    )
    add("--seed", type=natural, help="of sampling and training (default 0)")
    add(
        "--train-size",
        type=positive_int,
        help="training images to use at most (quick budget: 5000)",
    )
    add(
        "--final-seeds",
        type=natural,
        help="times each winner is retrained before its test "
        "score is read (default 3; 0: the test split is not read)",
    )
    add(
        "--refit-on",
        choices=REFITS,
        help="what winners are retrained on (default train, at the epoch that validation likes "
        "best); with validation too, for as many epochs as the search chose, and no validation "
        "figure is given",
    )
    add(
        "--sampler",
        choices=SAMPLERS,
        help="tpe learns from the trials so far; random is the "
        "control that it is measured against (default tpe)",
    )
    add(
        "--control-every",
        type=natural,
        help="of every so many sampled trials of a group, train one to the end whatever its rank, "
        "so that the report can say what stopping early costs (default 0: none)",
    )
    add(
        "--budget",
        choices=tuple(BUDGETS),
        help="quick: sized for 15 minutes on two cores; full: all data "
        "(default: full if the cluster has a GPU)",
    )
    add("--max-failures", type=natural, help="times a failing trial is tried again (default 2)")
    add(
        "--trial-timeout-s",
        type=positive_float,
        help="seconds without an epoch after which a "
        "trial's worker is killed and the trial tried again (default 600)",
    )
    return parser


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of GPUs")
    if value > 1 and value != int(value):
        raise argparse.ArgumentTypeError(f"{text}: more than one GPU must be whole GPUs")
    return value


def resolve(
    given: dict, recorded: dict | None, defaults: Mapping[str, Any], options: Mapping[str, Any]
) -> Settings:
    """The settings of this session: `given` on the command line over those `recorded` by the
    search that is resumed, or over the `defaults` of its budget and the command's own `options`.

    Raises UsageError if `given` contradicts `recorded` in what makes the search, or itself.
    """
    if recorded is None:
        data_dir = os.environ.get("DATA_DIR", "data")
        values = {"data_dir": data_dir, **options, **defaults, **given}
    else:
        refuse_changes(given, recorded)
        kept = {key: value for key, value in recorded.items() if key != "time_budget_s"}
        values = {**kept, **given}
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    shared = {each.name for each in fields(Settings)}
    return check(
        Settings(
            **{key: value for key, value in values.items() if key in shared},
            options={key: value for key, value in values.items() if key not in shared},
        ),
        given,
    )


def refuse_changes(given: dict, recorded: dict) -> None:
    """Raise UsageError naming the first given flag that would make it another search."""
    for key, value in given.items():
        value = list(value) if isinstance(value, tuple) else value
        before = recorded.get(key, getattr(Settings, key, None))  # an older version lacks some
        if key not in MAY_CHANGE and value != before:
            raise UsageError(
                f"--{key.replace('_', '-')} {_said(value)} differs from the search "
                f"that is resumed, which has {_said(before)}: leave the flag "
                "out, or start another search under another --name"
            )


def check(settings: Settings, given: dict) -> Settings:
    """Refuse what cannot work together; shorten a grace period that only a default made long."""
    if settings.grace_epochs > settings.max_epochs:
        if "grace_epochs" in given:
            raise UsageError(
                f"--grace-epochs {settings.grace_epochs} is more than --max-epochs "
                f"{settings.max_epochs}"
            )
        settings = replace(settings, grace_epochs=settings.max_epochs)
    for name, value in settings.options.items():
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise UsageError(f"--{name.replace('_', '-')} {_said(list(value))} names one twice")
    if settings.split and settings.dataset is None:
        raise UsageError("--split needs --dataset: say which set is to be split")
    cores = os.cpu_count()
    if settings.address is None and settings.cpus_per_trial > cores:
        raise UsageError(
            f"--cpus-per-trial {settings.cpus_per_trial:g} is more than the {cores} "
            "cores of this machine"
        )
    if settings.name is not None and Path(settings.name).name != settings.name:
        raise UsageError(f"--name {settings.name} must be a plain folder name")
    return settings


def _said(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
