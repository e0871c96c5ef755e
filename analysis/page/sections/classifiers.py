"""The report's part on a run of `search.classifiers`."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.figures.curves import classifier_presets, classifier_trials
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.page.sections.claims import claim_blocks
from analysis.page.sections.mistakes import mistake_blocks
from analysis.read.runs import Result, Run, winners
from analysis.read.seed_report import TEST_ACCURACY
from analysis.tables.classifiers import best_classifier, classifiers_beside_report


def classifier_blocks(run: Run) -> Iterator[Block]:
    """The winner beside the floors, the seed report's classifiers beside its numbers, what the
    winner still mistakes, and the claims."""
    chosen = winners(run)
    yield from render(
        "classifiers.md",
        run=run,
        chosen=chosen,
        data=run.data["name"],
        split=run.task[2],
        reported=run.data["name"] in TEST_ACCURACY,
        best=best_classifier(run),
        presets=classifiers_beside_report(run),
        curves=classifier_presets(run),
    )
    yield from mistake_blocks(run, next(iter(chosen.values()), Result()))  # there is one group
    yield from claim_blocks(run)


def classifier_curves(run: Run) -> Iterator[Block]:
    """The validation accuracy of every trial."""
    yield from render("trial-curves.md", run=run, curves=classifier_trials(run))
