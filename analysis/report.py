"""The report: `python -m analysis.report --runs DIR --out DIR`.

Reads run folders, writes `report.html`, one page that needs nothing beside it, and the same as
`report.md`; in a folder per run each table as CSV and LaTeX and each figure as PNG, with `--svg`
as SVG too. Same run folders, same bytes.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from analysis.page import document, html
from analysis.page.blocks import COMMANDS
from analysis.page.explore import data_of
from analysis.page.parts import Study, parts
from analysis.read.autopsy import find_autopsies, without_autopsies
from analysis.read.runs import Run, Skipped, find_runs, newest
from analysis.read.values import RunError
from analysis.watch import wait_while_open, watch
from models.ending import ends_at_signals


@ends_at_signals("analysis.report", "; the same command writes the report")
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; 0 if a run was reported, 2 with one line on stderr if none could be, 128
    and its number after a signal: 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    write = partial(write_report, options.runs, options.out, options.compare, options.svg)
    wait = wait_while_open if options.until_stdin_closes else None
    try:
        if not options.watch:
            return write()
        return watch(
            options.runs, options.watch, lambda running: write(options.watch * running), wait
        )
    except (RunError, OSError) as error:
        print(f"analysis.report: {error}", file=sys.stderr)
        return 2


def write_report(
    runs: Path, out: Path, compare: bool = False, with_svg: bool = False, every: float = 0
) -> int:
    """Report the newest run of each command, data set, split and metric under `runs`, and the
    newest autopsy, into the folder `out`; `compare` sets all runs of each side by side as well.
    If the page is written again `every` so many seconds, it says how old it is.

    Prints what is skipped, broken folders on stderr. Returns the exit status. Raises `RunError` if
    there is nothing to report, `OSError` if `out` cannot be written.
    """
    with _no_search_for_garbage():
        study = read_study(runs, compare)
        for run in study.unused:
            print(f"not reported {run.name}: a newer run of the same question is")
        out.mkdir(parents=True, exist_ok=True)  # what cannot be written is said before it is drawn
        markdown, files = document.written(parts(study), with_svg)
        files["report.html"] = html.render(markdown, files, data_of(study.runs), every).encode()
        files["report.md"] = markdown.encode()
    for path, content in files.items():
        _write(out / path, content)
    size = len(files["report.html"]) / 1e6
    print(
        f"wrote {out / 'report.html'} ({size:.1f} MB) and {len(files) - 1} files beside it",
        flush=True,
    )
    return 0


def read_study(runs: Path, compare: bool = False) -> Study:
    """All that is found under `runs`. Raises `RunError` if none of it can be reported."""
    found, skipped = find_runs(runs)
    autopsies, faults = find_autopsies(runs)
    skipped = without_autopsies(runs, skipped) + faults
    skipped += [
        Skipped(run.name, f"no part of the report is about the command {run.command!r}")
        for run in found
        if run.command not in COMMANDS
    ]
    for entry in skipped:
        print(f"skipped {entry.name}: {entry.reason}", file=sys.stderr)
    found = [run for run in found if run.command in COMMANDS]
    chosen, older = newest(found)
    if not chosen and not autopsies:
        raise RunError(f"no run to report in {runs}; `python -m search.autoencoders` makes one")
    skipped += [Skipped(autopsy.name, "a newer autopsy is reported") for autopsy in autopsies[1:]]
    return Study(
        tuple(chosen),
        tuple(older),
        autopsies[0] if autopsies else None,
        tuple(skipped),
        _compared(found) if compare else (),
    )


def _compared(found: Iterable[Run]) -> tuple[tuple[Run, ...], ...]:
    """Runs of one question, where there are several, oldest first."""
    by_question: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in sorted(found, key=lambda run: (run.start, run.name)):
        by_question[run.question].append(run)
    return tuple(tuple(runs) for _, runs in sorted(by_question.items()) if len(runs) > 1)


@contextmanager
def _no_search_for_garbage() -> Iterator[None]:
    """A figure is a web of many objects. To look through the webs again and again for garbage takes
    a twelfth of the time, and finds none before the end."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _write(path: Path, content: bytes) -> None:
    """Write through a file beside it, so that no reader meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(content)
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Write a report of run folders: one HTML page, the same as Markdown, and each "
        "table and figure as a file.",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="a folder of run folders, or one run folder (default: runs)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("report"),
        metavar="DIR",
        help="where the report goes (default: report)",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="where a command was run several times, set the runs side by side",
    )
    parser.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=60.0,
        default=0.0,
        metavar="SECONDS",
        help="write the report again when a run folder has changed, looking every so many seconds "
        "(60), until no search is running; the page then says how old it is",
    )
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="with --watch: go on until standard input is closed, as a search with --report needs",
    )
    parser.add_argument(
        "--svg", action="store_true", help="write each figure as SVG too, which takes longer"
    )
    return parser


def _seconds(words: str) -> float:
    value = float(words)
    if not 1 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{words} is not a number of seconds from 1 up")
    return value


if __name__ == "__main__":
    sys.exit(main())
