"""The report's part on a run of `search.autoencoders` beside the seed report's autoencoders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from analysis.figures.autoencoders import overview
from analysis.figures.curves import autoencoder_presets, autoencoder_trials
from analysis.figures.running_loss import sae_by_step
from analysis.measure.best import bests
from analysis.measure.presets import Presets
from analysis.measure.running_loss import running_loss
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.page.sections.claims import claim_blocks
from analysis.read.pictures import Examples, read_examples
from analysis.read.runs import Group, Run, winners
from analysis.read.seed_report import BEST_TEST_LOSS, MODELS, SAE_MISPRINT
from analysis.read.values import RunError
from analysis.tables.autoencoders import autoencoders_beside_report
from analysis.tables.best import best_table

_NAMES = [model.preset for model in MODELS]


def autoencoder_blocks(run: Run) -> Iterator[Block]:
    """The winners beside the floors and what they draw; the seed report's models beside its
    numbers, its training curves, and the claims."""
    chosen, ours, found = winners(run), Presets.of(run), bests(run)
    waiting = [name for name in _NAMES if name not in ours.left_out]
    reproduced = not run.ended or any(name in ours.results for name in _NAMES)
    yield from render(
        "autoencoders.md",
        run=run,
        chosen=chosen,
        best=best_table(found),
        overview=overview(found, _examples(run, chosen)),
        pca={size: run.floor("pca", str(size)) for size in run.groups},
        theirs=BEST_TEST_LOSS,
        misprint=SAE_MISPRINT,
        reproduced=reproduced,
        turn=ours.turn(waiting) if waiting else None,
        presets=autoencoders_beside_report(run),
        curves=autoencoder_presets(run),
        by_step=sae_by_step(running_loss(run)),
    )
    if reproduced:
        yield from claim_blocks(run)


def autoencoder_curves(run: Run) -> Iterator[Block]:
    """The validation error of every trial."""
    yield from render("trial-curves.md", run=run, curves=autoencoder_trials(run))


def _examples(run: Run, chosen: Iterable[Group]) -> dict[Group, Examples]:
    """Of the winners that have them; what is missing is named with the reconstructions."""
    pictures: dict[Group, Examples] = {}
    for size in chosen:
        with suppress(RunError):
            pictures[size] = read_examples(run, size)
    return pictures
