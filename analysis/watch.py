"""`python -m analysis.report --watch`: the page of a running search, written again as it goes."""

from __future__ import annotations

import hashlib
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from analysis.read.values import RunError, read_json
from search.record.schema import EPOCHS_CSV, FINAL_JSON, RUN_JSON, SEARCH_RUNNING, TRIALS_CSV

_FILES = (RUN_JSON, TRIALS_CSV, EPOCHS_CSV, FINAL_JSON)


def watch(
    runs: Path,
    seconds: float,
    write: Callable[[bool], int],
    wait: Callable[[float], bool] | None = None,
) -> int:
    """Call `write` now, and every `seconds` if a run folder has changed, until no search under
    `runs` is running; or, if `wait` is given, which waits at most so many seconds, until it returns
    False. `write` is told whether a search is running. Returns what it returned last.

    Waits where there is nothing to report yet, and says so once. Ctrl-C ends it.
    """
    seen: object = None
    status, waiting, open_ = 2, False, True
    try:
        while True:
            running, found = (
                _is_running(runs),
                _contents(runs),
            )  # before it is read: nothing is lost
            go_on = open_ if wait else running
            if found != seen:
                try:
                    status, seen, waiting = write(running), found, False
                except RunError as error:
                    if not waiting:
                        print(f"analysis.report: {error}; waiting for it", file=sys.stderr)
                    waiting, go_on = True, open_
            if not go_on:
                return status
            if wait:
                open_ = wait(seconds)
            else:
                time.sleep(seconds)
    except KeyboardInterrupt:
        return status


def wait_while_open(seconds: float) -> bool:
    """Wait so many seconds; return whether standard input is open still. It closes when the process
    at its other end closes it, or ends in whatever way."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return not readable


def _contents(runs: Path) -> dict[Path, str]:
    """What the files say that a search writes again and again. Their times would not do: a search
    may write a table anew that says the same."""
    found = {}
    for path in _paths(runs, _FILES):
        try:
            with path.open("rb") as file:
                found[path] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:  # replaced this moment: the next look sees it
            continue
    return found


def _is_running(runs: Path) -> bool:
    """Whether a run.json says so. One that is not readable this moment counts as running."""
    for path in _paths(runs, (RUN_JSON,)):
        try:
            if read_json(path).get("state") == SEARCH_RUNNING:
                return True
        except RunError:
            return True
    return False


def _paths(runs: Path, names: tuple[str, ...]) -> list[Path]:
    folders = [runs] if (runs / RUN_JSON).exists() else [*runs.glob("[!.]*")]
    return sorted(path for each in folders for name in names if (path := each / name).exists())
