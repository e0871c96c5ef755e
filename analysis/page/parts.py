"""The parts of the report, in the order in which a reader asks, and which runs fill them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analysis.page.blocks import (
    COMMANDS,
    Block,
    Heading,
    cautions,
    files,
    metric_words,
    provenance,
    where,
)
from analysis.page.sections import latent_probes
from analysis.page.sections.answer import answer_blocks
from analysis.page.sections.autoencoders import autoencoder_blocks, autoencoder_curves
from analysis.page.sections.autopsy import autopsy_blocks, autopsy_place, autopsy_provenance
from analysis.page.sections.classifiers import classifier_blocks, classifier_curves
from analysis.page.sections.compare import compare_blocks
from analysis.page.sections.course import course_blocks
from analysis.page.sections.frechet import frechet_blocks
from analysis.page.sections.learned import learned_blocks
from analysis.page.sections.study import study_blocks
from analysis.read.autopsy import Autopsy
from analysis.read.runs import Run, Skipped, text, winners
from analysis.tables.frames import escape

AUTOENCODERS, CLASSIFIERS, PROBES = COMMANDS

FILLED_BY = {
    AUTOENCODERS: "python -m search.autoencoders --num-samples 50",
    CLASSIFIERS: "python -m search.classifiers --dataset omniglot",
    PROBES: "python -m search.latent_probes",
}
AUTOPSY = "python -m probes.autopsy"

BEST = {
    AUTOENCODERS: "`best/<code size>/` (weights, config, example pictures)",
    CLASSIFIERS: "`best/classifier/` (weights, config, pictures of confusions)",
    PROBES: "`best/<probe>-<code size>/` (weights, config, pictures of confusions), "
    "`autoencoders/<code size>/` (weights, config)",
}

Content = Iterator[tuple[str, Block]]
"""Blocks, each with the folder that its files go to."""


@dataclass(frozen=True)
class Study:
    """What is reported: the newest run of each question, and what else was found."""

    runs: tuple[Run, ...]
    older: tuple[Run, ...] = ()
    autopsy: Autopsy | None = None
    skipped: tuple[Skipped, ...] = ()
    compared: tuple[tuple[Run, ...], ...] = ()  # runs of one question, oldest first

    def of(self, command: str) -> list[Run]:
        return [run for run in self.runs if run.command == command]


def parts(study: Study) -> list[tuple[str, Content]]:
    """Title and content of each part; a part that no run fills says which command does."""
    found = [
        ("The answer", _answer(study)),
        ("The report reproduced", _reproduced(study)),
        ("The search", _searches(study)),
        ("What the autoencoder learned", _learned(study)),
        ("Probes and the autopsy", _probes(study)),
        ("Frechet classifier distance", _distances(study)),
        ("Provenance", _provenance(study)),
    ]
    return [*found, ("Runs compared", _compared(study))] if study.compared else found


def title(run: Run) -> str:
    """What a heading calls a run."""
    return f"{COMMANDS[run.command]} on {where(run)}{_goal(run)}: {escape(run.name)}"


def _goal(run: Run) -> str:
    """The metric of a search for something else than the lowest error or the best accuracy."""
    usual = run.metric in ("", "validation_mse", "validation_accuracy")
    return "" if usual else f", searched for {metric_words(run.metric)}"


def _answer(study: Study) -> Content:
    for block in answer_blocks(study.runs):
        yield "answer", block


def _reproduced(study: Study) -> Content:
    yield from _each(study, AUTOENCODERS, autoencoder_blocks)
    yield from _each(study, CLASSIFIERS, classifier_blocks)
    yield from _each(study, PROBES, _perceptrons_reproduced)


def _perceptrons_reproduced(run: Run) -> Iterator[Block]:
    yield from latent_probes.perceptron_blocks(run)


def _searches(study: Study) -> Content:
    for command in COMMANDS:
        yield from _each(study, command, _search)


def _search(run: Run) -> Iterator[Block]:
    curves = {AUTOENCODERS: autoencoder_curves, CLASSIFIERS: classifier_curves}
    if run.command in curves:
        yield from curves[run.command](run)
    if run.command == PROBES:
        yield from latent_probes.limit_blocks(run)
    chosen = winners(run)
    yield from course_blocks(run, chosen)
    yield from study_blocks(run, chosen)


def _learned(study: Study) -> Content:
    yield from _each(study, AUTOENCODERS, learned_blocks)


def _probes(study: Study) -> Content:
    yield from _each(study, PROBES, latent_probes.latent_probe_blocks)
    if study.autopsy is None:
        yield "", f"No autopsy was found; this makes one:\n\n```\n{AUTOPSY}\n```"
        return
    name = study.autopsy.name
    yield name, Heading(f"### Autopsy on {autopsy_place(study.autopsy)}: {escape(name)}")
    for block in autopsy_blocks(study.autopsy):
        yield name, block


def _distances(study: Study) -> Content:
    yield from _each(study, AUTOENCODERS, frechet_blocks)


def _provenance(study: Study) -> Content:
    for command in COMMANDS:
        for run in study.of(command):
            yield run.name, Heading(f"### {title(run)}")
            for block in (*provenance(run), *files(run, BEST[command])):
                yield run.name, block
    if study.autopsy:
        name = study.autopsy.name
        yield name, Heading(f"### Autopsy: {escape(name)}")
        for paragraph in autopsy_provenance(study.autopsy):
            yield name, paragraph
    if others := list(_others(study)):
        yield "", Heading("### Folders not reported")
        yield "", "\n".join(others)


def _others(study: Study) -> Iterator[str]:
    for run in study.older:
        yield (
            f"- {escape(run.name)}: an older run of {escape(run.command)} on "
            f"{where(run)}, started {escape(text(run.info.get('start')))}."
        )
    for entry in study.skipped:
        yield f"- {escape(entry.name)}: skipped, {escape(entry.reason)}."


def _compared(study: Study) -> Content:
    for block in compare_blocks(study.compared):
        yield "compared", block


def _each(study: Study, command: str, write: Callable[[Run], Iterator[Block]]) -> Content:
    """What is written of each run of a command, below its heading; else how to make one."""
    runs: Sequence[Run] = study.of(command)
    if not runs:
        yield "", Heading(f"### {COMMANDS[command]}")
        yield "", f"No run of it was found; this makes one:\n\n```\n{FILLED_BY[command]}\n```"
    for run in runs:
        yield run.name, Heading(f"### {title(run)}")
        for caution in cautions(run):
            yield run.name, caution
        for block in write(run):
            yield run.name, block
