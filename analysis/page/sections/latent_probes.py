"""The report's section and tables for a run of `search.latent_probes`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.figures import latent_probes as latent_probe_figures
from analysis.figures import style as figures
from analysis.page import blocks
from analysis.page.blocks import Block, Heading, picture
from analysis.page.sections.classifiers import FLOORS, accuracy_blocks, confusion_blocks, kind_of
from analysis.page.sections.few_shot import few_shot_blocks
from analysis.read.runs import (
    STATES,
    Group,
    Result,
    Run,
    column,
    mapping,
    number,
    text,
    winners,
)
from analysis.read.seed_report import PROBE_ACCURACY, PROBE_WORDS
from analysis.tables.frames import (
    CONFIGURATION,
    Column,
    Row,
    Table,
    WideTable,
    accuracy,
    configuration,
    count,
    escape,
    in_words,
    mse,
    plural,
    spread,
)

PROBES = (
    "nearest-mean",
    "knn",
    "lda",
    "logistic",
    "mlp",
    "random-forest",
    "extra-trees",
    "catboost",
)
"""The order of rows, from the simplest probe to the costliest; any other comes after these."""

ON_PIXELS = {"nearest-mean": "nearest_mean", "knn": "1-nn"}
"""The floor in final.json that is the probe's own kind, on pixels in place of codes."""


STOPPED = {"time": "it took ", "memory": "ProbeTooLarge"}
"""What the reason of a trial holds that was stopped for its time, or refused for its memory."""

_PRINTED_STOPS = 20


def latent_probe_blocks(run: Run) -> Iterator[Block]:
    """What the probes reached and on which codes, and what the best of them still mistakes."""
    chosen = _in_order(winners(run))
    best = best_on_validation(chosen)
    yield Heading("#### The autoencoders that made the codes")
    yield from _autoencoders(run)
    yield Heading("#### Best of each probe")
    yield from _best(run, chosen)
    yield Heading("#### Configurations")
    yield "Each configuration is the best of its probe and code size on the validation split."
    yield configurations(run)
    yield Heading("#### Characters never seen, from a few drawings")
    yield from few_shot_blocks(run)
    of = f": {said(best.group)}" if best.group else ""
    yield Heading(f"#### Accuracy per {kind_of(run)} of the best{of}")
    yield from accuracy_blocks(run, best)
    yield Heading(f"#### Most confused pairs of the best{of}")
    yield from confusion_blocks(run, best)


def place(group: Group) -> tuple[str, int]:
    """Probe and code size of a group by its name.

    >>> place("nearest-mean-32"), place("oracle")
    (('nearest-mean', 32), ('oracle', 0))
    """
    probe, _, size = str(group).rpartition("-")
    return (probe, int(size)) if probe and size.isdecimal() else (str(group), 0)


def said(group: Group) -> str:
    """A group as a sentence names it.

    >>> said("nearest-mean-32")
    'nearest-mean at code 32'
    """
    probe, size = place(group)
    return f"{escape(probe)} at code {size}" if size else escape(probe)


def best_on_validation(chosen: Mapping[Group, Result]) -> Result:
    """The winner of the highest validation accuracy; the test split has no say."""
    measured = [one for one in chosen.values() if math.isfinite(_validation(one))]
    return max(measured, key=_validation, default=Result())


def autoencoders(run: Run) -> Table:
    """The autoencoder behind each code size."""
    found = mapping(run.final.entry.get("autoencoders")) if run.final else {}
    known = {size for name in found if (size := place(f"code-{name}")[1])}
    sizes = sorted(known | {*_sizes(run)}, reverse=True)
    rows = [_autoencoder_row(size, mapping(found.get(str(size)))) for size in sizes]
    return Table(
        "autoencoders",
        pd.DataFrame(rows),
        (
            Column("code size", lambda row: count(row["latent_size"])),
            Column("from", lambda row: escape(row["source"]) or "-", numeric=False),
            Column("epochs", lambda row: count(row["epoch"])),
            Column("validation MSE", lambda row: mse(row["validation_mse"])),
            Column("probe accuracy", lambda row: accuracy(row["probe_accuracy"])),
            CONFIGURATION,
        ),
    )


