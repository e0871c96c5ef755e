"""Why boosting fails on the codes of an autoencoder where forests do not, and which formulation of
the question changes that."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from analysis.figures import autopsy as autopsy_figures
from analysis.figures.autopsy import Bars
from analysis.measure.autopsy import Autopsy, Row, lost, size
from analysis.page import blocks
from analysis.page.autopsy.words import in_points, probe_name, shown, three
from analysis.tables.frames import escape, plural

ALL_AT_ONCE = "all classes at once"


def boosting_answer(autopsy: Autopsy) -> Iterator[str]:
    """Why boosting fails where forests do not, and which formulation changes that."""
    ranked = _formulations(autopsy)
    direct = next((row for row in ranked if row.level == ALL_AT_ONCE), None)
    if direct is None:
        return
    others = [row for row in ranked if row is not direct]
    yield " ".join(
        [
            _direct_sentence(autopsy, direct),
            *_few_classes_sentence(autopsy),
            *_others_sentence(direct, others),
            *_settings_sentence(autopsy),
        ]
    )


def boosting_drawn(autopsy: Autopsy) -> tuple[Any, str]:
    rows = _formulations(autopsy)
    forest = autopsy.forest_on_all
    figure = autopsy_figures.formulations(
        [Bars(row.level, [row.accuracy], row.std, _duration(row)) for row in rows],
        (f"{probe_name(forest.probe)}, {three(forest.accuracy)}", forest.accuracy)
        if forest
        else None,
    )
    return (
        figure,
        "Accuracy of CatBoost by how the question is put to it, with the time that it took.",
    )


def _formulations(autopsy: Autopsy) -> list[Row]:
    """Those that were measured, the best first."""
    rows = [row for row in autopsy.of("boosting") if math.isfinite(row.accuracy)]
    return sorted(rows, key=lambda row: (-row.accuracy, row.level))


def _direct_sentence(autopsy: Autopsy, direct: Row) -> str:
    forest, classes = autopsy.forest_on_all, autopsy.all_classes
    reached = f"asked for all classes at once, CatBoost reaches {shown(direct)}{_in_time(direct)}"
    if forest and direct.accuracy >= 0.9 * forest.accuracy:
        beside = f"{probe_name(forest.probe)} {three(forest.accuracy)}"
        return f"Boosting does not fail here: {reached}, {beside}."
    if not math.isfinite(classes):
        return f"Boosting fails for a reason of its own: {reached}."
    return (
        f"Boosting fails for a reason of its own: of {classes:.0f} classes each gets a gradient of "
        f"about 1/{classes:.0f} at first, and every iteration fits leaf values for all "
        f"{classes:.0f}; {reached}."
    )


def _few_classes_sentence(autopsy: Autopsy) -> Iterator[str]:
    base = autopsy.baseline("classes", "catboost")
    rows = autopsy.levels("classes", "catboost") + ([base] if base else [])
    ranked = sorted(rows, key=lambda row: size(row.level))
    if len(ranked) < 2:
        return
    few, many = ranked[0], ranked[-1]
    yield (
        f"With {escape(few.level)} classes it reaches {three(few.accuracy)}{_in_time(few)}, with "
        f"{escape(many.level)} {three(many.accuracy)}{_in_time(many)}."
    )


def _others_sentence(direct: Row, others: Sequence[Row]) -> Iterator[str]:
    better = [row for row in others if lost(row, direct).real]
    if others and not better:
        best = others[0]
        yield (
            "No other formulation does better in the same time; the best is "
            f"{escape(best.level)}, {shown(best)}."
        )
    if better:
        best = better[0]
        longer = best.seconds > 1.5 * direct.seconds
        rest = [f"; {escape(row.level)} {three(row.accuracy)}" for row in better[1:]]
        yield (
            f"{'With more time' if longer else 'In the same time'} {escape(best.level)} reaches "
            f"{shown(best)}{_in_time(best)}{''.join(rest)}."
        )
        if idle := [f"{escape(r.level)} ({three(r.accuracy)})" for r in others if r not in better]:
            yield f"No help: {'; '.join(idle)}."


def _settings_sentence(autopsy: Autopsy) -> Iterator[str]:
    base = autopsy.baseline("CatBoost", "catboost")
    rows = autopsy.levels("CatBoost", "catboost")
    if base is None or not rows:
        return
    best = max(rows, key=lambda row: (row.accuracy, row.level))
    gain = lost(best, base)
    if gain.real:
        yield f"Of its own settings {escape(best.level)} brings most, {in_points(gain)} points."
    else:
        yield "No setting of its own that was tried brings anything."


def _in_time(row: Row) -> str:
    """How long a fit took, and how many iterations of boosting that was where its note says so."""
    took = f" in {_duration(row)}" if _duration(row) else ""
    done = re.match(r"(\d+) iterations? in\b", row.note)
    return took + (f" ({plural(int(done[1]), 'iteration')})" if done else "")


def _duration(row: Row) -> str:
    return blocks.duration(row.seconds) if math.isfinite(row.seconds) else ""
