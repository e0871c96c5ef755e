"""What each level of each factor costs the probes: the causes for which forests may fail."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.figures import autopsy as autopsy_figures
from analysis.figures.autopsy import Bars
from analysis.measure.autopsy import PROBES, Autopsy, Cost, Row, lost
from analysis.page.autopsy.words import probe_name

CONTROLS = ("lda", "1-nn")
SEPARATE = ("mistakes",)  # factors whose levels are a cause each


@dataclass(frozen=True)
class Cause:
    """A bad level of a factor, and what it costs each probe against a better one."""

    factor: str
    level: str
    instead: str  # the better level, where the baseline itself is the bad one; else empty
    costs: Mapping[str, Cost] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The level with its factor, for a mistake alone."""
        named = self.level if self.factor in SEPARATE else f"{self.factor}: {self.level}"
        return f"{named}, not {self.instead}" if self.instead else named

    def kind(self, lead: str) -> str:
        """Whom it hurts: "none"; "trees" where controls lose at most half as much, "more" where
        they lose less, else "all"; "unknown" where no control was measured."""
        cost = self.costs[lead]
        if not cost.real:
            return "none"
        controls = [self.costs[name].points for name in CONTROLS if name in self.costs]
        if not controls:
            return "unknown"
        if max(controls) <= cost.points / 2:
            return "trees"
        return "more" if Cost(cost.points - max(controls), cost.noise).real else "all"


def causes(autopsy: Autopsy) -> list[Cause]:
    """The worst level of each factor, and each mistake, the dearest for forests first."""
    lead = autopsy.lead
    found = [
        cause
        for factor in autopsy.factors
        if lead
        for level in _bad_levels(autopsy, factor, lead)
        if lead in (cause := _cause(autopsy, factor, level, lead)).costs
    ]
    return sorted(found, key=lambda cause: (-cause.costs[lead].points, cause.name))


def causes_drawn(autopsy: Autopsy, found: Sequence[Cause]) -> tuple[Any, str]:
    lead = autopsy.lead
    bars = [
        Bars(
            cause.name,
            [
                cause.costs[name].points if name in cause.costs else math.nan
                for name in (lead, "lda")
            ],
            strong=cause.kind(lead) in ("trees", "more"),
        )
        for cause in found
    ]
    return (
        autopsy_figures.causes(bars, (probe_name(lead), f"{probe_name('lda')} (control)")),
        "Points of accuracy that forests lose by one cause at a time, beside LDA.",
    )


def cause_against(autopsy: Autopsy, factor: str, level: str, better: str) -> Cause:
    """What a level costs every probe against a better one, either of which may be the baseline."""

    def row(level: str, probe: str) -> Row | None:
        base = autopsy.baseline(factor, probe)
        return base if base and base.level == level else autopsy.at(factor, level, probe)

    pairs = {probe: (row(better, probe), row(level, probe)) for probe in PROBES}
    bad = row(level, autopsy.lead)
    return Cause(factor, level, better if bad and bad.baseline else "", _costs(pairs))


def _bad_levels(autopsy: Autopsy, factor: str, probe: str) -> list[str | None]:
    """The levels to speak of; None for the baseline, where all others are better."""
    levels = autopsy.levels(factor, probe)
    if factor in SEPARATE or not levels:
        return [row.level for row in levels]
    base = autopsy.baseline(factor, probe)
    worst = min(levels, key=lambda row: (row.accuracy, row.level))
    best = max(levels, key=lambda row: (row.accuracy, row.level))
    better_exists = base is not None and lost(best, base).real
    worse_exists = base is not None and lost(base, worst).real
    return [None] if better_exists and not worse_exists else [worst.level]


def _cause(autopsy: Autopsy, factor: str, level: str | None, lead: str) -> Cause:
    """What a level costs every probe against the baseline; the baseline itself (None) against
    the level at which `lead` is best."""
    base = autopsy.baseline(factor, lead)
    if level is not None:
        return cause_against(autopsy, factor, level, base.level if base else "")
    best = max(autopsy.levels(factor, lead), key=lambda row: (row.accuracy, row.level))
    return cause_against(autopsy, factor, base.level if base else "", best.level)


def _costs(pairs: Mapping[str, tuple[Row | None, Row | None]]) -> dict[str, Cost]:
    return {probe: lost(good, bad) for probe, (good, bad) in pairs.items() if good and bad}