def probes(run: Run) -> WideTable:
    """Test accuracy of each probe at each code size, beside the seed report and the pixels."""
    rows, best = _probe_rows(run), best_on_validation(_in_order(winners(run))).group
    return WideTable(
        "probes",
        pd.DataFrame(rows),
        (
            Column("probe", lambda row: escape(row["probe"]), numeric=False),
            *(
                Column(f"code {size}", lambda row, size=size: _tested(row["cells"], size, best))
                for size in _sizes(run)
            ),
            Column("seed report", lambda row: _theirs(row["probe"])),
            Column("the same on pixels", lambda row: accuracy(_on_pixels(row))),
        ),
        down="probe",
        across="latent_size",
    )


def configurations(run: Run) -> Table:
    """What was chosen for each probe and code size."""
    rows = _probe_rows(run)
    keys = ("probe", "latent_size", "trial", "preset", "epochs", "validation_accuracy")
    frame = pd.DataFrame(rows)[[*keys, "configuration", "parameters"]] if rows else pd.DataFrame()
    return Table(
        "configurations",
        frame,
        (
            Column("probe", lambda row: escape(row["probe"]), numeric=False),
            Column("code size", lambda row: count(row["latent_size"])),
            Column("validation accuracy", lambda row: accuracy(row["validation_accuracy"])),
            CONFIGURATION,
        ),
    )


def probe_states(run: Run) -> Table:
    """How many trials of each probe ended in which state, and what stopped them."""
    trials = _trial_rows(run)
    found = sorted({row["probe"] for row in trials}, key=_rank)
    rows = [_state_row(probe, [row for row in trials if row["probe"] == probe]) for probe in found]
    return Table(
        "probe-states",
        pd.DataFrame(rows),
        (
            Column("probe", lambda row: escape(row["probe"]), numeric=False),
            *(
                Column(name, lambda row, name=name: str(row[name]))
                for name in ("trials", *STATES)
                if name in ("trials", "complete", "pruned") or any(row[name] for row in rows)
            ),
            *(
                Column(f"stopped for {limit}", lambda row, limit=limit: str(row[f"for_{limit}"]))
                for limit in STOPPED
            ),
        ),
    )


def stops(run: Run) -> Table:
    """The trials that their time or their memory stopped, or an error, and why."""
    rows = [row for row in _trial_rows(run) if row["stopped_for"] or row["state"] == "error"]
    return Table(
        "stops",
        pd.DataFrame(rows),
        (
            Column("trial", lambda row: escape(row["trial"]), numeric=False),
            Column("probe", lambda row: escape(row["probe"]), numeric=False),
            Column("code size", lambda row: count(row["latent_size"])),
            Column("state", lambda row: escape(row["state"]), numeric=False),
            Column("epochs", lambda row: count(row["epochs"])),
            Column("reason", lambda row: escape(row["reason"]), numeric=False),
        ),
        _PRINTED_STOPS,
    )


def _autoencoders(run: Run) -> Iterator[Block]:
    yield (
        "Trained without labels on the training split; the probes below see their codes alone. "
        "Probe accuracy is that of the autoencoders' own search, of the nearest class mean."
    )
    yield autoencoders(run)


def _best(run: Run, chosen: Mapping[Group, Result]) -> Iterator[Block]:
    frequent = accuracy(run.floor("most_frequent").value("test_accuracy"))
    yield (
        f"{blocks.choice(run)} Test accuracy is the fraction of test drawings whose character is "
        "told right. The last column is the same classifier on pixels in place of codes (1-nearest "
        f"neighbour beside knn); guessing the most frequent class gives {frequent}. "
        f"{blocks.deviations(chosen.values())}"
    )
    yield best_sentence(run, chosen)
    yield probes(run)
    yield from blocks.bullets([*_short_of_budget(run, chosen), *_beside_notes(run)])
    yield picture(
        "probes",
        latent_probe_figures.accuracies(
            [row for row in _probe_rows(run) if math.isfinite(row["test_accuracy"])],
            _sizes(run),
            _levels(run),
        ),
        "Test accuracy of the best of each probe at each code size, with 95 % intervals "
        "(characters resampled).",
    )


