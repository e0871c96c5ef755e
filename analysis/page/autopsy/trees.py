"""Why forests fail on the codes of an autoencoder: what each cause costs them, and which causes
the report's author most probably met.

Every number of its text is computed from the rows, and its sentences turn with them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analysis.measure.autopsy import LEAST, ONE_SEED, TREES, Autopsy, Row, lost, size
from analysis.page import blocks
from analysis.page.autopsy.causes import CONTROLS, SEPARATE, Cause, cause_against
from analysis.page.autopsy.words import in_points, joined, probe_name, probe_names, three
from analysis.tables.frames import escape

_OF_THE_TASK = ("classes", "drawings per class")  # factors that are given, not chosen


def trees_answer(autopsy: Autopsy, found: Sequence[Cause]) -> Iterator[str]:
    """What forests reach, what each cause costs them and the controls, what the report met."""
    lead = autopsy.lead
    if not lead or not found:
        yield "The autopsy has not measured yet what makes a forest fail."
        return
    yield f"{_baseline_sentence(autopsy, lead)} {_how_to_read(found, lead)}"
    yield from blocks.bullets(_by_whom_it_hurts(autopsy, found))
    yield " ".join(_report_sentences(autopsy, found, lead))


# What each cause costs


def _baseline_sentence(autopsy: Autopsy, lead: str) -> str:
    rows = {name: autopsy.baseline("", name) for name in (*TREES, *CONTROLS)}
    reached = {name: row for name, row in rows.items() if row}
    controls = [reached[name].accuracy for name in CONTROLS if name in reached]
    verdict = "Forests do learn from codes"
    if controls and reached[lead].accuracy < max(controls) / 2:
        verdict = "Codes are hard for forests even where nothing is wrong"
    listed = [f"{probe_name(name)} {three(row.accuracy)}" for name, row in reached.items()]
    of = f" of {autopsy.classes:.0f} classes" if math.isfinite(autopsy.classes) else ""
    return f"{verdict}: at the baseline{of}, accuracy is {joined(listed)}."


def _beside(found: Sequence[Cause], lead: str) -> list[str]:
    """The probes whose losses stand in brackets."""
    others = [name for name in (*TREES, *CONTROLS) if name != lead]
    return [name for name in others if any(name in cause.costs for cause in found)]


def _how_to_read(found: Sequence[Cause], lead: str) -> str:
    beside = joined(probe_names(_beside(found, lead)))
    least = f"up to {LEAST:g} point, or two standard errors,"
    if any(cause.costs[lead].noise == ONE_SEED for cause in found):
        least = f"up to {LEAST:g} point, two standard errors, or {ONE_SEED:g} points of one seed"
    return (
        f"Points that {probe_name(lead)} lose when one thing alone is changed"
        f"{f' (in brackets {beside})' if beside else ''}; {least} is nothing:"
    )


def _by_whom_it_hurts(autopsy: Autopsy, found: Sequence[Cause]) -> Iterator[str]:
    lead = autopsy.lead
    titles = {
        "trees": "Hurts forests, the controls at most half as much",
        "more": "Hurts forests more than the controls",
        "all": "Hurts the controls too",
        "unknown": "Hurts forests, no control measured",
        "none": "Costs forests nothing that can be told from chance",
    }
    others = _beside(found, lead)
    for kind, title in titles.items():
        items = [_item(cause, lead, others) for cause in found if cause.kind(lead) == kind]
        if items or kind == "trees":
            yield f"**{title}:** {'; '.join(items) or 'nothing that was measured'}."
    if cut := [cause.name for cause in found if _CUT.search(_bad_row(autopsy, cause, lead).note)]:
        yield f"Forests cut short by their time, so that part is of fewer trees: {'; '.join(cut)}."
    if helps := _helps(autopsy, found, lead):
        yield f"**Helps forests:** {'; '.join(helps)}."


_CUT = re.compile(r"\btrees in\b|\btime limit\b")


def _bad_row(autopsy: Autopsy, cause: Cause, probe: str) -> Row:
    found = autopsy.at(cause.factor, cause.level, probe) or autopsy.baseline(cause.factor, probe)
    assert found is not None  # it has a cost
    return found


def _helps(autopsy: Autopsy, found: Sequence[Cause], lead: str) -> list[str]:
    """The best level of each factor that can be chosen, where it beats the baseline; not those
    that the list of causes has the other way round."""
    said = {cause.factor for cause in found if cause.instead}
    gains = []
    for factor in autopsy.factors:
        base, rows = autopsy.baseline(factor, lead), autopsy.levels(factor, lead)
        if factor in (*said, *_OF_THE_TASK, *SEPARATE) or base is None or not rows:
            continue
        best = max(rows, key=lambda row: (row.accuracy, row.level))
        if (gain := lost(best, base)).real:
            gains.append((-gain.points, f"{escape(factor)}: {escape(best.level)}"))
    return [f"{name} **{-points:.1f}**" for points, name in sorted(gains)]


def _item(cause: Cause, lead: str, others: Sequence[str]) -> str:
    beside = ", ".join(in_points(cause.costs.get(name)) for name in others)
    known = any(name in cause.costs for name in others)
    return (
        f"{escape(cause.name)} **{in_points(cause.costs[lead])}**{f' ({beside})' if known else ''}"
    )


# What the report met


def _named(pattern: str) -> Callable[[Sequence[str]], str | None]:
    return lambda levels: next((level for level in levels if re.search(pattern, level)), None)


def _most(levels: Sequence[str]) -> str | None:
    return max(levels, key=size, default=None)


def _fewest(levels: Sequence[str]) -> str | None:
    return min(levels, key=size, default=None)


_HABITS = (
    ("registration", _named(r"\b(not|no|raw|without|off)\b|\bun"), "drawings not registered"),
    ("autoencoder", _named("plain"), "an autoencoder trained for pixels alone"),
    ("classes", _most, "{level} classes"),
    ("views", _fewest, "one view of each drawing"),
    ("leaf size", _named(r"default|\b1\b"), "the default leaf size"),
    ("features per split", _named("default|sqrt"), "the default features per split"),
)
"""What the report did, or most probably did: a factor, which of its levels that is, and how to
say it. It is silent on registration, but says what it tried, and this is not in it."""


@dataclass(frozen=True)
class Habit:
    """What the report did, in words, and what it costs against the best that it could have done:
    as many classes as it has no one can choose, so these are set against the baseline."""

    words: str
    cause: Cause
    best: str  # the other level, where the words do not say it

    def said(self, lead: str) -> str:
        against = f" against {self.best}" if self.best else ""
        return f"{self.words} ({in_points(self.cause.costs[lead])}{against})"


def _report_sentences(autopsy: Autopsy, found: Sequence[Cause], lead: str) -> Iterator[str]:
    habits = _habits(autopsy, lead)
    met = [habit for habit in habits if habit.cause.costs[lead].real]
    yield "Nothing here proves what the report's author did."
    yield from _code_size_sentence(found, lead, met[0].cause.costs[lead].points if met else 0.0)
    if met:
        yield (
            f"Most probably it met, by what they cost {probe_name(lead)} here, "
            f"{joined([habit.said(lead) for habit in met])}; together they need not cost the sum."
        )
        yield _perceptron_sentence(met, lead)
    elif habits:
        yield "Nothing that it most probably did costs anything here: its failure stays open."
    if idle := [habit.said(lead) for habit in habits if habit not in met]:
        yield f"No cost can be told from chance of {joined(idle)}."
    yield from _drawings_sentence(autopsy, lead)
    yield from _mistakes_sentence(found, lead)


def _habits(autopsy: Autopsy, lead: str) -> list[Habit]:
    """The dearest for forests first."""
    found = []
    for factor, chosen, words in _HABITS:
        base = autopsy.baseline(factor, lead)
        rows = {row.level: row for row in [base, *autopsy.levels(factor, lead)] if row}
        level = chosen(list(rows)) if len(rows) > 1 else None
        if base is None or level is None:
            continue
        others = [row for name, row in rows.items() if name != level]
        best = max(others, key=lambda row: (row.accuracy, row.level))
        if factor in _OF_THE_TASK and level != base.level:
            best = base
        cause = cause_against(autopsy, factor, level, best.level)
        named = escape(best.level) if len(rows) > 2 and cause.costs[lead].real else ""
        found.append(Habit(words.format(level=escape(level)), cause, named))
    return sorted(found, key=lambda habit: -habit.cause.costs[lead].points)


def _perceptron_sentence(met: Sequence[Habit], lead: str) -> str:
    """What of it tells forests from the probe that worked for the report."""
    kinds = ("trees", "more")
    telling = [habit.words for habit in met if habit.cause.kind(lead) in kinds]
    if not telling:
        return "None hurts forests more than the controls, nor tells why its perceptron got 0.45."
    those = "All" if len(telling) == len(met) else f"Of these {joined(telling)}"
    return f"{those} hurt forests more than the controls, which fits its perceptron's 0.45."


def _code_size_sentence(found: Sequence[Cause], lead: str, dearest: float) -> Iterator[str]:
    cause = next((cause for cause in found if cause.factor == "code size"), None)
    if cause is None:
        return
    cost = cause.costs[lead]
    tried = "It normalised, tuned and tried codes of 1024, 128 and 32 in vain"
    if not cost.real:
        yield f"{tried}: size costs nothing here either."
    elif cost.points < dearest:
        yield f"{tried}: size is worth {in_points(cost)} points here, less than what it left alone."
    else:
        yield f"{tried}, though size is worth {in_points(cost)} points here."


def _drawings_sentence(autopsy: Autopsy, lead: str) -> Iterator[str]:
    """Whether a dozen drawings of a character are few: what the last of them still bring."""
    base = autopsy.baseline("drawings per class", lead)
    rows = autopsy.levels("drawings per class", lead)
    ranked = sorted([*rows, *([base] if base else [])], key=lambda row: size(row.level))
    if not rows or len(ranked) < 2:
        return
    fewer, most = ranked[-2:]
    gain = lost(most, fewer)
    step = f"from {escape(fewer.level)} to {escape(most.level)} drawings of each class"
    if gain.real:
        yield f"Its dozen drawings of each are few: {step} still brings {in_points(gain)} points."
    else:
        yield f"Its dozen drawings of each are enough: {step} brings nothing more."


def _mistakes_sentence(found: Sequence[Cause], lead: str) -> Iterator[str]:
    mistakes = [cause for cause in found if cause.factor in SEPARATE]
    if not mistakes or not mistakes[0].costs[lead].real:
        return
    worst = mistakes[0]
    cost = f"{escape(worst.level)}: {in_points(worst.costs[lead])}"
    if worst.kind(lead) in ("more", "all"):
        yield (
            f"A plain mistake ({cost}) would have stopped its perceptron too, unless it was made "
            "for the forests alone; the report shows no code."
        )
    else:
        yield f"A plain mistake ({cost}) cannot be excluded, for the report shows no code."
