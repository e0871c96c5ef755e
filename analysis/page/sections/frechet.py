"""The report's part on Frechet classifier distances."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.measure.frechet import frechet
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.runs import Run, winners
from analysis.tables.frechet import WORDS, distance_table


def frechet_blocks(run: Run) -> Iterator[Block]:
    """What was measured, the table, and which of its numbers do not compare."""
    found = frechet(winners(run))
    yield from render("frechet.md", run=run, found=found, table=distance_table(found), words=WORDS)
