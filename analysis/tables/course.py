"""Tables of how a search went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from analysis.measure.course.control import Spared
from analysis.measure.course.own_space import Change, Start
from analysis.measure.course.rungs import Correlations, Rung
from analysis.measure.course.sampled import Contest
from analysis.measure.course.warnings import Tied
from analysis.read.runs import Run
from analysis.tables.writing.configurations import CONFIGURATION, in_words
from analysis.tables.writing.formats import escape, metric_words, short
from analysis.tables.writing.groups import group_column, metric_format
from analysis.tables.writing.table import Column, Row, Table, WideTable
from search.record.schema import SAMPLED

PRINTED = 12  # rows of a long table; its CSV has all
MOST_PAIRS = 6  # of epochs, across a page

_AFTERWARDS = {"timed_out": "then stopped for time", "lost": "then diverged or failed"}
"""What became of those that passed a rung, before the next one."""

_STATES = {
    "complete": "reached the last epoch of the budget",
    "pruned": "stopped early, because others did better at the same epoch",
    "diverged": "loss became infinite or not a number; left out of every choice",
    "error": "raised an error; its traceback is in the run folder",
    "running": "not done when this was written",
}


def states(run: Run) -> Table:
    """How many trials ended in each state."""
    rows = [
        {"state": state, "trials": trials, "meaning": _STATES.get(state, "")}
        for state, trials in run.counts.items()
    ]
    return Table(
        "states",
        pd.DataFrame(rows),
        (
            Column("state", lambda row: row["state"], numeric=False),
            Column("trials", lambda row: str(row["trials"])),
            Column("meaning", lambda row: row["meaning"] or "-", numeric=False),
        ),
    )


def change_table(changes: Sequence[Change]) -> Table:
    """The hyperparameters that were searched otherwise than by default."""
    return Table(
        "own-ranges",
        pd.DataFrame([asdict(each) for each in changes]),
        (
            Column("hyperparameter", lambda row: escape(row["name"]), numeric=False),
            Column("searched", lambda row: escape(row["searched"]), numeric=False),
            Column("default", lambda row: escape(row["default"]), numeric=False),
        ),
    )


def start_table(run: Run, starts: Sequence[Start]) -> Table:
    """The winners of other runs that were the first trials, and what they reached here."""
    show = metric_format(run)
    rows = [{**asdict(each), "moved": ", ".join(map(_move, each.moved))} for each in starts]
    return Table(
        "starts",
        pd.DataFrame(rows),
        (
            Column("winner of", lambda row: escape(row["run"]), numeric=False),
            Column("at", lambda row: escape(row["group"]), numeric=False),
            Column("trial here", lambda row: escape(row["preset"]) or "left out", numeric=False),
            Column("moved", lambda row: escape(row["moved"]) or "-", numeric=False),
            Column(f"best {metric_words(run.metric)}", lambda row: show(row["value"])),
        ),
    )


def _move(moved: tuple[str, Any, Any]) -> str:
    name, before, after = moved
    ends = ["nothing" if end is None else short(end) for end in (before, after)]
    return f"{name} {ends[0]} to {ends[1]}"


def rung_table(run: Run, found: Sequence[Rung]) -> Table:
    """A row per group and rung; what happened at none of the rungs has no column in print."""
    later = {
        name: words for name, words in _AFTERWARDS.items() if any(getattr(r, name) for r in found)
    }
    rows = [_rung_row(run, rung) for rung in found]
    return Table(
        "rungs",
        pd.DataFrame(rows),
        (
            group_column(run),
            Column("rung at epoch", lambda row: str(row["rung"])),
            Column("entered", lambda row: str(row["entered"])),
            Column("passed on", lambda row: str(row["passed"])),
            Column("stopped", lambda row: str(row["stopped"])),
            Column("control, would stop", lambda row: str(row["spared"])),
            Column("share that passed", _share_passed),
            *(
                Column(words, lambda row, name=name: str(row[name]))
                for name, words in later.items()
            ),
        ),
        PRINTED,
    )


def correlation_table(run: Run, found: Correlations) -> WideTable:
    """A row per group; a column per pair of epochs, or per epoch against the last if there are more
    pairs than a page is wide."""
    rows = [
        {
            run.group: each.group,
            "pair": f"{each.early} to {each.late}",
            "early": each.early,
            "late": each.late,
            "trials": each.trials,
            "spearman": each.rho,
        }
        for each in found.found
    ]
    pairs = found.pairs
    if len(pairs) > MOST_PAIRS:
        pairs = [pair for pair in pairs if pair[1] == found.last]
    names = [f"{early} to {late}" for early, late in pairs]
    return WideTable(
        "rank-correlations",
        pd.DataFrame(rows),
        (
            group_column(run),
            *(Column(f"epoch {name}", lambda row, name=name: _rho(row, name)) for name in names),
        ),
        PRINTED,
        down=run.group,
        across="pair",
    )


def spared_table(run: Run, found: Sequence[Spared]) -> Table:
    """A row per control trial that would have been stopped."""
    rows = [
        {
            run.group: each.group,
            "trial": each.trial,
            "state": each.state,
            "stopped_at": each.epoch,
            "then": each.then,
            "best": each.best,
            "best_of_rest": each.rest,
            "gain": each.gain / 100 if run.maximised else each.gain * each.rest / 100,
            "won": each.won,
            "judged": each.judged,
        }
        for each in found
    ]
    show = metric_format(run)
    return Table(
        "spared",
        pd.DataFrame(rows),
        (
            group_column(run),
            Column("trial", lambda row: escape(row["trial"]), numeric=False),
            Column("would have been stopped at epoch", lambda row: str(row["stopped_at"])),
            Column(f"{metric_words(run.metric)} then", lambda row: show(row["then"])),
            Column("best in the end", lambda row: show(row["best"])),
            Column("best of the others", lambda row: show(row["best_of_rest"])),
            Column("would have won", _won, numeric=False),
        ),
        PRINTED,
    )


def tie_table(run: Run, found: Sequence[Tied]) -> Table:
    """The tied trials of each group, its winner first."""
    rows = [
        {
            run.group: each.group,
            "trial": trial["id"],
            "winner": trial["id"] == each.winner.trial,
            run.metric: trial["value"],
            "behind": trial["behind"],
            "seed_deviation": each.deviation,
            "configuration": in_words(trial["preset"] or SAMPLED, run.parameters(trial)),
        }
        for each in found
        for trial in each.trials.to_dict("records")
    ]
    show = metric_format(run)
    return Table(
        "ties",
        pd.DataFrame(rows),
        (
            group_column(run),
            Column("trial", _named_winner, numeric=False),
            Column(f"best {metric_words(run.metric)}", lambda row: show(row[run.metric])),
            Column("worse by", lambda row: short(row["behind"])),
            Column("seed deviation", lambda row: short(row["seed_deviation"])),
            CONFIGURATION,
        ),
        PRINTED,
    )


def contest_table(run: Run, found: Sequence[Contest]) -> Table:
    """The best sampled trial of each group beside its best preset."""
    rows = [
        {**asdict(each), run.group: each.group, "decided": each.decided, "which": _which(each)}
        for each in found
    ]
    show = metric_format(run)
    return Table(
        "sampled-or-preset",
        pd.DataFrame(rows),
        (
            group_column(run),
            Column("best sampled", lambda row: escape(row["sampled"]), numeric=False),
            Column(metric_words(run.metric), lambda row: show(row["sampled_value"])),
            Column("best preset", lambda row: f"`{row['preset']}`", numeric=False),
            Column(metric_words(run.metric), lambda row: show(row["preset_value"])),
            Column("sampled is better by", lambda row: short(row["better"])),
            Column("seed deviation", lambda row: short(row["deviation"])),
            Column("better", lambda row: row["which"], numeric=False),
        ),
    )


def _which(contest: Contest) -> str:
    if not contest.known:
        return "not known"
    if not contest.decided:
        return "neither"
    return "sampled" if contest.better > 0 else "preset"


def _rung_row(run: Run, rung: Rung) -> dict[str, Any]:
    numbers = asdict(rung)
    about = {run.group: numbers.pop("group"), "rung": numbers.pop("epoch")}
    return {**about, **numbers, "share_passed": rung.share_passed}


def _share_passed(row: Row) -> str:
    return f"{row['share_passed']:.0%}" if math.isfinite(row["share_passed"]) else "-"


def _rho(row: Row, pair: str) -> str:
    cell = row["cells"].get(pair)
    if cell is None or not math.isfinite(cell["spearman"]):
        return "-" if cell is None else f"- ({cell['trials']})"
    return f"{cell['spearman']:.2f} ({cell['trials']})"


def _named_winner(row: Row) -> str:
    return escape(row["trial"]) + (" (winner)" if row["winner"] else "")


def _won(row: Row) -> str:
    return "yes" if row["won"] else "no" if row["judged"] else "-"
