"""Whether ASHA was wise: what became of the control trials that it would have stopped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.figures import course as search_course_figures
from analysis.figures.course import MOST_GROUPS
from analysis.measure.rungs import Spared, share_at_most, spared
from analysis.page.blocks import Block, metric_words, picture
from analysis.page.course.words import PRINTED, formatter, group_column
from analysis.read.runs import Run, number
from analysis.tables.frames import Column, Table, escape, plural


def control_blocks(run: Run) -> Iterator[Block]:
    found = spared(run)
    if not found:
        yield _no_control(run)
        return
    yield _control_words(run, found)
    yield spared_table(run, found)
    groups = {one.group for one in found}
    some = f", the {MOST_GROUPS} groups with most of them" if len(groups) > MOST_GROUPS else ""
    yield picture(
        "control-trials",
        search_course_figures.control_curves(run, found),
        f"Control trials{some}: a cross marks where ASHA would have stopped one, dashes what it "
        "did then. One that ends better than the black line is a winner that stopping would have "
        "lost.",
    )


def spared_table(run: Run, found: Sequence[Spared]) -> Table:
    """A row per control trial that would have been stopped, the one that did best beside the others
    of its group first."""
    rows = [
        {
            run.group: one.group,
            "trial": one.trial,
            "state": one.state,
            "stopped_at": one.epoch,
            "then": one.then,
            "best": one.best,
            "best_of_rest": one.rest,
            "gain": one.gain,
            "won": one.won,
        }
        for one in sorted(found, key=lambda one: -_ranked_gain(run, one))
    ]
    names = ("trial", "state", "stopped_at", "then", "best", "best_of_rest", "gain", "won")
    words, show = metric_words(run.metric), formatter(run)
    return Table(
        "spared",
        pd.DataFrame(rows, columns=[run.group, *names]),
        (
            group_column(run),
            Column("trial", lambda row: escape(row["trial"]), numeric=False),
            Column("would have been stopped at epoch", lambda row: str(row["stopped_at"])),
            Column(f"{words} then", lambda row: show(row["then"])),
            Column("best in the end", lambda row: show(row["best"])),
            Column("best of the others", lambda row: show(row["best_of_rest"])),
            Column("would have won", lambda row: _verdict(row), numeric=False),
        ),
        PRINTED,
    )


def _no_control(run: Run) -> str:
    every = number(run.settings.get("control_every"))
    if every > 0:
        return (
            "The run has a control sample "
            f"(`--control-every {every:g}`), but ASHA would have stopped none of it so far, so it "
            "does not say."
        )
    return (
        "This run cannot say, for it has no control sample; "
        "`--control-every 4` lets every fourth round of trials run to the end and records where "
        "each would have been stopped."
    )


def _control_words(run: Run, found: Sequence[Spared]) -> str:
    judged = [one for one in found if one.judged]
    won = [one for one in judged if one.won]
    left = len(found) - len(judged)
    aside = (
        f" {plural(left, 'other')} did not come to an end that could be compared." if left else ""
    )
    if not judged:
        return f"No control trial can tell yet.{aside}"
    most = share_at_most(len(won), len(judged))
    wins = (
        "none ended better than the best of its group's other trials"
        if not won
        else f"{len(won)} ended better than the best of {'its' if len(won) == 1 else 'their'} "
        f"group's other trials, by {_gains(run, won)}"
    )
    nearest = "" if won else f" The nearest ended {_short_of(run, judged)}."
    return (
        f"Of {plural(len(judged), 'control trial')} that ASHA would "
        f"have stopped and that ran on, {wins}.{nearest}{aside} With so many trials the share of "
        f"stopped trials that would have won is at most {most:.0%} (exact binomial, 95 %, "
        "one-sided)."
    )


def _gains(run: Run, won: Sequence[Spared]) -> str:
    """How far winners that would have been stopped were ahead."""
    gains = [_relative(run, one) for one in won]
    low, high = min(gains), max(gains)
    unit = "points" if run.info.get("mode") == "max" else "%"
    return f"{low:.2g} {unit}" if len(won) == 1 else f"{low:.2g} to {high:.2g} {unit}"


def _short_of(run: Run, judged: Sequence[Spared]) -> str:
    ended = [-_relative(run, one) for one in judged if math.isfinite(one.gain)]
    if not ended:
        return "without a value"
    high = run.info.get("mode") == "max"
    return f"{min(ended):.2g} {'points below' if high else '% above'} it"


def _relative(run: Run, one: Spared) -> float:
    """The gain in hundredths: of the error of the others, or of accuracy."""
    if run.info.get("mode") == "max":
        return 100 * one.gain
    return 100 * one.gain / one.rest if one.rest > 0 else math.nan


def _ranked_gain(run: Run, one: Spared) -> float:
    gain = _relative(run, one)
    return gain if math.isfinite(gain) else -math.inf


def _verdict(row: Mapping[str, Any]) -> str:
    if row["won"]:
        return "yes"
    judged = row["state"] in ("complete", "diverged") and math.isfinite(row["best_of_rest"])
    return "no" if judged else "-"
