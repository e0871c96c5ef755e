"""The part "Explore": the trials of all runs inside the page, for its script (`explore.js`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from analysis.measure.explore import explored
from analysis.page.blocks import COMMANDS, Block
from analysis.page.rendering import render
from analysis.read.runs import Run
from analysis.tables.writing.configurations import parameter_words
from analysis.tables.writing.formats import metric_words

TITLE = "Explore"
STILL = ("curves-trials", "parallel-", "slices-")
"""How the names of pictures begin that the script replaces on a screen."""


def explore_blocks(runs: Iterable[Run]) -> Iterator[Block]:
    """What a reader sees in place of the tools without a script, for example on paper."""
    yield from render("explore.md", runs=[*runs])


def data_of(runs: Iterable[Run]) -> str:
    """The trials as JSON that may stand inside a page; equal runs give equal text."""
    found = {"runs": [_worded(run) for run in runs]}
    words = json.dumps(found, separators=(",", ":"), allow_nan=False)
    return words.replace("<", "\\u003c")


def _worded(run: Run) -> dict[str, Any]:
    found = explored(run)
    own = {"best": f"best {metric_words(run.metric)}", "number": "trial"}
    for column in found["columns"]:
        column["words"] = own.get(column["key"]) or parameter_words(column["key"])
    split = run.task[2]
    where = run.data["name"] + (f", {split}" if split not in ("", "published") else "")
    by = f", by {metric_words(run.metric)}" if run.metric == "probe_accuracy" else ""
    found["words"] = f"{COMMANDS[run.command]} on {where}{by} ({run.name})"
    found["goal"] = metric_words(run.metric)
    return found
