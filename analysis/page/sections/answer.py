"""The report's first part: what each search found, on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.figures.answer import answer_figure
from analysis.measure.best import answer
from analysis.measure.next_steps import next_steps
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.runs import Run
from analysis.read.seed_report import PROBE_ACCURACY, TEST_ACCURACY
from analysis.tables.best import answer_table


def answer_blocks(runs: Sequence[Run]) -> Iterator[Block]:
    """What was found in words, a table, a picture, and the commands; of any number of runs."""
    found = answer(runs)
    yield from render(
        "answer.md",
        found=found,
        table=answer_table(found.found),
        drawn=answer_figure(found.found),
        steps=next_steps(found.runs),
        omniglot=TEST_ACCURACY["omniglot"],
        codes=max(PROBE_ACCURACY.values()),
    )
