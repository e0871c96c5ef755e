"""The status of a running search: a short block of text, the same in a terminal, in a notebook and
in a log."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from models.machine import seconds
from search.record.schema import ERRORS
from search.tune.limits import Limits
from search.tune.logbook import Logbook

REDRAWN_PERIOD_S = 5.0  # where a block is drawn over the last one
LOG_PERIOD_S = 30.0
LONGEST_DETAIL = 200  # characters of an error in the block


class StatusBlock:
    """Done, running and stopped trials, the best so far of each group, and the time left."""

    def __init__(self, logbook: Logbook, limits: Limits):
        self._logbook, self._limits = logbook, limits
        self._begin = seconds()
        self._done_before = self._done()
        self._due = self._begin + REDRAWN_PERIOD_S
        self._draw = _in_notebook() or _Terminal().draw

    def print_if_due(self) -> None:
        if seconds() >= self._due:
            self.print()

    def print(self) -> None:
        text = self.text()
        redrawn = _notebook() is not None or _rows(text) > 0
        self._due = seconds() + (REDRAWN_PERIOD_S if redrawn else LOG_PERIOD_S)
        self._draw(text)

    def text(self) -> str:
        counts = self._logbook.state.counts()
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        elapsed = seconds() - self._begin
        lines = [
            f"[{_clock(elapsed)}] {self._done()}/{self._limits.num_samples} trials done "
            f"({states}); about {self._left(elapsed)} left"
        ]
        lines += map(self._best_line, self._logbook.space.groups)
        if failure := failure_line(self._logbook):
            lines.append(f"  {failure}")
        return "\n".join(lines)

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


def failure_line(logbook: Logbook) -> str:
    """The most frequent failure and the file with its traceback; empty if no trial failed."""
    found = logbook.state.most_frequent_failure()
    if found is None:
        return ""
    detail, trials = found
    short = detail if len(detail) <= LONGEST_DETAIL else detail[: LONGEST_DETAIL - 1] + "…"
    which = "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
    place = f"{logbook.folder.location}/{ERRORS}/{trials[-1].id}.txt"
    return f"failed: {which}, {short} ({place})"


def _clock(duration: float) -> str:
    minutes, rest = divmod(int(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


class _Terminal:
    """Draws each block over the last one in a terminal, and below it in a log."""

    def __init__(self):
        self._rows = 0  # of the last block, if the next one is drawn over it

    def draw(self, text: str) -> None:
        rows = _rows(text)
        if rows and self._rows:
            print(f"\x1b[{self._rows}F\x1b[J", end="")
        print(text, flush=True)
        self._rows = rows


def _notebook():
    """The shell of the notebook that this process computes for; None if there is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if type(shell).__name__ == "ZMQInteractiveShell" else None


def _in_notebook() -> Callable[[str], None] | None:
    """Draws each block in place of the last one, in an output of the running cell."""
    if _notebook() is None:
        return None
    from IPython.display import display

    shown = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda text: shown.update({"text/plain": text}, raw=True)
