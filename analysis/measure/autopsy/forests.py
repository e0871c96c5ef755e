"""Why forests fail on the codes of an autoencoder: what each cause costs them and the controls, and
which causes the seed report's author most probably met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.measure.autopsy.costs import Cost, baseline, factors, levels, lost, size
from analysis.measure.latent_probes.probes import FORESTS as FOREST_PROBES
from analysis.read.autopsy import Autopsy, Measurement

FORESTS = FOREST_PROBES[::-1]  # the text is about the first of them that is measured
CONTROLS = ("lda", "1-nn")
MISTAKES = "mistakes"  # the factor whose levels are a cause each
CLASSES, DRAWINGS, CODE_SIZE = "classes", "drawings per class", "code size"
GIVEN = (CLASSES, DRAWINGS)  # factors that come with the data: nobody can choose them

# The verdicts: which probes a cause hurts.
MOSTLY_FORESTS = "mostly forests"  # the controls lose at most half as much
FORESTS_MORE = "forests more"  # the controls lose less
ALL_PROBES = "all probes"
NO_CONTROL = "forests, no control measured"
NO_FOREST = "no forest"  # what forests lose may be chance
HELPS = "no forest, forests gain"

HABITS = {
    "registration": "not centred",
    "autoencoder": "plain",
    CLASSES: "",  # as many as the data set has
    "views": "1",
    "leaf size": "1",
    "features per split": "sqrt",
}
"""The level of each factor that the seed report used, or most probably used. It does not mention
registration; it lists what it tried, and registration is not in the list."""


@dataclass(frozen=True)
class Cause:
    """A level of a factor, and the points that it costs each probe against the level `instead`."""

    factor: str
    level: str
    instead: str
    costs: Mapping[str, Cost]
    forest: str  # the kind of forest that `hurts` is about

    @property
    def name(self) -> str:
        """The level, with its factor unless it is a mistake."""
        return self.level if self.factor == MISTAKES else f"{self.factor}: {self.level}"

    @property
    def cost(self) -> Cost:
        return self.costs[self.forest]

    def points(self, probe: str) -> float:
        return self.costs[probe].points if probe in self.costs else math.nan

    @property
    def hurts(self) -> str:
        """The verdict: which probes it hurts."""
        if not self.cost.real:
            return HELPS if self.cost.gain.real else NO_FOREST
        controls = [self.costs[name].points for name in CONTROLS if name in self.costs]
        if not controls:
            return NO_CONTROL
        if max(controls) <= self.cost.points / 2:
            return MOSTLY_FORESTS
        more = Cost(self.cost.points - max(controls), self.cost.noise)
        return FORESTS_MORE if more.real else ALL_PROBES

    @property
    def costs_controls(self) -> bool:
        """Whether the controls lose more than half as much: it would show in any probe."""
        return self.hurts in (FORESTS_MORE, ALL_PROBES)

    @property
    def tells_forests_apart(self) -> bool:
        return self.hurts in (MOSTLY_FORESTS, FORESTS_MORE)


@dataclass(frozen=True)
class Drawings:
    """What the last step to more drawings of each class still brings."""

    fewer: str
    most: str
    gain: Cost


@dataclass(frozen=True)
class Forests:
    """The answer. `causes` and `habits` begin with what costs forests most."""

    forest: str  # the kind of forest that it is about
    classes: float  # of the baseline
    baseline: Mapping[str, Measurement]  # of forests and controls
    causes: tuple[Cause, ...]
    habits: tuple[Cause, ...]  # of the seed report, against the best level it could have used
    drawings: Drawings | None

    @property
    def learn(self) -> bool:
        """Whether forests reach at least half of a control's accuracy at the baseline."""
        controls = [self.baseline[name].accuracy for name in CONTROLS if name in self.baseline]
        return not controls or self.baseline[self.forest].accuracy >= max(controls) / 2

    @property
    def met(self) -> list[Cause]:
        """The habits that cost forests something here."""
        return [habit for habit in self.habits if habit.cost.real]

    @property
    def code_size(self) -> Cause | None:
        return next((cause for cause in self.causes if cause.factor == CODE_SIZE), None)

    @property
    def mistake(self) -> Cause | None:
        """The costliest mistake, if any costs something."""
        found = (cause for cause in self.causes if cause.factor == MISTAKES and cause.cost.real)
        return next(found, None)


