"""The report: `python -m analysis.report --runs DIR --out DIR`.

Reads run folders, writes `report.md` and, in a folder per run beside it, each table as CSV and
each figure as PNG. Same run folders, same bytes.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure

from analysis import figures, tables
from analysis.runs import (
    PIXELS,
    Examples,
    Run,
    RunError,
    Skipped,
    Winner,
    find_runs,
    mapping,
    newest,
    number,
    read_examples,
    text,
    winners,
)
from analysis.seed_report import BEST_TEST_LOSS, SAE_MISPRINT
from analysis.tables import Table, escape, mse, signed


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its file and a sentence that says what it shows."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Heading:
    words: str


Block = str | Heading | Table | Picture | Skipped
"""What a section is made of, in order: a paragraph of Markdown, a heading, a table, a picture, or
something that had to be left out. Another output format renders the same blocks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; 0 if a run was reported, 2 with one line on stderr if none could be."""
    options = _parser().parse_args(arguments)
    try:
        return write_report(options.runs, options.out)
    except (RunError, OSError) as error:
        print(f"analysis.report: {error}", file=sys.stderr)
        return 2


def write_report(runs: Path, out: Path) -> int:
    """Report the newest run of each command and data set under `runs` into the folder `out`.

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
        print(f"skipped {run.name}: a newer run of the same command and data set is reported")
    parts = ["# Report\n"]
    for run in chosen:
        parts += [_render(block, run, out) for block in SECTIONS[run.command](run)]
    parts += _others(older, skipped)
    _write(out / "report.md", "\n".join(parts).encode())
    return 0


def autoencoder_section(run: Run) -> Iterator[Block]:
    """What a reader asks of `search.autoencoders`, in that order."""
    yield Heading(f"## Autoencoders on {escape(run.data['name'])}: {escape(run.name)}")
    yield from _provenance(run)
    chosen = winners(run)
    pictures, missing = _examples(run, chosen)
    yield Heading("### Best configuration per code size")
    yield from _best(run, chosen)
    yield _picture(
        "overview",
        figures.overview(run, pictures),
        "Best configuration per code size: error beside the floors, and pictures.",
    )
    yield Heading("### The report's models")
    yield from _presets(run)
    yield Heading("### Training curves")
    yield _picture(
        "curves-presets",
        figures.preset_curves(run),
        "The report's models: loss as optimised, and validation MSE, log-log.",
    )
    yield _picture(
        "curves-trials",
        figures.trial_curves(run),
        "Validation MSE of every trial by code size, log-log; what lies above the range "
        "is drawn at its upper edge.",
    )
    yield Heading("### Reconstructions")
    for size, examples in pictures.items():
        yield _picture(
            f"reconstructions-{size}",
            figures.reconstructions(chosen[size], examples),
            f"Code {size}: inputs (of the validation split), noised inputs, and "
            "reconstructions of the inputs.",
        )
    yield from missing
    yield Heading("### Trials and files")
    yield from _files(run)


SECTIONS: dict[str, Callable[[Run], Iterator[Block]]] = {"autoencoders": autoencoder_section}
"""The section of each command that a run folder may come from."""


def _provenance(run: Run) -> Iterator[Block]:
    data, info = run.data, run.info
    if note := text(data.get("note")):
        yield f"**{escape(note)}**"
    sizes = ", ".join(f"{known(data.get(name))} {name}" for name in ("train", "validation", "test"))
    seeds = run.final.seeds if run.final else ()
    retrained = (
        f"winners retrained with seeds {', '.join(map(str, seeds))}"
        if seeds
        else "winners not retrained"
    )
    states = ", ".join(f"{count} {state}" for state, count in run.counts.items() if count)
    versions = ", ".join(
        f"{escape(str(name))} {escape(str(version))}"
        for name, version in mapping(info.get("versions")).items()
    )
    yield (
        f"Data set {escape(data['name'])} (split {known(data.get('split'))}: {sizes} images of "
        f"{known(data.get('classes'))} classes{', centred' if data.get('centred') else ''}; "
        f"sha256 {known(text(data.get('sha256'))[:12])}). "
        f"Budget {known(info.get('budget'))} on {known(info.get('device'))}, "
        f"{duration(number(info.get('seconds')))}, started {known(info.get('start'))}; "
        f"search seed {known(info.get('seed'))}, {retrained}; "
        f"trials: {states or 'none'}. Commit {known(text(info.get('git_commit'))[:12])}; "
        f"{versions or 'versions unknown'}."
    )
    if not run.finished:
        yield (
            f"**This search is not finished (it is {known(info.get('state'))}): what follows "
            f"is what it had found.** To go on with it: `{resume_command(run)}`"
        )


