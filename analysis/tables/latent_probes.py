"""Tables of a search of classifiers of codes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from analysis.measure.latent_probes.few_shot import FewShot
from analysis.measure.latent_probes.groups import probe_and_size
from analysis.measure.latent_probes.probes import LIMITS, Perceptron, Probe, Stop, code_sizes, rank
from analysis.read.runs import Group, Result, Run
from analysis.read.seed_report import PROBE_ACCURACY, PROBE_WORDS
from analysis.read.values import mapping, number, text
from analysis.tables.writing.configurations import CONFIGURATION, configuration
from analysis.tables.writing.formats import accuracy, count, escape, mse, short, spread
from analysis.tables.writing.table import Column, Row, Table, WideTable
from probes.codes.published import SETTINGS
from search.record.schema import COMPLETE, DIVERGED, ERROR, PRUNED, RUNNING, SAMPLED

PRINTED_STOPS = 20

_STATES = (COMPLETE, PRUNED, DIVERGED, ERROR, RUNNING)

_PROBE = Column("probe", lambda row: escape(row["probe"]), numeric=False)
_SIZE = Column("code size", lambda row: count(row["latent_size"]))


def probe_words(group: Group) -> str:
    """
    >>> probe_words("nearest-mean-32"), probe_words("oracle")
    ('nearest-mean at code 32', 'oracle')
    """
    probe, size = probe_and_size(group)
    return f"{escape(probe)} at code {size}" if size else escape(probe)


def probe_table(run: Run, found: Iterable[Probe]) -> WideTable:
    """Test accuracy of each probe at each code size, beside the seed report and the pixels; that of
    the best of all in bold."""
    return WideTable(
        "probes",
        pd.DataFrame([_probe_row(probe) for probe in found]),
        (
            _PROBE,
            *(
                Column(f"code {size}", lambda row, size=size: _tested(row["cells"].get(size)))
                for size in code_sizes(run)
            ),
            Column("seed report", lambda row: _theirs(row["probe"])),
            Column("the same on pixels", lambda row: accuracy(row["pixels_test_accuracy"])),
        ),
        down="probe",
        across="latent_size",
    )


def probe_configurations(found: Iterable[Probe]) -> Table:
    """What was chosen for each probe and code size."""
    keys = ("probe", "latent_size", "trial", "preset", "epochs", "validation_accuracy")
    keys += ("configuration", "parameters")
    rows = [{key: row[key] for key in keys} for row in map(_probe_row, found)]
    return Table(
        "configurations",
        pd.DataFrame(rows),
        (
            _PROBE,
            _SIZE,
            Column("validation accuracy", lambda row: accuracy(row["validation_accuracy"])),
            CONFIGURATION,
        ),
    )


def code_table(run: Run) -> Table:
    """The autoencoder behind each code size, the largest first."""
    found = mapping(run.final.entry.get("autoencoders")) if run.final else {}
    sizes = {int(name) for name in found if name.isdecimal()} | {*code_sizes(run)}
    return Table(
        "autoencoders",
        pd.DataFrame(
            [_code_row(size, mapping(found.get(str(size)))) for size in sorted(sizes)[::-1]]
        ),
        (
            _SIZE,
            Column("from", lambda row: escape(row["source"]) or "-", numeric=False),
            Column("epochs", lambda row: count(row["epoch"])),
            Column("validation MSE", lambda row: mse(row["validation_mse"])),
            Column("probe accuracy", lambda row: accuracy(row["probe_accuracy"])),
            CONFIGURATION,
        ),
    )


def perceptron_table(found: Mapping[str, Perceptron]) -> Table:
    """The report's perceptron by its number of blocks and by its L2, as the search fitted it."""
    rows = [asdict(each) for each in found.values()]
    return Table(
        "perceptrons",
        pd.DataFrame(rows).rename(columns={"preset": "model"}),
        (
            Column("model", lambda row: f"`{row['model']}`", numeric=False),
            Column("blocks", lambda row: count(row["blocks"])),
            Column("L2", _l2),
            Column("training loss", lambda row: short(row["train_loss"])),
            *(
                Column(f"{split} accuracy", lambda row, key=f"{key}_accuracy": accuracy(row[key]))
                for key, split in (
                    ("train", "training"),
                    ("validation", "validation"),
                    ("test", "test"),
                )
            ),
        ),
    )


