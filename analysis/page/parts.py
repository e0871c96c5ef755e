"""The parts of the report, in the order in which a reader asks, and which runs fill them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from analysis.measure.presets import Presets
from analysis.page.blocks import COMMANDS, Block
from analysis.page.document import Content
from analysis.page.explore import TITLE as EXPLORE
from analysis.page.explore import explore_blocks
from analysis.page.rendering import render
from analysis.page.sections.answer import answer_blocks
from analysis.page.sections.autoencoders import autoencoder_blocks, autoencoder_curves
from analysis.page.sections.autopsy import autopsy_blocks, autopsy_provenance
from analysis.page.sections.classifiers import classifier_blocks, classifier_curves
from analysis.page.sections.compare import compare_blocks
from analysis.page.sections.course import course_blocks
from analysis.page.sections.frechet import frechet_blocks
from analysis.page.sections.latent_probes import (
    latent_probe_blocks,
    limit_blocks,
    perceptron_blocks,
)
from analysis.page.sections.learned import learned_blocks
from analysis.page.sections.study import study_blocks
from analysis.read.autopsy import Autopsy
from analysis.read.commands import command_line
from analysis.read.runs import FAILED, Run, Skipped, winners
from analysis.read.values import column, text
from analysis.tables.writing.formats import data_words, escape

AUTOENCODERS, CLASSIFIERS, PROBES = COMMANDS

FILLED_BY = {
    AUTOENCODERS: "python -m search.autoencoders --num-samples 50",
    CLASSIFIERS: "python -m search.classifiers --dataset omniglot",
    PROBES: "python -m search.latent_probes",
}
AUTOPSY = "python -m probes.autopsy"

Section = Callable[[Run], Iterable[Block]]


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

    def with_models(self, command: str) -> list[tuple[Run, Run]]:
        """Runs of `of` that trained no model of the seed report, because their ranges leave these
        out: each after the newest older run of its question that did."""
        found = []
        for run in self.of(command):
            if not Presets.of(run).of_seed_report:
                same = [each for each in self.older if each.question == run.question]
                having = [each for each in same if Presets.of(each).of_seed_report]
                found += [(each, run) for each in having[-1:]]
        return found

    @property
    def unused(self) -> list[Run]:
        """Older runs of which the report shows nothing."""
        shown = [id(run) for command in COMMANDS for run, _ in self.with_models(command)]
        return [run for run in self.older if id(run) not in shown]


def parts(study: Study) -> list[tuple[str, Content]]:
    """Title and content of each part; a part that no run fills says which command does."""
    found: list[tuple[str, Content]] = [
        ("The answer", _in("answer", answer_blocks(study.runs))),
        (EXPLORE, _in("explore", explore_blocks(study.runs))),
        ("The seed report reproduced", _reproduced(study)),
        ("The search", _searches(study)),
        ("What the autoencoder learned", _each(study, AUTOENCODERS, learned_blocks)),
        ("Probes and the autopsy", _probes(study)),
        ("Frechet classifier distance", _distances(study)),
        ("Provenance", _provenance(study)),
    ]
    if study.compared:
        found.append(("Runs compared", _in("compared", compare_blocks(study.compared))))
    return found


def _in(folder: str, blocks: Iterable[Block]) -> Content:
    return ((folder, block) for block in blocks)


def _each(study: Study, command: str, *sections: Section) -> Content:
    """The sections of each run of a command, below its heading; else how to make a run."""
    if not study.of(command):
        yield from _missing(f"run of `search.{command}`", FILLED_BY[command], COMMANDS[command])
    for run in study.of(command):
        yield from _below_heading(run, run, *sections)


def _with_models(study: Study, command: str, *sections: Section) -> Content:
    """The same of older runs that trained the models of the seed report, where the newest lack
    them."""
    for run, newest in study.with_models(command):
        yield from _below_heading(run, newest, *sections)


def _below_heading(run: Run, newest: Run, *sections: Section) -> Content:
    yield from _in(run.name, render("run.md", run=run, newest=newest))
    for section in sections:
        yield from _in(run.name, section(run))


def _missing(what: str, command: str, heading: str = "") -> Content:
    yield from _in("", render("missing.md", what=what, command=command, heading=heading))


def _reproduced(study: Study) -> Content:
    yield from _each(study, AUTOENCODERS, autoencoder_blocks)
    yield from _with_models(study, AUTOENCODERS, autoencoder_blocks)
    yield from _each(study, CLASSIFIERS, classifier_blocks)
    yield from _with_models(study, CLASSIFIERS, classifier_blocks)
    yield from _each(study, PROBES, perceptron_blocks)


def _searches(study: Study) -> Content:
    for command, first in (
        (AUTOENCODERS, autoencoder_curves),
        (CLASSIFIERS, classifier_curves),
        (PROBES, limit_blocks),
    ):
        yield from _each(study, command, first, _course)
        yield from _with_models(study, command, first)


def _course(run: Run) -> Iterator[Block]:
    chosen = winners(run)
    yield from course_blocks(run, chosen)
    yield from study_blocks(run, chosen)


def _probes(study: Study) -> Content:
    yield from _each(study, PROBES, latent_probe_blocks)
    if study.autopsy is None:
        yield from _missing("autopsy", AUTOPSY)
        return
    name, data = study.autopsy.name, study.autopsy.data
    where = data_words(text(data.get("name")) or "unknown data", text(data.get("split")))
    yield name, f"### Autopsy on {where}: {escape(name)}"
    yield from _in(name, autopsy_blocks(study.autopsy))


def _distances(study: Study) -> Content:
    yield from _each(study, AUTOENCODERS, frechet_blocks)
    yield from _with_models(study, AUTOENCODERS, frechet_blocks)


def _provenance(study: Study) -> Content:
    for command in COMMANDS:
        for run in [*study.of(command), *(run for run, _ in study.with_models(command))]:
            yield from _in(run.name, _origin(run))
    if study.autopsy:
        name = study.autopsy.name
        yield name, f"### Autopsy: {escape(name)}"
        yield from _in(name, autopsy_provenance(study.autopsy))
    yield from _in("", render("unreported.md", older=study.unused, skipped=study.skipped))


def _origin(run: Run) -> Iterator[Block]:
    """What repeats a run: data, split, seeds, budget, machine, versions, command."""
    ids = {state: [*run.trials.loc[run.trials["state"] == state, "id"]] for state in FAILED}
    yield from render(
        "provenance.md",
        run=run,
        device_seconds=column(run.epochs, "seconds").sum(),
        counts={state: count for state, count in run.counts.items() if count},
        failed={state: trials for state, trials in ids.items() if trials},
        command=command_line(run),
    )
