"""The parsers of the commands: errors in one line, and a flag for each setting of a search."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from search.task.kinds import positive_int
from search.task.settings import BUDGETS, Settings, as_flag, as_typed

Budgets = Mapping[str, Mapping[str, Any]]


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error in one line, without the usage."""

    def __init__(self, command: str, description: str, **more):
        super().__init__(
            prog=f"python -m search.{command}", description=description, allow_abbrev=False, **more
        )

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {message}\n")


class SearchParser(OneLineParser):
    """The parser of one kind of search. It has the flags of `Settings`; a flag that is not given
    is absent from the result.

    options: the command's own settings and their defaults. budgets: what each budget sets."""

    def __init__(
        self, command: str, description: str, options: Mapping[str, Any], budgets: Budgets = BUDGETS
    ):
        super().__init__(command, description, argument_default=argparse.SUPPRESS)
        defaults = {**Settings().as_json(), **options}
        self._of_budget = {name: {**defaults, **sizes} for name, sizes in budgets.items()}
        for setting in fields(Settings):
            if setting.metadata:
                self.add(setting.name, **setting.metadata)
        self.add_argument(
            "--print-space",
            action="store_true",
            help="print what would be searched, as a file for --space, and search nothing",
        )

    def add(self, name: str, text: str, **more) -> None:
        """Add the flag of a setting. Its help is `text` and the default, for each budget if the
        budgets differ."""
        values = {budget: each.get(name) for budget, each in self._of_budget.items()}
        known = {
            budget: as_typed(value)
            for budget, value in values.items()
            if value is not None and value is not False and value not in ("", (), [])
        }
        default = ", ".join(f"{budget} budget: {value}" for budget, value in known.items())
        if len(known) == len(values) and len(set(known.values())) == 1:
            default = f"default {known.popitem()[1]}"
        self.add_argument(as_flag(name), help=text + (f" ({default})" if default else ""), **more)

    def add_latent_sizes(self, text: str) -> None:
        self.add("latent_sizes", text, type=positive_int, nargs="+")

    def add_metric(self, metrics: Iterable[str]) -> None:
        self.add("metric", "what the search improves", choices=tuple(metrics))
