"""The report's parts on a run of `search.latent_probes`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from analysis.figures import curves
from analysis.figures import latent_probes as figures
from analysis.measure.latent_probes.few_shot import few_shot, published
from analysis.measure.latent_probes.probes import (
    best_on_test,
    l2_sweep,
    limited,
    perceptrons,
    probes,
    stops,
)
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.page.sections.claims import claim_blocks
from analysis.page.sections.mistakes import mistake_blocks
from analysis.read.runs import Result, Run
from analysis.read.seed_report import PROBE_ACCURACY
from analysis.tables import latent_probes as tables
from analysis.tables.writing.configurations import configuration
from analysis.tables.writing.formats import accuracy


def latent_probe_blocks(run: Run) -> Iterator[Block]:
    """What the probes reached and on which codes, and what the best of them still mistakes."""
    found, few = probes(run), few_shot(run)
    best = next((probe for probe in found if probe.best), None)
    yield from render(
        "latent-probes.md",
        run=run,
        data=run.data["name"],
        chosen={probe.group: probe.result for probe in found if probe.measured},
        best=best,
        higher=best_on_test(found),
        configuration=configuration(best.result if best else None)["configuration"],
        codes=tables.code_table(run),
        probes=tables.probe_table(run, found),
        configurations=tables.probe_configurations(found),
        drawn=figures.accuracies(run, found),
        few=few,
        few_shot=tables.few_shot_table([*(few or []), *published()]),
        episodes=_either(each.episodes for each in few or []),
        queries=_either(each.queries for each in few or []),
        perceptron=PROBE_ACCURACY["mlp"],
        accuracy=accuracy,
        words=tables.probe_words,
    )
    of = f" of the best: {tables.probe_words(best.group)}" if best else " of the best"
    yield from mistake_blocks(run, best.result if best else Result(), of)


def perceptron_blocks(run: Run) -> Iterator[Block]:
    """The report's perceptrons fitted again, and the claims of its text."""
    found = perceptrons(run)
    yield from render(
        "perceptrons.md",
        table=tables.perceptron_table(found),
        by_blocks=curves.perceptrons_by_blocks(run),
        by_l2=curves.perceptrons_by_l2(run),
        against_l2=figures.against_l2(l2_sweep(found)),
    )
    yield from claim_blocks(run)


def limit_blocks(run: Run) -> Iterator[Block]:
    """The trials of each probe by state, and those that a limit or an error stopped."""
    ended = stops(run)
    stopped = limited(ended)
    yield from render(
        "probe-limits.md",
        states=tables.state_table(run, ended),
        stopped=len(stopped),
        stops=tables.stop_table(stopped),
    )


def _either(values: Iterable[float]) -> str:
    known = sorted({value for value in values if math.isfinite(value)})
    return " or ".join(f"{value:,.0f}" for value in known) or "-"