def _best(run: Run, chosen: dict[int, Winner]) -> Iterator[Block]:
    goal = "highest" if run.info.get("mode") == "max" else "lowest"
    seeds = (
        "± is the standard deviation over the seeds of the retrained networks."
        if all(winner.seeds for winner in chosen.values())
        else "Where no winner was retrained there is no test figure; (search) marks a figure of "
        "the search itself."
    )
    yield (
        f"Chosen by the {goal} {metric_words(run.metric)}, on the validation split "
        "only; the test split is read once, after the choice. Errors are mean squared errors "
        "per pixel, pixels in [0, 1]; PCA and the mean image are fitted on the same training "
        f"split and measured on the same test split. {seeds}"
    )
    yield tables.best_per_code_size(run)
    notes = [*_budget_notes(run, chosen), *_pca_notes(run), *_seed_report_notes(run)]
    yield "\n".join(f"- {note}" for note in notes)


def _budget_notes(run: Run, chosen: dict[int, Winner]) -> Iterator[str]:
    full = known(run.settings.get("max_epochs"))
    for size, winner in chosen.items():
        if winner.state != "complete":
            yield (
                f"Code {size}: the chosen trial {escape(winner.trial)} was not trained to the "
                f"full budget in the search (state {winner.state or 'unknown'}, "
                f"{tables.count(winner.epochs)} of {full} epochs)."
            )
    for size in run.latent_sizes:
        if size not in chosen:
            yield f"Code {size}: no trial has been measured yet."


def _pca_notes(run: Run) -> Iterator[str]:
    for size in run.latent_sizes:
        pca = run.pca(size)
        if pca.exact:
            yield (
                f"Code {size} is no smaller than an image's {PIXELS} pixels, so PCA with as "
                f"many components as it can have ({pca.components}) is exact, error 0, and "
                "gives no ratio."
            )
        elif 0 < pca.components < size:
            yield (
                f"Code {size}: PCA has {pca.components} components, as many as there are "
                "pixels or training images."
            )


def _seed_report_notes(run: Run) -> Iterator[str]:
    size, loss = next(iter(BEST_TEST_LOSS.items()))
    if size in run.latent_sizes:
        yield (
            f"The seed report's number is the test loss of its sparse autoencoder, code {size}: "
            f"{mse(loss)}. It states no code size for its other models."
        )


def _presets(run: Run) -> Iterator[Block]:
    table = tables.presets_beside_report(run)
    yield (
        "Train loss is as optimised, with noise, dropout and penalties; train MSE is measured "
        "on training images with noise and dropout off. Our `sae` is compared with the report's "
        f"test loss {mse(BEST_TEST_LOSS[1024])}; one of its tables prints {SAE_MISPRINT}, by "
        "its text a misprint. The report names neither its data set nor its loss, so its "
        "numbers give an order of magnitude, not a contest."
    )
    yield table
    yield gap_sentence(table)


