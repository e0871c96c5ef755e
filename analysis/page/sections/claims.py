"""The report's part on the claims of the seed report's text."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.measure.claims import claims
from analysis.measure.claims.autoencoders import beside_linear, least_share
from analysis.measure.claims.claim import MISSING
from analysis.measure.noise import APART, retrained
from analysis.measure.presets import Presets
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.commands import resume_command
from analysis.read.runs import Run


def claim_blocks(run: Run) -> Iterator[Block]:
    """Each claim with its verdict, then what cannot be judged yet and the command that changes
    that."""
    found, ours = claims(run), Presets.of(run)
    left = [claim for claim in found if claim.why_unknown == MISSING]
    needs = dict.fromkeys(name for claim in left for name in claim.needs)
    outside = [name for name in needs if name in ours.left_out]
    untrained = [name for name in needs if not ours.failed(name) and name not in outside]
    least, resume = least_share(run), resume_command(run)
    yield from render(
        "claims.md",
        run=run,
        judged=[claim for claim in found if claim not in left],
        left=left,
        failed=[name for name in needs if ours.failed(name)],
        untrained=untrained,
        outside=outside,
        grow=f"{resume} --num-samples {ours.turn(untrained)}" if run.finished else resume,
        measure=f"{resume} --final-seeds 3" if run.finished else resume,
        linear=beside_linear(run) if run.command == "autoencoders" else None,
        retrained=len(retrained(run)),
        least=least,
        scatter=least / APART,
    )
