"""A kind of search as a command.

Ray and torch are imported only once the arguments are right, so that `--help` is fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.streams import steady_streams
from search.task.flags import SearchParser
from search.task.settings import BUDGETS, Settings

if TYPE_CHECKING:
    from models.data import ImageData
    from search.store.folder import RunFolder
    from search.task.protocol import Task


@dataclass(frozen=True)
class Command:
    """A kind of search as a command."""

    name: str
    description: str
    add_flags: Callable[[SearchParser], None]  # those of this command alone
    task: Callable[[Settings, ImageData], Task]
    default_dataset: str
    stand_in: str  # used where the default data set is not available
    options: Mapping[str, Any] = field(default_factory=dict)  # its own flags and their defaults
    budgets: Callable[[str], Mapping[str, Mapping[str, Any]]] = lambda dataset: BUDGETS
    """The settings of each budget, for a data set."""
    complete: Callable[[Settings, ImageData], Settings] = lambda settings, data: settings
    """Fills in, once when a search begins, what its settings leave open. Raises UsageError."""
    gather: Callable[[Task, ImageData, RunFolder, Settings], ImageData] = (
        lambda task, data, folder, settings: data
    )
    """The data as trials take them. What must be made once, on the cluster, is made here."""

    def parser(self) -> SearchParser:
        parser = SearchParser(
            self.name, self.description, self.options, self.budgets(self.default_dataset)
        )
        self.add_flags(parser)
        parser.epilog = (
            f"Without --dataset the search uses {self.default_dataset} or, if that cannot be had, "
            f"{self.stand_in}, which needs no download."
        )
        return parser


def main(command: Command, argv: list[str] | None = None) -> int:
    """Run a search from its command line; return the exit status.

    0 if the search has a best trial, 1 if it has none or had to stop, 2 for an argument, a data
    set or a folder that cannot be used, 128 plus its number after a signal: 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    with steady_streams(f"search.{command.name}"):
        given = vars(command.parser().parse_args(argv))
        from search.session.run import run_command

        return run_command(command, given, argv)
