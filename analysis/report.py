"""The report: `python -m analysis.report --runs DIR --out DIR`.

Reads run folders, writes `report.md` and, in a folder per run beside it, each table as CSV and
each figure as PNG. Same run folders, same bytes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from analysis import blocks, figures
from analysis.autoencoders import autoencoder_section
from analysis.blocks import Block, Heading, Picture
from analysis.classifiers import classifier_section
from analysis.runs import Run, RunError, Skipped, find_runs, newest, text
from analysis.tables import Table, escape

SECTIONS: dict[str, Callable[[Run], Iterator[Block]]] = {
    "autoencoders": autoencoder_section,
    "classifiers": classifier_section,
}
"""The section of each command that a run folder may come from, in the report's order."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; 0 if a run was reported, 2 with one line on stderr if none could be."""
    options = _parser().parse_args(arguments)
    try:
        return write_report(options.runs, options.out)
    except (RunError, OSError) as error:
        print(f"analysis.report: {error}", file=sys.stderr)
        return 2


def write_report(runs: Path, out: Path) -> int:
    """Report the newest run of each command, data set and split under `runs` into the folder
    `out`.

    Prints a line per thing written or skipped, broken folders on stderr. Returns the exit status.
    Raises `RunError` if there is nothing to report, `OSError` if `out` cannot be written.
    """
    found, skipped = find_runs(runs)
    skipped += [
        Skipped(run.name, f"no section for the command {run.command!r} yet")
        for run in found
        if run.command not in SECTIONS
    ]
    for entry in skipped:
        print(f"skipped {entry.name}: {entry.reason}", file=sys.stderr)
    chosen, older = newest(run for run in found if run.command in SECTIONS)
    if not chosen:
        raise RunError(f"no run to report in {runs}; `python -m search.autoencoders` makes one")
    for run in older:
        print(
            f"skipped {run.name}: a newer run of the same command, data set and split is reported"
        )
    parts = ["# Report\n"]
    for command, section in SECTIONS.items():
        for run in chosen:
            if run.command == command:
                parts += [_render(block, run, out) for block in section(run)]
    parts += _others(older, skipped)
    _write(out / "report.md", "\n".join(parts).encode())
    return 0


def _render(block: Block, run: Run, out: Path) -> str:
    """A block as Markdown; its files are written on the way."""
    if isinstance(block, Heading):
        return f"{block.words}\n"
    if isinstance(block, Table):
        path = f"{run.name}/{block.name}.csv"
        _write(out / path, block.csv().encode())
        return f"{block.markdown()}\n\n([as CSV]({quote(path)}))\n"
    if isinstance(block, Picture):
        path = f"{run.name}/{block.name}.png"
        _write(out / path, figures.png(block.figure))
        return f"![{block.caption}]({quote(path)})\n"
    if isinstance(block, Skipped):
        print(f"skipped {run.name}/{block.name}: {block.reason}")
        return f"({escape(block.name)} is left out: {escape(block.reason)}.)\n"
    return f"{block}\n"


def _others(older: list[Run], skipped: list[Skipped]) -> Iterator[str]:
    lines = [
        f"- {escape(run.name)}: an older run of {escape(run.command)} on "
        f"{blocks.where(run)}, started {escape(text(run.info.get('start')))}."
        for run in older
    ]
    lines += [f"- {escape(entry.name)}: skipped, {escape(entry.reason)}." for entry in skipped]
    if lines:
        yield "## Folders not reported\n"
        yield "\n".join(lines) + "\n"


def _write(path: Path, content: bytes) -> None:
    """Write through a file beside it, so that no reader meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_bytes(content)
        os.replace(half, path)
    finally:
        half.unlink(missing_ok=True)
    print(f"wrote {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Write a report of run folders: Markdown, CSV and PNG.",
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
