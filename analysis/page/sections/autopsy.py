"""The report's part on `python -m probes.autopsy`: why forests and boosting failed on the codes of
an autoencoder, and why stronger L2 made a perceptron worse."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.figures import autopsy as figures
from analysis.measure.autopsy.boosting import boosting, iterations
from analysis.measure.autopsy.costs import LEAST, ONE_SEED
from analysis.measure.autopsy.forests import forests
from analysis.measure.autopsy.l2 import l2_answer, l2_lines
from analysis.page.blocks import Block
from analysis.page.rendering import render
from analysis.read.autopsy import Autopsy
from analysis.read.seed_report import PROBE_ACCURACY
from analysis.read.values import number, text
from analysis.tables import autopsy as tables


def autopsy_blocks(autopsy: Autopsy) -> Iterator[Block]:
    """Both answers, their figures, and every measurement behind them."""
    found, boosted, lines = forests(autopsy), boosting(autopsy), l2_lines(autopsy)
    yield from render(
        "autopsy.md",
        autopsy=autopsy,
        forests=found,
        boosting=boosted,
        l2=l2_answer(lines),
        causes=tables.cause_table(found) if found else None,
        causes_drawn=figures.causes(found),
        boosting_drawn=figures.formulations(boosted),
        l2_drawn=figures.l2_curves(lines),
        measurements=tables.measurements(autopsy),
        perceptron=PROBE_ACCURACY["mlp"],
        least=LEAST,
        one_seed=ONE_SEED,
        iterations=iterations,
        name=tables.probe_name,
        three=tables.three,
        one=tables.one,
    )


def autopsy_provenance(autopsy: Autopsy) -> Iterator[Block]:
    """What repeats it."""
    info, data = autopsy.info, autopsy.data
    yield from render(
        "autopsy-provenance.md",
        info=info,
        data=data,
        sha256=text(data.get("sha256"))[:12],
        commit=text(info.get("git_commit"))[:12],
        seconds=number(info.get("seconds")),
        command=" ".join(text(info.get("command")).split()) or "unknown",
    )
