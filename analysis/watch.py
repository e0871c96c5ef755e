"""`python -m analysis.report --watch`: the page of a running search, written again as it goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from analysis.read.values import RunError, read_json
from search.record.schema import EPOCHS_CSV, FINAL_JSON, RUN_JSON, SEARCH_RUNNING, TRIALS_CSV

_FILES = (RUN_JSON, TRIALS_CSV, EPOCHS_CSV, FINAL_JSON)


def watch(runs: Path, seconds: float, write: Callable[[], int]) -> int:
    """Call `write` now, and every `seconds` if a run folder has changed, until no search under
    `runs` is running. Returns what `write` returned last.

    Waits where there is nothing to report yet, and says so once. Ctrl-C ends it.
    """
    seen: object = None
    status, waiting = 2, False
    try:
        while True:
            running, found = _is_running(runs), _stamps(runs)  # before it is read: nothing is lost
            if found != seen:
                try:
                    status, seen, waiting = write(), found, False
                except RunError as error:
                    if not waiting:
                        print(f"analysis.report: {error}; waiting for it", file=sys.stderr)
                    running = waiting = True
            if not running:
                return status
            time.sleep(seconds)
    except KeyboardInterrupt:
        return status


def _stamps(runs: Path) -> dict[Path, tuple[int, int]]:
    """Time and size of the files that a search writes again and again."""
    found = {}
    for path in _paths(runs, _FILES):
        try:
            about = path.stat()
        except OSError:  # replaced this moment: the next look sees it
            continue
        found[path] = about.st_mtime_ns, about.st_size
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