def best_sentence(run: Run, chosen: Mapping[Group, Result]) -> str:
    """The best probe with its interval and configuration, and one that tests higher still."""
    best = best_on_validation(chosen)
    if not best.group:
        return "No probe has been measured yet."
    test, (low, high) = best.value("test_accuracy"), _interval(best)
    reached = "no test figure yet"
    if math.isfinite(test):
        deviation = best.deviation("test_accuracy")
        reached = f"test accuracy {spread(test, deviation, best.seeds, accuracy, count_seeds=True)}"
    between = f", 95 % interval [{accuracy(low)}, {accuracy(high)}] (characters resampled)"
    sentence = (
        f"Best on validation: **{said(best.group)}**, validation accuracy "
        f"{accuracy(_validation(best))}, {reached}"
        f"{between if math.isfinite(low) else ''}; {_configuration(best)['configuration']}."
    )
    higher = [one for one in chosen.values() if one.value("test_accuracy") > test]
    if higher:
        other = max(higher, key=lambda one: one.value("test_accuracy"))
        sentence += (
            f" On the test split {said(other.group)} is higher, "
            f"{accuracy(other.value('test_accuracy'))}, which a choice on validation cannot know."
        )
    return sentence


def _short_of_budget(run: Run, chosen: Mapping[Group, Result]) -> Iterator[str]:
    """The notes on winners short of the budget and groups without one, with the reasons."""
    reasons = {row["trial"]: row["reason"] for row in _trial_rows(run)}
    by_group: dict[str, set[str]] = {}
    for row in _trial_rows(run):
        by_group.setdefault(row["model"], set()).add(row["reason"])

    def named(group: Group) -> str:
        winner = chosen.get(group)
        why = {reasons.get(winner.trial, "")} if winner else by_group.get(str(group), set())
        told = "; ".join(sorted(why - {""}))
        return said(group) + (f" ({escape(told)})" if told else "")

    return blocks.budget_notes(run, dict(chosen), named)


def _beside_notes(run: Run) -> Iterator[str]:
    best = ", ".join(f"{value:g}" for value in PROBE_ACCURACY.values())
    note = (
        f"The seed report's best perceptron on codes reached {best}; of its forests and its "
        "boosting it says that they gave no usable accuracy."
    )
    data = run.data["name"]
    if data != "omniglot":
        note += f" **Its numbers are of Omniglot and ours of {escape(data)}: they do not compare.**"
    yield note


def limit_blocks(run: Run) -> Iterator[Block]:
    """The trials of each probe by state, and those that a limit stopped."""
    yield (
        "Trials of each probe by the state they ended in. A trial that takes too long is pruned "
        "where it is; one that would need too much memory is not begun, and ends as error."
    )
    yield probe_states(run)
    table = stops(run)
    if len(table.frame):
        more = len(table.frame) - _PRINTED_STOPS
        shown = f" The first {_PRINTED_STOPS}; the CSV has all." if more > 0 else ""
        yield f"Stopped by a limit or an error: {plural(len(table.frame), 'trial')}.{shown}"
        yield table
    else:
        yield "No trial was stopped by a limit or an error."


def _in_order(found: Mapping[Group, Result]) -> dict[Group, Result]:
    return {group: found[group] for group in sorted(found, key=_group_rank)}


def _group_rank(group: Group) -> tuple[tuple[int, str], int]:
    probe, size = place(group)
    return _rank(probe), -size


def _rank(probe: str) -> tuple[int, str]:
    return (PROBES.index(probe) if probe in PROBES else len(PROBES)), probe


def _sizes(run: Run) -> list[int]:
    return sorted({place(group)[1] for group in run.groups}, reverse=True)


def _validation(winner: Result) -> float:
    return winner.own("validation_accuracy")


def _interval(winner: Result) -> tuple[float, float]:
    ends = winner.entry.get("test_accuracy_interval")
    known = [number(end) for end in ends] if isinstance(ends, list) else []
    return (known[0], known[1]) if len(known) == 2 else (math.nan, math.nan)


def _probe_rows(run: Run) -> list[dict[str, Any]]:
    chosen = winners(run)
    seconds = dict(zip(run.trials["id"], column(run.trials, "seconds"), strict=True))
    floors = {_floor_key(name): run.floor(name).value("test_accuracy") for name in FLOORS}
    return [
        {**_probe_row(group, chosen.get(group), seconds), **floors}
        for group in sorted(run.groups, key=_group_rank)
    ]


def _probe_row(group: Group, winner: Result | None, seconds: Mapping[str, float]) -> dict[str, Any]:
    probe, size = place(group)
    reached = winner or Result()
    low, high = _interval(reached)
    return {
        "probe": probe,
        "latent_size": size,
        "model": group,
        "test_accuracy": reached.value("test_accuracy"),
        "test_std": reached.deviation("test_accuracy"),
        "test_low": low,
        "test_high": high,
        "train_accuracy": reached.value("train_accuracy"),
        "validation_accuracy": _validation(reached),
        "seed_report_test_accuracy": PROBE_ACCURACY.get(probe, math.nan),
        "search_seconds": seconds.get(reached.trial, math.nan),
        **_configuration(winner),
    }


