"""The report's section on `python -m probes.autopsy`: why forests and boosting failed on the codes
of an autoencoder, and why stronger L2 made a perceptron worse.

Every number of its text is computed from the rows of `autopsy.json`, and its sentences turn with
them. The file is written as the autopsy goes: what is not measured yet is not spoken of.
"""

from __future__ import annotations

from collections.abc import Iterator

from analysis.measure.autopsy import Autopsy
from analysis.page.autopsy.boosting import boosting_answer, boosting_drawn
from analysis.page.autopsy.causes import causes, causes_drawn
from analysis.page.autopsy.l2 import l2_answer, l2_drawn
from analysis.page.autopsy.table import measurements
from analysis.page.autopsy.trees import trees_answer
from analysis.page.blocks import Block, Heading, picture


def autopsy_blocks(autopsy: Autopsy) -> Iterator[Block]:
    """Both answers, their figures, and every measurement behind them."""
    if autopsy.info.get("finished") is not True:
        yield "**This autopsy is not finished: what follows is what it had measured.**"
    yield Heading("#### Why did forests and boosting fail?")
    found = causes(autopsy)
    yield from trees_answer(autopsy, found)
    yield from boosting_answer(autopsy)
    yield picture("causes", *causes_drawn(autopsy, found))
    yield picture("boosting", *boosting_drawn(autopsy))
    yield Heading("#### Why does stronger L2 make it worse?")
    yield l2_answer(autopsy)
    yield picture("l2", *l2_drawn(autopsy))
    yield Heading("#### Every measurement of the autopsy")
    yield (
        "Accuracy, mean ± standard deviation over the seeds; **bold** is the level that all other "
        "factors hold. The CSV has a line per seed, with training accuracy and time."
    )
    yield measurements(autopsy)
