"""The status block of a running search, in terminals of all sizes."""

from __future__ import annotations

import io
import re
import sys

import pytest

from search.session.shown.progress import StatusBlock
from search.tune.limits import Limits
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook


class Terminal(io.StringIO):
    """A terminal of so many columns that wraps lines and can clear the rows below its cursor."""

    def __init__(self, columns: int):
        super().__init__()
        self.columns, self.rows = columns, [""]

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for part in re.findall(r"\x1b\[\d+F\x1b\[J|\n|[^\x1b\n]+", text):
            if part.startswith("\x1b"):
                up = int(part[2 : part.index("F")])
                del self.rows[max(0, len(self.rows) - 1 - up) + 1 :]
                self.rows[-1] = ""
            elif part == "\n":
                self.rows.append("")
            else:
                line = self.rows.pop() + part
                cut = range(0, len(line), self.columns)
                self.rows += [line[at : at + self.columns] for at in cut]
        return len(text)


def drawn_twice(tmp_path, monkeypatch, columns: int, lines: int, groups: int, term: str = "xterm"):
    """The rows of a terminal after two blocks, and those of a block alone."""
    terminal = Terminal(columns)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(lines))
    logbook = open_logbook(tmp_path / "run", ToyTask(groups=tuple(range(groups))))
    block = StatusBlock(logbook, Limits(5, 1, 1, 1.0, 0.0, 0, 60.0, None))
    block.print()
    alone = list(terminal.rows)
    block.print()
    return terminal.rows, alone


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_a_block_is_drawn_over_the_last_one_at_any_width(columns, tmp_path, monkeypatch):
    rows, alone = drawn_twice(tmp_path, monkeypatch, columns, lines=50, groups=2)
    assert rows == alone


@pytest.mark.parametrize(("lines", "term"), [(50, "dumb"), (3, "xterm")])
def test_where_nothing_can_be_drawn_over_it_is_printed_once_more(
    lines, term, tmp_path, monkeypatch
):
    rows, alone = drawn_twice(tmp_path, monkeypatch, 200, lines, groups=2, term=term)
    assert len(rows) - 1 == 2 * (len(alone) - 1)