def _configuration(winner: Result | None) -> dict[str, Any]:
    """As `tables.configuration`, without the words for what has no effect."""
    found = configuration(winner)
    if winner:
        found["configuration"] = in_words(winner.preset, _effective(winner.parameters))
    return found


def _effective(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that change anything: no more components than there are, an LDA's shrinkage
    only where there is one, the kind of an L2 likewise; one view is the drawing itself.

    >>> _effective({"latent_size": 32, "views": 1, "pca": 128, "lda": 0, "shrinkage": 0.05})
    {'latent_size': 32, 'pca': 32, 'lda': 0}
    """
    found, most = dict(parameters), number(parameters.get("latent_size"))
    for step in ("pca", "lda"):
        components = number(found.get(step))
        if components > 0 and most > 0:
            found[step] = most = int(min(components, most))
    idle = {
        "views": found.get("views") == 1,
        "shrinkage": not number(found.get("lda")) > 0,
        "l2_kind": not number(found.get("l2")) > 0,
    }
    return {name: value for name, value in found.items() if not idle.get(name)}


def _tested(cells: Mapping[int, Row], size: int, best: Group | None) -> str:
    """A probe's test accuracy at a code size; that of the best of all in bold."""
    if size not in cells:
        return "-"
    row = cells[size]
    shown = spread(row["test_accuracy"], row["test_std"], row["seeds"], accuracy)
    return f"**{shown}**" if row["model"] == best and shown != "-" else shown


def _theirs(probe: str) -> str:
    return f"{PROBE_ACCURACY[probe]:g}" if probe in PROBE_ACCURACY else PROBE_WORDS.get(probe, "-")


def _on_pixels(row: Row) -> float:
    name = ON_PIXELS.get(row["probe"])
    return row[_floor_key(name)] if name else math.nan


def _floor_key(name: str) -> str:
    return f"pixels_{name.replace('-', '_')}_test_accuracy"


def _levels(run: Run) -> list[figures.Level]:
    data = "" if run.data["name"] == "omniglot" else " (Omniglot)"
    return [
        *(
            figures.Level(
                f"the seed report's best perceptron{data}, {best:g}", best, figures.DASHED
            )
            for best in PROBE_ACCURACY.values()
        ),
        *(
            figures.Level(f"{FLOORS[name]} on pixels, {accuracy(value)}", value, figures.DOTTED)
            for name in ("1-nn",)
            if math.isfinite(value := run.floor(name).value("test_accuracy"))
        ),
    ]


def _autoencoder_row(size: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    made = Result(
        trial=text(entry.get("trial")),
        preset=text(entry.get("preset")) or "sampled",
        parameters=mapping(entry.get("parameters")),
    )
    return {
        "latent_size": size or math.nan,
        "source": text(entry.get("source")),
        "trial": made.trial,
        "epoch": number(entry.get("epoch")),
        "validation_mse": number(entry.get("validation_mse")),
        "probe_accuracy": number(entry.get("probe_accuracy")),
        "configuration": configuration(made)["configuration"] if entry else "",
        "parameters": configuration(made)["parameters"] if entry else "",
        "sha256": text(entry.get("sha256")),
    }


def _trial_rows(run: Run) -> list[dict[str, Any]]:
    return [_trial_row(row, run.group) for row in run.trials.to_dict("records")]


def _trial_row(row: Mapping[str, Any], group: str) -> dict[str, Any]:
    probe, size = place(row[group])
    reason = text(row.get("reason")) if row["state"] in ("pruned", "error") else ""
    limits = [limit for limit, mark in STOPPED.items() if mark in reason]
    return {
        "trial": row["id"],
        "model": str(row[group]),
        "probe": probe,
        "latent_size": size,
        "state": row["state"],
        "epochs": number(row.get("epochs")),
        "stopped_for": limits[0] if limits else "",
        "reason": reason.partition("ProbeTooLarge: ")[2] or reason,
    }


def _state_row(probe: str, trials: list[dict[str, Any]]) -> dict[str, Any]:
    ended = [row["state"] for row in trials]
    stopped = [row["stopped_for"] for row in trials]
    return {
        "probe": probe,
        "trials": len(trials),
        **{state: ended.count(state) for state in STATES},
        **{f"for_{limit}": stopped.count(limit) for limit in STOPPED},
    }
