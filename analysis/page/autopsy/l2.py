"""Why stronger L2 makes a perceptron on codes worse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from analysis.figures import autopsy as autopsy_figures
from analysis.figures.autopsy import Curve, strength
from analysis.measure.autopsy import LEAST, Autopsy, Cost, Row, lost
from analysis.page.autopsy.words import in_points, three

Line = tuple[str, bool]
"""Kind of L2, and whether with batch norm."""


def l2_answer(autopsy: Autopsy) -> str:
    """Whether the penalty under-fits, whether decoupling it cures that, what batch norm does."""
    lines = _l2_lines(autopsy)
    norm = next((norm for norm in (False, True) if ("coupled", norm) in lines), None)
    if norm is None:
        return "The autopsy has not measured yet what L2 does to the perceptron."
    coupled = lines["coupled", norm]
    best = max(coupled, key=lambda row: (row.accuracy, -row.l2))
    strong = coupled[-1]
    loss = lost(best, strong)
    if not loss.real:
        return (
            f"It does not here: with coupled L2 of {strength(strong.l2)}{_norm_words(norm)}, the "
            f"strongest measured, validation accuracy is {three(strong.accuracy)}, with the best, "
            f"{strength(best.l2)}, it is {three(best.accuracy)}."
        )
    begin = next(row for row in coupled if row.l2 > best.l2 and lost(best, row).real)
    first = f", first at {strength(begin.l2)} ({three(begin.accuracy)})" if begin != strong else ""
    return " ".join(
        [
            f"With coupled L2, a penalty inside Adam's gradient{_norm_words(norm)}, validation "
            f"accuracy falls from {three(best.accuracy)} at {strength(best.l2)} to "
            f"{three(strong.accuracy)} at {strength(strong.l2)}{first}.",
            *_underfitting_sentences(best, strong, loss),
            *_decoupled_sentences(lines.get(("decoupled", norm), []), best, strong, loss),
            *([] if norm else _norm_sentence(lines.get(("coupled", True), []), best, strong)),
            *(_sweep_sentence(begin) if _underfits(best, strong, loss) else []),
        ]
    )


def l2_drawn(autopsy: Autopsy) -> tuple[Any, str]:
    return (
        autopsy_figures.l2_curves(_curves(autopsy)),
        "Accuracy of the perceptron against L2: of validation drawings, and, dashed, of those it "
        "was trained on.",
    )


def _l2_lines(autopsy: Autopsy) -> dict[Line, list[Row]]:
    """Measured rows by kind of L2 and batch norm, the weakest L2 first; two at the least."""
    lines: dict[Line, list[Row]] = {}
    for row in sorted(autopsy.of("l2"), key=lambda row: row.l2):
        if math.isfinite(row.l2) and row.l2 >= 0 and math.isfinite(row.accuracy) and row.l2_kind:
            lines.setdefault((row.l2_kind, row.batch_norm), []).append(row)
    return {key: lines[key] for key in sorted(lines) if len(lines[key]) > 1}


def _curves(autopsy: Autopsy) -> list[Curve]:
    return [
        Curve(
            kind,
            norm,
            [row.l2 for row in rows],
            [row.accuracy for row in rows],
            [row.std for row in rows],
            [row.train for row in rows],
        )
        for (kind, norm), rows in _l2_lines(autopsy).items()
    ]


def _underfits(best: Row, strong: Row, loss: Cost) -> bool:
    """Training accuracy falls at least half as far."""
    return 100 * (best.train - strong.train) >= loss.points / 2


def _underfitting_sentences(best: Row, strong: Row, loss: Cost) -> Iterator[str]:
    if not (math.isfinite(best.train) and math.isfinite(strong.train)):
        return
    trained = f"from {three(best.train)} to {three(strong.train)}"
    if _underfits(best, strong, loss):
        yield (
            f"Training accuracy falls with it, {trained}: the network does not over-fit, "
            "it under-fits."
        )
        yield (
            "Adam divides the penalty by the running scale of the gradient like everything else, "
            "so that it acts on weights with small gradients far more than its value says."
        )
    else:
        yield f"Training accuracy goes {trained}, so under-fitting does not explain it."


def _decoupled_sentences(rows: Sequence[Row], best: Row, strong: Row, loss: Cost) -> Iterator[str]:
    """Between the same two values of L2."""
    known = {row.l2: row for row in rows}
    if best.l2 not in known or strong.l2 not in known:
        return
    first, last = known[best.l2], known[strong.l2]
    reached = f"validation accuracy goes from {three(first.accuracy)} to {three(last.accuracy)}"
    trained = ""
    if math.isfinite(first.train) and math.isfinite(last.train):
        trained = f", training accuracy from {three(first.train)} to {three(last.train)}"
    verdict = "it falls as well"
    if abs(lost(first, last).points) <= max(LEAST, loss.points / 4):
        verdict = "it hardly changes anything"
    elif lost(first, last).points < 0:
        verdict = "it helps"
    elif lost(first, last).points < loss.points / 2:
        verdict = "it costs less"
    yield (
        f"Decoupled from the gradient, as weight decay of the same values, {verdict}: "
        f"{reached}{trained}."
    )


def _norm_sentence(rows: Sequence[Row], best: Row, strong: Row) -> Iterator[str]:
    """Whether batch norm changes what coupled L2 of the same values costs."""
    known = {row.l2: row for row in rows}
    if best.l2 not in known or strong.l2 not in known:
        return
    first, last = known[best.l2], known[strong.l2]
    top = max(rows, key=lambda row: (row.accuracy, -row.l2))
    with_norm, without = lost(first, last), lost(best, strong)
    costs = (
        f"{in_points(with_norm)} points between the same values, without it {in_points(without)}"
    )
    change = with_norm.points - without.points
    if not with_norm.real:
        yield f"Batch norm cures it: with it coupled L2 costs {costs}."
    elif best.l2 < top.l2 < strong.l2 and lost(top, first).real:
        yield (
            f"With batch norm it even helps at first, to {three(top.accuracy)} at "
            f"{strength(top.l2)}, but costs {costs}."
        )
    elif abs(change) > max(LEAST, without.points / 4):
        worse = "makes it worse" if change > 0 else "softens it"
        yield f"Batch norm {worse}: with it coupled L2 costs {costs}."
    else:
        yield f"Batch norm does not change that: with it coupled L2 costs {costs}."


def _sweep_sentence(begin: Row) -> Iterator[str]:
    """What that says of the report's sweep, whose best were 1e-4 and then 5e-5."""
    where = "below where the fall begins here" if begin.l2 > 1e-4 else "within the fall here"
    yield (
        "`weight_decay` of PyTorch's `Adam` is coupled; if that is what the report turned up, this "
        f"is most probably what it saw (its best, 1e-4 and then 5e-5, lie {where})."
    )


def _norm_words(norm: bool) -> str:
    return " and batch norm" if norm else ""