def state_table(run: Run, stops: Sequence[Stop]) -> Table:
    """How many trials of each probe ended in each state, and how many a limit stopped."""
    names = [probe_and_size(str(group))[0] for group in run.trials[run.group]]
    ended = list(zip(names, run.trials["state"], strict=True))
    limited = [(stop.probe, stop.code) for stop in stops]
    rows = [
        {
            "probe": probe,
            "trials": names.count(probe),
            **{state: ended.count((probe, state)) for state in _STATES},
            **{limit: limited.count((probe, limit)) for limit in LIMITS},
        }
        for probe in sorted({*names}, key=rank)
    ]
    always = ("trials", COMPLETE, PRUNED)
    shown = [*always, *(state for state in _STATES[2:] if any(row[state] for row in rows))]
    return Table(
        "probe-states",
        pd.DataFrame(rows),
        (
            _PROBE,
            *(Column(name, lambda row, name=name: str(row[name])) for name in shown),
            *(
                Column(f"of these: {name}", lambda row, name=name: str(row[name]))
                for name in LIMITS
            ),
        ),
    )


def stop_table(stops: Iterable[Stop]) -> Table:
    """The trials that a limit of time or memory stopped, or an error, and why."""
    rows = [
        {
            "trial": stop.trial,
            "probe": stop.probe,
            "latent_size": stop.size or math.nan,
            "state": stop.state,
            "epochs": stop.epochs,
            "reason": stop.code,
            "detail": stop.words,
        }
        for stop in stops
    ]
    return Table(
        "stops",
        pd.DataFrame(rows),
        (
            Column("trial", lambda row: escape(row["trial"]), numeric=False),
            _PROBE,
            _SIZE,
            Column("state", lambda row: escape(row["state"]), numeric=False),
            Column("epochs", lambda row: count(row["epochs"])),
            Column("reason", lambda row: escape(row["detail"] or row["reason"]), numeric=False),
        ),
        PRINTED_STOPS,
    )


def few_shot_table(found: Iterable[FewShot]) -> WideTable:
    """Accuracy of each kind of features by the number of classes and of labelled drawings."""
    rows = [{**asdict(each), "setting": _setting(each.ways, each.shots)} for each in found]
    for row in rows:
        row["features"] = _features(row["features"])
    return WideTable(
        "few-shot",
        pd.DataFrame(rows),
        (
            Column("features", lambda row: escape(row["features"]), numeric=False),
            *(
                Column(setting, lambda row, setting=setting: _shot(row["cells"].get(setting)))
                for setting in (_setting(ways, shots) for ways, shots in SETTINGS)
            ),
        ),
        down="features",
        across="setting",
    )


def _probe_row(probe: Probe) -> dict[str, Any]:
    return {
        "probe": probe.name,
        "latent_size": probe.size,
        "model": probe.group,
        "best": probe.best,
        "test_accuracy": probe.test,
        "test_std": probe.result.deviation("test_accuracy"),
        "test_low": probe.low,
        "test_high": probe.high,
        "train_accuracy": probe.result.value("train_accuracy"),
        "validation_accuracy": probe.validation,
        "seed_report_test_accuracy": PROBE_ACCURACY.get(probe.name, math.nan),
        "pixels_test_accuracy": probe.on_pixels,
        "search_seconds": probe.seconds,
        **configuration(probe.result),
    }


def _tested(row: Row | None) -> str:
    if row is None:
        return "-"
    shown = spread(row["test_accuracy"], row["test_std"], row["seeds"], accuracy)
    return f"**{shown}**" if row["best"] and shown != "-" else shown


def _theirs(probe: str) -> str:
    return f"{PROBE_ACCURACY[probe]:g}" if probe in PROBE_ACCURACY else PROBE_WORDS.get(probe, "-")


def _code_row(size: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    preset = text(entry.get("preset")) or (SAMPLED if entry else "")
    made = configuration(Result(preset=preset, parameters=mapping(entry.get("parameters"))))
    return {
        "latent_size": size or math.nan,
        **{key: text(entry.get(key)) for key in ("source", "trial", "sha256")},
        **{key: number(entry.get(key)) for key in ("epoch", "validation_mse", "probe_accuracy")},
        **{key: made[key] for key in ("configuration", "parameters")},
    }


def _l2(row: Row) -> str:
    later = row["l2_later"]
    return short(row["l2"]) + (f", then {short(later)}" if math.isfinite(later) else "")


def _features(features: str) -> str:
    return f"code {features}" if features.isdecimal() else features


def _setting(ways: float, shots: float) -> str:
    return f"{count(ways)}-way {count(shots)}-shot"


def _shot(row: Row | None) -> str:
    """With half of the interval; a published one with the digits it was printed with."""
    if row is None:
        return "-"
    if row["published"]:
        return short(row["accuracy"])
    half = (row["high"] - row["low"]) / 2
    return accuracy(row["accuracy"]) + (f" ± {accuracy(half)}" if math.isfinite(half) else "")
