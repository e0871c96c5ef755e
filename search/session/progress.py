"""The status of a running search: a short block of text, the same in a terminal and a log."""

from __future__ import annotations

import os
import shutil
import sys
import time

from search.tune.limits import Limits
from search.tune.logbook import Logbook

TERMINAL_PERIOD_S = 5.0  # the block is drawn over the last one
LOG_PERIOD_S = 30.0


class StatusBlock:
    """Done, running and stopped trials, the best so far of each group, and the time left."""

    def __init__(self, logbook: Logbook, limits: Limits):
        self._logbook, self._limits = logbook, limits
        self._begin = time.monotonic()
        self._done_before = self._done()
        self._due = self._begin + TERMINAL_PERIOD_S
        self._rows = 0  # of the last block, if the next one is drawn over it

    def print_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self.print()

    def print(self) -> None:
        text = self.text()
        rows = _rows(text)
        self._due = time.monotonic() + (TERMINAL_PERIOD_S if rows else LOG_PERIOD_S)
        if rows and self._rows:
            print(f"\x1b[{self._rows}F\x1b[J", end="")
        print(text, flush=True)
        self._rows = rows

    def text(self) -> str:
        counts = self._logbook.state.counts()
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        elapsed = time.monotonic() - self._begin
        lines = [
            f"[{_clock(elapsed)}] {self._done()}/{self._limits.num_samples} trials done "
            f"({states}); about {self._left(elapsed)} left"
        ]
        return "\n".join([*lines, *map(self._best_line, self._logbook.space.groups)])

    def _best_line(self, group: object) -> str:
        task, best = self._logbook.task, self._logbook.best(group)
        name = f"  best {self._logbook.space.group.replace('_', ' ')} {group}"
        if best is None:
            return f"{name}: none yet"
        value = best.best_record(task.metric, task.mode)[task.metric]
        return (
            f"{name}: {task.metric} {value:.5f} ({best.id}, "
            f"{best.origin}, {best.epochs} epochs, {best.state})"
        )

    def _done(self) -> int:
        return len(self._logbook.state.trials) - len(self._logbook.state.unfinished())

    def _left(self, elapsed: float) -> str:
        """The time left at the pace so far, and at most the rest of the time budget."""
        done = self._done() - self._done_before
        if not done:
            return "?"
        left = elapsed / done * (self._limits.num_samples - self._done())
        if self._limits.time_budget_s:
            left = min(left, max(0.0, self._limits.time_budget_s - elapsed))
        return _clock(left)


def _rows(text: str) -> int:
    """How many rows of the terminal `text` takes; a line that is wider takes several. 0 where
    nothing can be drawn over it: in a log, in a terminal that cannot move its cursor, and in one
    that is not as high as the text."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return 0
    terminal = shutil.get_terminal_size()
    rows = sum(max(1, -(-len(line) // terminal.columns)) for line in text.splitlines())
    return rows if rows < terminal.lines else 0


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