def gap_sentence(table: Table) -> str:
    """How much of "test is better than train" is left with noise and dropout off, in numbers.

    `table` is `tables.presets_beside_report`. Averages over the presets that show the gap.
    """
    rows = [row for row in table.rows if row["kind"] == "preset"]
    measured = [row for row in rows if math.isfinite(row["gap"])]
    gapped = [row for row in measured if row["gap"] < 0 and math.isfinite(row["train_mse"])]
    if not measured:
        return (
            'The report\'s "test is better than train" cannot be judged here: '
            "no preset has a test figure yet."
        )
    if not gapped:
        return (
            f"None of the {len(measured)} presets measured here has a test MSE below its "
            'train loss, so the report\'s "test is better than train" does not show.'
        )
    gap = _mean(row["gap"] for row in gapped)
    clean = _mean(row["test_mse"] - row["train_mse"] for row in gapped)
    share = min((clean - gap) / -gap, 1.0)
    rest = (
        "so test is no better than train once both are measured alike"
        if clean >= 0
        else f"so {mse(-clean)} of it stays"
    )
    names = ", ".join(f"`{row['model']}`" for row in gapped)
    return (
        f'"Test is better than train" shows on {len(gapped)} of {len(measured)} presets '
        f"({names}): test MSE minus train loss is {signed(gap)} on average. Measured "
        f"against train MSE, noise and dropout off, it is {signed(clean)}: {share:.0%} of the "
        f"gap vanishes, {rest}."
    )


def _files(run: Run) -> Iterator[Block]:
    yield tables.states(run)
    for state in ("diverged", "error"):
        names = list(run.trials.loc[run.trials["state"] == state, "id"])
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            yield f"Trials that ended as {state}: {escape(', '.join(names[:10]))}{more}."
    yield (
        f"Command: `{command_line(run)}`.\n\n"
        f"In the run folder `{run.name}`: `run.json` (settings), `trials.csv` (every trial), "
        "`epochs.csv` (every curve), `final.json` (every seed), "
        "`best/<code size>/` (weights, config, example pictures)."
    )


def _examples(run: Run, chosen: dict[int, Winner]) -> tuple[dict[int, Examples], list[Skipped]]:
    pictures: dict[int, Examples] = {}
    missing: list[Skipped] = []
    for size in chosen:
        try:
            pictures[size] = read_examples(run, size)
        except RunError as error:
            missing.append(Skipped(f"reconstructions-{size}.png", str(error)))
    return pictures, missing


def _picture(name: str, figure: Figure | None, caption: str) -> Picture | Skipped:
    if figure is None:
        return Skipped(f"{name}.png", "the run holds nothing to draw yet")
    return Picture(name, figure, caption)


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
        f"{escape(run.data['name'])}, started {escape(text(run.info.get('start')))}."
        for run in older
    ]
    lines += [f"- {escape(entry.name)}: skipped, {escape(entry.reason)}." for entry in skipped]
    if lines:
        yield "## Folders not reported\n"
        yield "\n".join(lines) + "\n"


def resume_command(run: Run) -> str:
    """The command that goes on with an interrupted run."""
    where = text(run.settings.get("storage_path"))
    storage = ["--storage-path", where] if where not in ("", "runs") else []
    return shlex.join(
        ["python", "-m", f"search.{run.command}", "--name", run.name, *storage, "--resume"]
    )


def command_line(run: Run) -> str:
    """The command that made the run, as a reader would type it."""
    argv = run.info.get("argv")
    words = [str(word) for word in argv] if isinstance(argv, list) else []
    typed = words[1:] if words and words[0].endswith((".py", "-m")) else words
    return shlex.join(["python", "-m", f"search.{run.command}", *typed]).replace("`", "'")


def metric_words(metric: str) -> str:
    """A metric's column name as words of a sentence.

    >>> metric_words("validation_mse"), metric_words("probe_accuracy")
    ('validation MSE', 'probe accuracy')
    """
    return escape(metric.replace("_", " ")).replace("mse", "MSE")


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(61.4), duration(7322), duration(float("nan"))
    ('1 min 1 s', '2 h 2 min', 'duration unknown')
    """
    if not math.isfinite(seconds):
        return "duration unknown"
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def known(value: Any) -> str:
    """A value from run.json as Markdown; "unknown" for a hole."""
    return "unknown" if value is None or value == "" else escape(str(value))


def _mean(values: Iterator[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


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
