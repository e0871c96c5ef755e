"""The report's part on what autoencoders learned: their pictures and their codes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from analysis.figures import autoencoders as autoencoder_figures
from analysis.figures import codes as code_figures
from analysis.figures import learned as figures
from analysis.measure.codes.contrast import contrasts
from analysis.measure.codes.sparse import COMPARED_AT, sparse
from analysis.measure.learned import FEWEST, codes, question
from analysis.measure.mistakes import kind_of
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.gallery import read_interpolations, read_map, read_samples, read_spread
from analysis.read.pictures import read_examples
from analysis.read.runs import Group, Result, Run, Skipped, winners
from analysis.read.values import RunError
from analysis.tables.learned import codes_table, question_table


@dataclass(frozen=True)
class Shown:
    """A picture of all code sizes whose examples could be read, and why others are left out."""

    found: Mapping[Group, Any]
    drawn: Figure | None
    left_out: tuple[Skipped, ...]


def learned_blocks(run: Run) -> Iterator[Block]:
    """What the winners of a run of `search.autoencoders` draw, what their codes are like, and
    whether codes are better where the error is lower."""
    chosen = winners(run)
    spread = _shown(run, chosen, read_spread, figures.spread, "code-spread")
    asked = question(run, chosen)
    yield from render(
        "learned.md",
        run=run,
        chosen=chosen,
        reconstructions={size: _drawn(run, size, winner) for size, winner in chosen.items()},
        samples=_shown(run, chosen, read_samples, figures.samples, "samples"),
        interpolations=_shown(
            run, chosen, read_interpolations, figures.interpolations, "interpolations"
        ),
        codes=codes_table(codes(run, chosen, spread.found)),
        spread=spread,
        map=_shown(run, chosen, read_map, figures.maps, "code-map"),
        kind=kind_of(run),
        question=asked,
        table=question_table(asked),
        fewest=FEWEST,
        scatter=figures.error_and_accuracy(asked.trials, run.groups),
    )
    yield from _code_blocks(run)


def _code_blocks(run: Run) -> Iterator[Block]:
    """What sparsity costs and what the contrastive term gives, if there are trials to tell."""
    thin, compared = sparse(run), contrasts(run)
    yield from render(
        "codes.md",
        sparse=thin,
        sparse_drawn=code_figures.error_by_units(thin) if thin else None,
        compared_at=COMPARED_AT,
        contrasts=compared,
        contrasts_drawn=code_figures.accuracy_by_epoch(compared) if compared else None,
    )


def _drawn(run: Run, size: Group, winner: Result) -> Figure | Skipped:
    try:
        return autoencoder_figures.reconstructions(winner, read_examples(run, size))
    except RunError as error:
        return Skipped(f"reconstructions-{size}.png", str(error))


def _shown(
    run: Run,
    sizes: Iterable[Group],
    read: Callable[[Run, Group], Any],
    draw: Callable[[Mapping[Group, Any]], Figure | None],
    name: str,
) -> Shown:
    found: dict[Group, Any] = {}
    missing: dict[str, list[Group]] = defaultdict(list)
    for size in sizes:
        try:
            found[size] = read(run, size)
        except RunError as error:
            missing[str(error)].append(size)
    left_out = (
        Skipped(f"{name}.png, code {', '.join(map(str, listed))}", reason)
        for reason, listed in missing.items()
    )
    return Shown(found, draw(found), tuple(left_out))
