"""How a search went, from its trials and epochs alone: what was found when, who was stopped at
which rung, whether that was wise, and what to be wary of in its winners."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures import course as search_course_figures
from analysis.figures.course import shown_groups
from analysis.measure.rungs import (
    FEWEST_COMMON,
    SPARED,
    STOPPED,
    Correlation,
    Rung,
    entries,
    milestones,
    rank_correlations,
    rungs,
    timed_out,
)
from analysis.page.blocks import Block, Heading, metric_words, picture
from analysis.page.course.best import best_so_far_blocks
from analysis.page.course.control import control_blocks
from analysis.page.course.warnings import warning_blocks
from analysis.page.course.words import PRINTED, enumerated, group_column, was
from analysis.read.runs import Group, Result, Run, Skipped, column, number
from analysis.tables import frames as tables
from analysis.tables.frames import Column, Table, WideTable, count, escape, plural

_STRONG, _WEAK = 0.8, 0.5  # rank correlations
_FEW = 20  # trials of which a rank correlation of 0.5 may still be chance

_AFTERWARDS = (
    ("timed_out", "then stopped for time"),
    ("lost", "then diverged or failed"),
)
"""What became of those that passed a rung, before the next one."""


def course_blocks(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    """How the search of a run went, and what to be wary of; `chosen` are its winners."""
    yield Heading("#### How trials ended")
    yield from _states(run)
    if not run.metric:
        yield Skipped("course of the search", "run.json does not say what was searched for")
        return
    yield Heading("#### Best so far")
    yield from best_so_far_blocks(run)
    yield Heading("#### Stopped early: ASHA's rungs")
    yield from _rungs(run)
    yield from _correlations(run)
    yield Heading("#### Would a pruned trial have won?")
    yield from control_blocks(run)
    yield Heading("#### Warnings")
    yield from warning_blocks(run, chosen)


def rung_table(run: Run, found: Sequence[Rung]) -> Table:
    """A row per group and rung; what none of the rungs had has no column in print."""
    rows = [
        {
            run.group: rung.group,
            "rung": rung.epoch,
            "entered": rung.entered,
            "passed": rung.passed,
            "stopped": rung.stopped,
            "spared": rung.spared,
            "timed_out": rung.timed_out,
            "lost": rung.lost,
            "share_passed": rung.passed / rung.entered if rung.entered else math.nan,
        }
        for rung in found
    ]
    later = [
        (name, words) for name, words in _AFTERWARDS if any(getattr(rung, name) for rung in found)
    ]
    names = ("rung", "entered", "passed", "stopped", "spared", "timed_out", "lost", "share_passed")
    return Table(
        "rungs",
        pd.DataFrame(rows, columns=[run.group, *names]),
        (
            group_column(run),
            Column("rung at epoch", lambda row: str(row["rung"])),
            Column("entered", lambda row: str(row["entered"])),
            Column("passed on", lambda row: str(row["passed"])),
            Column("stopped", lambda row: str(row["stopped"])),
            Column("control, would stop", lambda row: str(row["spared"])),
            Column("share that passed", lambda row: _percent(row["share_passed"])),
            *(Column(words, lambda row, name=name: str(row[name])) for name, words in later),
        ),
        PRINTED,
    )


def correlation_table(run: Run, found: Sequence[Correlation]) -> WideTable:
    """A row per group; a column per pair of epochs, or per epoch against the last if there are more
    pairs than a page is wide."""
    rows = [
        {
            run.group: one.group,
            "pair": f"{one.early} to {one.late}",
            "early": one.early,
            "late": one.late,
            "trials": one.trials,
            "spearman": one.rho,
        }
        for one in found
    ]
    pairs = sorted({(one.early, one.late) for one in found})
    if len(pairs) > 6:
        pairs = [pair for pair in pairs if pair[1] == max(late for _, late in pairs)]
    names = [f"{early} to {late}" for early, late in pairs]
    return WideTable(
        "rank-correlations",
        pd.DataFrame(rows, columns=[run.group, "pair", "early", "late", "trials", "spearman"]),
        (
            group_column(run),
            *(
                Column(f"epoch {name}", lambda row, name=name: _rho(row["cells"].get(name)))
                for name in names
            ),
        ),
        PRINTED,
        down=run.group,
        across="pair",
    )


def _states(run: Run) -> Iterator[Block]:
    yield tables.states(run)
    failures = column(run.trials, "failures").fillna(0)
    again = (failures > (run.trials["state"] == "error").astype(int)).sum()
    said = [
        f"{plural(int(again), 'trial')} {was(again)} started again after a failure."
        if again
        else "No trial had to be started again after a failure."
    ]
    late = timed_out(run)
    if late.any():
        said.append(
            f"{plural(int(late.sum()), 'trial')} of the pruned {was(late.sum())} stopped for time "
            f"and not for rank (first: {_reason(run.trials.loc[late, 'reason'].iloc[0])})."
        )
    if "reason" in run.trials:
        said += _errors(run.trials.loc[run.trials["state"] == "error", "reason"].astype(str))
    yield " ".join(said)


def _errors(reasons: pd.Series) -> Iterator[str]:
    """The reasons of failed trials, the most frequent first, three at most."""
    counted = sorted(
        reasons[reasons != ""].value_counts().items(), key=lambda one: (-one[1], one[0])
    )
    if counted:
        told = "; ".join(f"{_reason(reason)} ({times})" for reason, times in counted[:3])
        more = f"; and {len(counted) - 3} other reasons" if len(counted) > 3 else ""
        yield f"Errors, with their number: {told}{more}."


def _rungs(run: Run) -> Iterator[Block]:
    if not milestones(run):
        yield _no_rungs(run)
        return
    found = rungs(run)
    if not any(rung.entered for rung in found):
        yield "No sampled trial has entered one of ASHA's rungs yet."
        return
    yield _rung_words(run, found)
    yield rung_table(run, found)
    by_group: dict[Group, list[Rung]] = {}
    for rung in found:
        by_group.setdefault(rung.group, []).append(rung)
    kept = shown_groups(
        run, [g for g, each in by_group.items() if any(one.entered for one in each)]
    )
    some = (
        f" The {len(kept)} of {len(by_group)} with most trials."
        if len(by_group) > len(kept)
        else ""
    )
    yield picture(
        "rungs",
        search_course_figures.rung_bars(run, {group: by_group[group] for group in kept}),
        "ASHA's rungs: a bar is as high as the number of sampled trials that entered, its parts "
        "say what became of them, and the last bar is who reached the end, control trials among "
        f"them.{some}",
    )


def _no_rungs(run: Run) -> str:
    grace, last = (number(run.settings.get(f"{key}_epochs")) for key in ("grace", "max"))
    if grace >= last:
        return (
            f"ASHA had no rung in this search: with {count(grace)} epochs of grace and "
            f"{count(last)} in all, every trial may run to its end."
        )
    return (
        "ASHA's rungs are not known: run.json does not say the epochs of grace and of the budget."
    )


def _rung_words(run: Run, found: Sequence[Rung]) -> str:
    entered, passed = sum(r.entered for r in found), sum(r.passed for r in found)
    at = enumerated([str(epoch) for epoch in milestones(run)])
    last = number(run.settings.get("max_epochs"))
    here = entries(run)
    stopped = here[here["outcome"] == STOPPED]
    saved = sum(last - rung for rung in stopped["rung"])
    control = int((here["outcome"] == SPARED).sum())
    spared_words = (
        f"; {plural(control, 'control trial')} would have been and ran on" if control else ""
    )
    samples = run.trials["preset"].isin(["sampled", ""]).sum()
    outside = int(samples - here["id"].nunique())
    none = (
        f" {plural(outside, 'sampled trial')} entered no rung: ended or still before the first, or "
        "without a value there."
        if outside
        else ""
    )
    return (
        f"ASHA decides at epoch {at} of {count(last)} (its rungs), by the value at that epoch and "
        "within a group: a trial goes on if it is no worse than the value that parts the best "
        "third of those before it from the rest. The first at a rung always passes, and nobody is "
        "called back when better ones come, so more than a third may pass. Presets stay outside of "
        f"the rungs. Here {passed} of {plural(entered, 'entry')} passed ({passed / entered:.0%}); "
        f"{plural(len(stopped), 'trial')} {was(len(stopped))} stopped, which saved up to "
        f"{plural(int(saved), 'epoch')}{spared_words}.{none}"
    ).replace("entrys", "entries")


def _correlations(run: Run) -> Iterator[Block]:
    found = rank_correlations(run)
    if not found:
        return
    table = correlation_table(run, found)
    if not any(math.isfinite(one.rho) for one in found):
        yield (
            "Does an early rank foretell the last one? It cannot be said: in no group did "
            f"{FEWEST_COMMON} trials reach two rungs with values that differ."
        )
        return
    yield (
        f"Does an early rank foretell the last one? Spearman's rank correlation of the "
        f"{metric_words(run.metric)} at two epochs, over the trials that reached both, presets and "
        f"control trials among them, with their number ('-' below {FEWEST_COMMON}). 1 is the same "
        "order, 0 none. The numbers are small, and those that reach a later rung are mostly "
        "survivors of the earlier, so this is not the correlation over all trials."
    )
    yield table
    pairs = len({(one.early, one.late) for one in found})
    more = "" if pairs <= 6 else " The CSV has every pair of rungs."
    yield _correlation_words(run, found) + more


def _correlation_words(run: Run, found: Sequence[Correlation]) -> str:
    """What the numbers mean for stopping at the first rung."""
    first, last = min(one.early for one in found), max(one.late for one in found)
    known = [
        one for one in found if (one.early, one.late) == (first, last) and math.isfinite(one.rho)
    ]
    if not known:
        return f"From epoch {first} to {last} too few trials tell."
    rhos = sorted(one.rho for one in known)
    median, trials = float(np.median(rhos)), sum(one.trials for one in known)
    where = (
        f"is {median:.2f}"
        if len(known) == 1
        else f"is {rhos[0]:.2f} to {rhos[-1]:.2f} in {len(known)} groups, median {median:.2f}"
    )
    says = (
        "the order hardly changes, so stopping there risks little"
        if median >= _STRONG
        else "the order changes in part, so stopping there now and then costs a good trial"
        if median >= _WEAK
        else "the early order says little of the last, so stopping there is a gamble: more epochs "
        "of grace (`--grace-epochs`) would help"
    )
    return (
        f"From epoch {first}, the first rung, to epoch {last} the correlation {where} "
        f"({trials} trials): {says}{'; so few trials are a hint, no proof' * (trials < _FEW)}."
    )


def _rho(cell: Mapping[str, Any] | None) -> str:
    if cell is None or not math.isfinite(cell["spearman"]):
        return "-" if cell is None else f"- ({cell['trials']})"
    return f"{cell['spearman']:.2f} ({cell['trials']})"


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else "-"


def _reason(words: str) -> str:
    """A reason in one line, cut where it is long."""
    return escape(words if len(words) <= 160 else words[:159] + "…")