def forests(autopsy: Autopsy) -> Forests | None:
    """The answer; None if no forest has a baseline and another level to compare with it."""
    kind = next((probe for probe in FORESTS if baseline(autopsy, "", probe)), "")
    causes = _costliest_first(
        cause
        for factor in factors(autopsy)
        if kind
        for level in _levels_to_list(autopsy, factor, kind)
        if (cause := _against(autopsy, factor, level.level, "", kind))
    )
    if not causes:
        return None
    bases = {probe: baseline(autopsy, "", probe) for probe in (*FORESTS, *CONTROLS)}
    return Forests(
        forest=kind,
        classes=autopsy.classes,
        baseline={probe: row for probe, row in bases.items() if row},
        causes=causes,
        habits=_habits(autopsy, kind),
        drawings=_drawings(autopsy, kind),
    )


def forest_on_all_classes(autopsy: Autopsy) -> Measurement | None:
    """What a forest reaches on all classes of the data set, on which boosting is measured."""
    for probe in FORESTS:
        base = baseline(autopsy, CLASSES, probe)
        rows = {size(row.level): row for row in levels(autopsy, CLASSES, probe)}
        if base:
            same = base if autopsy.classes == autopsy.all_classes else None
            return rows.get(autopsy.all_classes, same)
    return None


def _levels_to_list(autopsy: Autopsy, factor: str, kind: str) -> Iterator[Measurement]:
    """The worst level of a factor; the best level too, where it is better than the baseline and a
    user can choose it. Every level of the mistakes."""
    base, rows = baseline(autopsy, factor, kind), levels(autopsy, factor, kind)
    if base is None or not rows:
        return
    if factor == MISTAKES:
        yield from rows
        return
    ranked = sorted(rows, key=lambda row: (row.accuracy, row.level))
    worst, best = ranked[0], ranked[-1]
    helps = lost(best, base).real and factor not in GIVEN
    if not helps or lost(base, worst).real:
        yield worst
    if helps:
        yield best


def _against(autopsy: Autopsy, factor: str, level: str, better: str, kind: str) -> Cause | None:
    """What a level costs every probe against a better one (empty: the baseline); None where this
    kind of forest is not measured at both."""

    def at(level: str, probe: str) -> Measurement | None:
        base = baseline(autopsy, factor, probe)
        if base and level in ("", base.level):
            return base
        return next((row for row in levels(autopsy, factor, probe) if row.level == level), None)

    probes = dict.fromkeys(row.probe for row in autopsy.rows)
    pairs = {probe: (at(better, probe), at(level, probe)) for probe in probes}
    costs = {probe: lost(good, bad) for probe, (good, bad) in pairs.items() if good and bad}
    return Cause(factor, level, pairs[kind][0].level, costs, kind) if kind in costs else None


def _habits(autopsy: Autopsy, kind: str) -> tuple[Cause, ...]:
    """Each habit is compared with the best other level. The number of classes cannot be chosen, so
    it is compared with the baseline."""
    found = []
    for factor, level in HABITS.items():
        base = baseline(autopsy, factor, kind)
        rows = {row.level: row for row in [base, *levels(autopsy, factor, kind)] if row}
        level = level or f"{autopsy.all_classes:.0f}"
        others = {name: row for name, row in rows.items() if name != level}
        if base is None or level not in rows or not others:
            continue
        best = max(others, key=lambda name: (others[name].accuracy, name))
        if factor in GIVEN and base.level != level:
            best = base.level
        found.append(_against(autopsy, factor, level, best, kind))
    return _costliest_first(cause for cause in found if cause)


def _drawings(autopsy: Autopsy, kind: str) -> Drawings | None:
    base, rows = baseline(autopsy, DRAWINGS, kind), levels(autopsy, DRAWINGS, kind)
    if base is None or not rows:
        return None
    fewer, most = sorted([*rows, base], key=lambda row: size(row.level))[-2:]
    return Drawings(fewer.level, most.level, lost(most, fewer))


def _costliest_first(causes: Iterator[Cause]) -> tuple[Cause, ...]:
    return tuple(sorted(causes, key=lambda cause: (-cause.cost.points, cause.name)))
