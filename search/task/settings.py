"""What a search is asked to do: its settings, what each budget sets, and what a resume may change.

A `Settings` takes each value from the first of these that has it: the command line, the search
that is resumed, the budget, the defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

SAMPLERS = ("tpe", "random")
REFITS = ("train", "train+validation")


class UsageError(Exception):
    """A wrong argument; the text is one line that says what to do."""


@dataclass(frozen=True)
class Settings:
    """The settings that all searches share; `options` holds those of one command alone."""

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
    gpus_per_trial: float | None = None  # None: measured, if the cluster has a GPU
    max_concurrent: int | None = None  # None: as many as the cluster holds
    time_budget_s: float | None = None
    seed: int = 0
    train_size: int | None = None
    final_seeds: int = 3
    refit_on: str = "train"
    budget: str | None = None  # None: full if the cluster has a GPU, else quick
    max_failures: int = 2
    trial_timeout_s: float = 600.0
    sampler: str = "tpe"
    control_every: int = 0  # rounds of the groups; 0: no control sample
    resume: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict:
        """All settings in one dict: the shared ones, then the command's own."""
        shared = {key: value for key, value in asdict(self).items() if key != "options"}
        values = {**shared, **self.options}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


# A session may change these; the others define the search and stay.
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

# With these a default command ends within 15 minutes on two CPU cores: the search gets eight
# minutes, because on slow cores the winners' retraining takes six.
QUICK = {"max_epochs": 9, "grace_epochs": 1, "train_size": 5000, "time_budget_s": 480.0}
FULL = {"max_epochs": 81, "grace_epochs": 3}
BUDGETS: Mapping[str, Mapping[str, Any]] = {"quick": QUICK, "full": FULL}
QUICK_VALIDATION_IMAGES = 2000  # measured after each epoch; the winners are measured on all


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
        refuse_changes(given, recorded)
        kept = {key: value for key, value in recorded.items() if key != "time_budget_s"}
        values = {**kept, **given}
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    shared = {each.name for each in fields(Settings)}
    settings = Settings(
        **{key: value for key, value in values.items() if key in shared},
        options={key: value for key, value in values.items() if key not in shared},
    )
    return _checked(settings, given)


def refuse_changes(given: dict, recorded: dict) -> None:
    """Raise UsageError for the first given flag that would make it another search."""
    for key, value in given.items():
        value = list(value) if isinstance(value, tuple) else value
        before = recorded.get(key, getattr(Settings, key, None))  # an older version lacks some
        if key not in MAY_CHANGE and value != before:
            raise UsageError(
                f"{_flag(key)} {_as_typed(value)} differs from the search that is resumed, which "
                f"has {_as_typed(before)}: leave the flag out, or start another search under "
                "another --name"
            )


def _checked(settings: Settings, given: dict) -> Settings:
    """Raise UsageError for values that cannot work together. A grace period that only a default
    made too long is shortened."""
    if settings.grace_epochs > settings.max_epochs:
        if "grace_epochs" in given:
            raise UsageError(
                f"--grace-epochs {settings.grace_epochs} is more than --max-epochs "
                f"{settings.max_epochs}"
            )
        settings = replace(settings, grace_epochs=settings.max_epochs)
    for name, value in settings.options.items():
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise UsageError(f"{_flag(name)} {_as_typed(list(value))} names one twice")
    if settings.split and settings.dataset is None:
        raise UsageError("--split needs --dataset: say which set is to be split")
    cores = os.cpu_count()
    if settings.address is None and settings.cpus_per_trial > cores:
        raise UsageError(
            f"--cpus-per-trial {settings.cpus_per_trial:g} is more than the {cores} cores of this "
            "machine"
        )
    if settings.name is not None and Path(settings.name).name != settings.name:
        raise UsageError(f"--name {settings.name} must be a plain folder name")
    return settings


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _as_typed(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
