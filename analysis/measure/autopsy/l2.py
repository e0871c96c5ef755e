"""Why stronger L2 makes a perceptron on codes worse: whether the penalty under-fits, whether
decoupling it from Adam's gradient cures that, and what batch norm does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.measure.autopsy.costs import LEAST, Cost, lost
from analysis.read.autopsy import L2 as QUESTION
from analysis.read.autopsy import Autopsy, Measurement

COUPLED, DECOUPLED = "coupled", "decoupled"
SEED_REPORT_L2 = (1e-4, 5e-5)  # the best of the seed report, in this order

Line = tuple[str, bool]
"""Kind of L2, and whether with batch norm."""


@dataclass(frozen=True)
class Span:
    """Another kind of L2 at the same two values as coupled L2: its best and its strongest."""

    weak: Measurement
    strong: Measurement
    top: Measurement  # the best of all values
    coupled: Cost

    @property
    def cost(self) -> Cost:
        return lost(self.weak, self.strong)

    @property
    def cures(self) -> bool:
        """The verdict: at most a quarter of the cost of coupled L2 is left."""
        return self.cost.points <= max(LEAST, self.coupled.points / 4)


@dataclass(frozen=True)
class L2Answer:
    """Coupled L2 from its best value to its strongest; with batch norm only where it was not
    measured without."""

    batch_norm: bool
    best: Measurement
    strong: Measurement
    first_worse: Measurement | None  # the weakest L2 that costs something
    decoupled: Span | None
    normed: Span | None

    @property
    def loss(self) -> Cost:
        return lost(self.best, self.strong)

    @property
    def trained(self) -> bool:
        """Whether training accuracy is known at both ends."""
        return math.isfinite(self.best.train + self.strong.train)

    @property
    def underfits(self) -> bool:
        """Training accuracy falls at least half as far as validation accuracy."""
        return 100 * (self.best.train - self.strong.train) >= self.loss.points / 2

    @property
    def above_seed_report(self) -> bool:
        """Whether the fall begins at a stronger L2 than the best of the seed report."""
        return self.first_worse is not None and self.first_worse.l2 > max(SEED_REPORT_L2)


def l2_lines(autopsy: Autopsy) -> dict[Line, list[Measurement]]:
    """Rows by kind of L2 and batch norm, the weakest L2 first; lines of two values or more."""
    lines: dict[Line, list[Measurement]] = {}
    for row in sorted(autopsy.measured(QUESTION), key=lambda row: row.l2):
        if math.isfinite(row.l2) and row.l2 >= 0 and row.l2_kind:
            lines.setdefault((row.l2_kind, row.batch_norm), []).append(row)
    return {key: lines[key] for key in sorted(lines) if len(lines[key]) > 1}


def l2_answer(lines: Mapping[Line, Sequence[Measurement]]) -> L2Answer | None:
    """The answer; None where coupled L2 is not measured."""
    norm = next((norm for norm in (False, True) if (COUPLED, norm) in lines), None)
    if norm is None:
        return None
    coupled = lines[COUPLED, norm]
    best, strong = _best(coupled), coupled[-1]
    worse = (row for row in coupled if row.l2 > best.l2 and lost(best, row).real)
    decoupled, normed = lines.get((DECOUPLED, norm), ()), lines.get((COUPLED, True), ())
    return L2Answer(
        batch_norm=norm,
        best=best,
        strong=strong,
        first_worse=next(worse, None),
        decoupled=_span(decoupled, best, strong),
        normed=None if norm else _span(normed, best, strong),
    )


def _best(rows: Sequence[Measurement]) -> Measurement:
    return max(rows, key=lambda row: (row.accuracy, -row.l2))


def _span(rows: Sequence[Measurement], best: Measurement, strong: Measurement) -> Span | None:
    """None where one of the two values is not measured."""
    known = {row.l2: row for row in rows}
    if best.l2 not in known or strong.l2 not in known:
        return None
    return Span(known[best.l2], known[strong.l2], _best(rows), lost(best, strong))
