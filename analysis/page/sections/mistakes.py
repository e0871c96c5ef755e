"""The part of the report on the errors of the best classifier of a search."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.figures.mistakes import accuracy_by_kind, confusions
from analysis.measure.mistakes import mistakes
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.runs import Result, Run, Skipped
from analysis.tables.mistakes import SHOWN, accuracy_table, confused_table


def mistake_blocks(run: Run, best: Result, of: str = "") -> Iterator[Block]:
    """Accuracy by class or alphabet and the most confused pairs; `of` ends the headings."""
    found = mistakes(run, best)
    shown, pairs = found.by_kind[:SHOWN], found.confused or ()
    drawn = found.images if isinstance(found.images, Skipped) else None
    if pairs and not drawn:
        drawn = confusions(found.images, pairs)
    yield from render(
        "mistakes.md",
        run=run,
        found=found,
        of=of,
        accuracies=accuracy_table(found),
        by_kind=accuracy_by_kind(shown, found.overall, found.kind) if shown else None,
        confused=confused_table(pairs),
        confusions=drawn,
    )
