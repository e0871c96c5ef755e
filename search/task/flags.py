"""The flags that all searches share, and the parser that every command of this package uses."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from models.data import DATASETS
from search.task.settings import BUDGETS, REFITS, SAMPLERS, Settings

Budgets = Mapping[str, Mapping[str, Any]]


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error in one line, without the usage."""

    def __init__(self, command: str, description: str, **more):
        super().__init__(
            prog=f"python -m search.{command}", description=description, allow_abbrev=False, **more
        )

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {message}\n")

    def add_data_dir(self) -> None:
        self.add_argument(
            "--data-dir", help="where data sets are (default: $DATA_DIR, else ./data)"
        )


class SearchParser(OneLineParser):
    """The parser of one kind of search; a flag that is not given is absent from the result.

    options: the command's own settings and their defaults. budgets: what each budget sets."""

    def __init__(
        self, command: str, description: str, options: Mapping[str, Any], budgets: Budgets = BUDGETS
    ):
        super().__init__(command, description, argument_default=argparse.SUPPRESS)
        defaults = {**Settings().as_json(), **options}
        self._budget_defaults = {name: {**defaults, **sizes} for name, sizes in budgets.items()}

    def add(self, flag: str, text: str, **more) -> None:
        """Add a flag whose help is `text` and the default, for each budget if they differ."""
        name = flag.removeprefix("--").replace("-", "_")
        values = {budget: _shown(each.get(name)) for budget, each in self._budget_defaults.items()}
        if len(set(values.values())) == 1:
            default = f" (default {value})" if (value := values.popitem()[1]) else ""
        else:
            known = [f"{budget} budget: {value}" for budget, value in values.items() if value]
            default = f" ({', '.join(known)})"
        self.add_argument(flag, help=text + default, **more)

    def add_latent_sizes(self, text: str) -> None:
        self.add("--latent-sizes", text, type=positive_int, nargs="+")

    def add_metric(self, metrics: Iterable[str]) -> None:
        self.add("--metric", "what the search improves", choices=tuple(metrics))


def _shown(value: object) -> str:
    """A default as the command line would have it; empty if there is none to show."""
    if value is None or value is False:
        return ""
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def add_shared_flags(parser: SearchParser, dataset: str, stand_in: str) -> None:
    """The flags of all searches. `stand_in` is the data set that is used if the default one,
    `dataset`, cannot be had."""
    _add_data_flags(parser, dataset, stand_in)
    _add_search_flags(parser)
    _add_retraining_flags(parser)
    _add_run_flags(parser)
    _add_cluster_flags(parser)


def _add_data_flags(parser: SearchParser, dataset: str, stand_in: str) -> None:
    parser.add(
        "--dataset",
        f"data set (default {dataset}; {stand_in}, which needs no download, if that cannot be had)",
        choices=tuple(DATASETS),
    )
    parser.add(
        "--split",
        "how the data set is split, if it can be split in several ways: omniglot has drawers "
        "(964 characters, tested on unseen drawers; default) and decathlon (1,623 characters)",
    )
    parser.add_data_dir()
    parser.add("--train-size", "use at most this many training images", type=positive_int)


def _add_search_flags(parser: SearchParser) -> None:
    add = parser.add
    add("--num-samples", "number of trials; presets come first", type=positive_int)
    add("--max-epochs", "epochs of a trial that is not stopped early", type=positive_int)
    add("--grace-epochs", "epochs before a trial may be stopped", type=positive_int)
    add(
        "--sampler",
        "tpe learns from the earlier trials; random is the control that it is compared with",
        choices=SAMPLERS,
    )
    add(
        "--control-every",
        "in one of every N rounds of the groups, train the sampled trials to the end whatever "
        "their rank, so that the report can say what early stopping costs; 0: never",
        type=natural,
        metavar="N",
    )
    add("--seed", "seed of sampling and training", type=natural)
    add(
        "--budget",
        "quick fits into 15 minutes on two cores; full uses all data (default: full if the cluster "
        "has a GPU)",
        choices=tuple(BUDGETS),
    )
    add(
        "--time-budget-s",
        "stop the search after so many seconds; winners are still retrained",
        type=positive_float,
    )
    add("--max-failures", "how often a failing trial is tried again", type=natural)
    add(
        "--trial-timeout-s",
        "seconds without an epoch after which a trial's worker is killed and the trial is tried "
        "again",
        type=positive_float,
    )


def _add_retraining_flags(parser: SearchParser) -> None:
    parser.add(
        "--final-seeds",
        "how often each winner is retrained before its test score is read; 0: the test split is "
        "not read",
        type=natural,
    )
    parser.add(
        "--refit-on",
        "what winners are retrained on: train keeps the epoch that is best on validation; "
        "train+validation trains for as many epochs as the search chose, and gives no validation "
        "figure",
        choices=REFITS,
    )


def _add_run_flags(parser: SearchParser) -> None:
    parser.add("--name", "the run folder's name (default: <command>-<dataset>-<time>)")
    parser.add(
        "--storage-path",
        "where run folders are made: a folder, which on a cluster every node must mount, or "
        "s3://bucket/prefix",
    )
    parser.add("--resume", "continue the search called --name", action="store_true")


def _add_cluster_flags(parser: SearchParser) -> None:
    parser.add(
        "--address",
        "a Ray cluster to join: auto, host:port, or ray://host:port (default: this machine)",
    )
    parser.add("--cpus-per-trial", "CPU cores per trial", type=positive_float)
    parser.add(
        "--gpus-per-trial",
        "GPUs per trial, fractions too (default: measured on the largest preset)",
        type=number_of_gpus,
    )
    parser.add(
        "--max-concurrent",
        "trials at a time (default: as many as fit, also when nodes come and go; on a cluster that "
        "grows on demand, this says how far it may grow)",
        type=positive_int,
    )


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


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is fewer than {least}")
        return value

    return number


def positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def number_of_gpus(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of GPUs")
    if value > 1 and value != int(value):
        raise argparse.ArgumentTypeError(f"{text}: more than one GPU must be whole GPUs")
    return value
