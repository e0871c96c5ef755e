"""The part of a report on `search.latent_probes` about characters never seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.page import blocks
from analysis.page.blocks import Block
from analysis.page.sections.classifiers import unknown
from analysis.read.runs import (
    Run,
    entries,
    number,
)
from analysis.tables.frames import (
    Column,
    Row,
    WideTable,
    accuracy,
    count,
    escape,
    short,
)
from probes.codes.published import PUBLISHED, SETTINGS


def few_shot(run: Run) -> WideTable:
    """Few-shot accuracy of each code and of the pixels, then what was published."""
    rows = [*_few_shot_rows(run), *_published_rows()]
    return WideTable(
        "few-shot",
        pd.DataFrame(rows),
        (
            Column("features", lambda row: escape(row["features"]), numeric=False),
            *(
                Column(setting, lambda row, setting=setting: _shot(row["cells"], setting))
                for setting in (_setting(ways, shots) for ways, shots in SETTINGS)
            ),
        ),
        down="features",
        across="setting",
    )


def few_shot_blocks(run: Run) -> Iterator[Block]:
    if run.final is None or not isinstance(run.final.entry.get("few_shot"), list):
        yield unknown(run)
        return
    if not _few_shot_rows(run):
        yield (
            "Not measured: these data hold no characters that the autoencoders, and the split, "
            "have kept apart."
        )
        return
    yield few_shot(run)
    yield from blocks.bullets(_few_shot_notes(run))


def _few_shot_notes(run: Run) -> Iterator[str]:
    rows = _few_shot_rows(run)
    episodes, queries = ({row[name] for row in rows} for name in ("episodes", "queries"))
    yield (
        "The codes are made by an autoencoder that was trained on other characters, without "
        "labels. Each query takes the class whose mean of labelled codes is nearest by cosine; "
        f"mean over {_either(episodes)} episodes with {_either(queries)} queries of each class, "
        "± half of the 95 % interval."
    )
    yield "Pixels alone, with the ink centred, are strong too: that is what codes have to beat."
    other = "" if run.data["name"] == "omniglot" else f", and not on {escape(run.data['name'])}"
    yield (
        "The published figures (without labels too) come from protocols of their own, with other "
        f"splits of Omniglot's characters{other}: an order of magnitude, no contest."
    )


def _few_shot_rows(run: Run) -> list[dict[str, Any]]:
    """Codes, largest first, then pixels."""
    listed = entries(run.final.entry, "few_shot") if run.final else []
    rows = [
        {
            "features": f"code {code}" if code.isdecimal() else code,
            "setting": _setting(number(one.get("ways")), number(one.get("shots"))),
            "source": "this run",
            **{name: number(one.get(name)) for name in ("accuracy", "low", "high")},
            **{name: number(one.get(name)) for name in ("queries", "episodes")},
        }
        for one in listed
        if (code := str(one.get("code", "")))
    ]
    return sorted(rows, key=lambda row: -_size(row["features"]))


def _published_rows() -> Iterable[dict[str, Any]]:
    for published in PUBLISHED:
        for (ways, shots), value in published.accuracy.items():
            yield {
                "features": f"{published.method} ({published.source})",
                "setting": _setting(ways, shots),
                "source": "published",
                "accuracy": value,
                **dict.fromkeys(("low", "high", "queries", "episodes"), math.nan),
            }


def _setting(ways: float, shots: float) -> str:
    return f"{count(ways)}-way {count(shots)}-shot"


def _shot(cells: Mapping[str, Row], setting: str) -> str:
    """Accuracy with half of its interval; a published one with the digits it was printed with."""
    row = cells.get(setting, {})
    value, half = (
        number(row.get("accuracy")),
        (number(row.get("high")) - number(row.get("low"))) / 2,
    )
    if row.get("source") == "published":
        return short(value)
    return accuracy(value) + (f" ± {accuracy(half)}" if math.isfinite(half) else "")


def _either(values: Iterable[float]) -> str:
    return " or ".join(f"{value:,.0f}" for value in sorted(values) if math.isfinite(value)) or "-"


def _size(features: str) -> int:
    """The size of a code by its name; 0 for pixels."""
    digits = features.rpartition(" ")[2]
    return int(digits) if digits.isdigit() else 0
