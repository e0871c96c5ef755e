"""The part of a report on `search.latent_probes` that draws the report's perceptrons again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.figures import latent_probes as latent_probe_figures
from analysis.figures import style as figures
from analysis.figures.style import ACCURACY, LOSS, Panel
from analysis.page.blocks import Block, picture
from analysis.read.runs import Result, Run, number, preset_results
from analysis.tables.frames import (
    Column,
    Row,
    Table,
    accuracy,
    count,
    plural,
    points,
    short,
)

BLOCKS = {f"mlp-{blocks}-blocks": blocks for blocks in range(1, 7)}
L2 = {
    "mlp-2-blocks": 0.0,
    "mlp-l2-1e-05": 1e-5,
    "mlp-l2-0.0001": 1e-4,
    "mlp-l2-0.001": 1e-3,
    "mlp-l2-0.01": 1e-2,
}
TWO_STAGE = "report-two-stage"
"""The presets that are the report's perceptron: by its number of blocks, by its L2 at two blocks,
and with an L2 that is lowered half way."""

_PANELS = (
    Panel("train_loss", "training loss, as optimised", LOSS),
    Panel("validation_accuracy", "validation accuracy", ACCURACY),
)


def perceptrons(run: Run) -> Table:
    """The report's perceptron by its number of blocks and by its L2, as the search fitted it."""
    found = _by_preset(run)
    rows = [
        _perceptron_row(name, found.get(name, Result()))
        for name in dict.fromkeys((*BLOCKS, *L2, TWO_STAGE))
    ]
    return Table(
        "perceptrons",
        pd.DataFrame(rows),
        (
            Column("model", lambda row: f"`{row['model']}`", numeric=False),
            Column("blocks", lambda row: count(row["blocks"])),
            Column("L2", lambda row: _l2_in_words(row)),
            Column("training loss", lambda row: short(row["train_loss"])),
            Column("training accuracy", lambda row: accuracy(row["train_accuracy"])),
            Column("validation accuracy", lambda row: accuracy(row["validation_accuracy"])),
            Column("test accuracy", lambda row: accuracy(row["test_accuracy"])),
        ),
    )


def l2_sentence(run: Run) -> str:
    """Whether accuracy falls with stronger L2, on test as the report saw, and on training."""
    rows = [row for row in _l2_rows(run) if math.isfinite(row["train_accuracy"])]
    if len(rows) < 2:
        return (
            "Whether accuracy falls with stronger L2 cannot be judged here: "
            f"{len(rows)} of {plural(len(L2), 'perceptron')} of the sweep "
            f"{'has' if len(rows) == 1 else 'have'} a test figure yet."
        )
    test, train = ([row[f"{which}_accuracy"] for row in rows] for which in ("test", "train"))
    falls, under = test[-1] < test[0], train[-1] < train[0]
    seen = ", as the report saw" if falls else ""
    if falls and test[0] - test[-1] < or_zero(chance(max(test), run)):
        seen = ", by no more than so few test images leave to chance"
    ends = f"from L2 {short(rows[0]['l2'])} to {short(rows[-1]['l2'])}"
    best = short(rows[test.index(max(test))]["l2"])
    return (
        f"With stronger L2 test accuracy {_course(test)}{seen} "
        f"({points(test[-1] - test[0])} points {ends}; highest at {best}). "
        f"Training accuracy {_course(train)} ({points(train[-1] - train[0])} points), "
        f"{_why(falls, under)}. Each was fitted once."
    )


def or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def chance(share: float, run: Run) -> float:
    """What an accuracy may differ by for no reason but its test images: twice the deviation that a
    share of so many has; nan if their number is not known."""
    images = number(run.data.get("test"))
    return 2 * math.sqrt(share * (1 - share) / images) if images > 0 else math.nan


def two_stage_sentence(run: Run) -> str:
    """What the report's L2 that is lowered half way reaches."""
    row = _perceptron_row(TWO_STAGE, _by_preset(run).get(TWO_STAGE, Result()))
    return (
        f"The report's perceptron with an L2 that is lowered half way (`{TWO_STAGE}`, "
        f"{_l2_in_words(row)}): training accuracy {accuracy(row['train_accuracy'])}, "
        f"test accuracy {accuracy(row['test_accuracy'])}."
    )


def perceptrons_blocks(run: Run) -> Iterator[Block]:
    yield (
        "The report's perceptron on codes (blocks of a linear layer and an activation, no dropout, "
        "Adam with L2 in its loss), with one to six blocks, and with two blocks and more and more "
        "L2. The search fits each once; figures are of the epoch that validation likes best."
    )
    yield perceptrons(run)
    yield picture(
        "curves-blocks",
        figures.preset_curves(run, list(BLOCKS), _PANELS),
        "Perceptrons of one to six blocks, no L2: training loss and validation accuracy.",
    )
    yield picture(
        "curves-l2",
        figures.preset_curves(run, list(L2), _PANELS),
        "Perceptrons of two blocks with more and more L2 (the first has none): training loss "
        "(cross-entropy alone) and validation accuracy.",
    )
    yield picture(
        "l2",
        latent_probe_figures.against_l2(_l2_rows(run)),
        "Accuracy of the perceptron of two blocks against the strength of its L2.",
    )
    yield l2_sentence(run)
    yield two_stage_sentence(run)


def _by_preset(run: Run) -> dict[str, Result]:
    """Ours of the presets; of one run twice, the first."""
    return {result.preset: result for result in reversed(preset_results(run))}


def _perceptron_row(name: str, result: Result) -> dict[str, Any]:
    """L2 and blocks are those of the preset's name, so that a hole in a run leaves them be."""
    return {
        "model": name,
        "trial": result.trial,
        "blocks": BLOCKS.get(name, 2),
        "l2": 1e-4 if name == TWO_STAGE else L2.get(name, 0.0),
        "l2_later": 5e-5 if name == TWO_STAGE else math.nan,
        "epochs": result.epochs,
        **{
            metric: result.own(metric)
            for metric in ("train_loss", "train_accuracy", "validation_accuracy", "test_accuracy")
        },
    }


def _l2_in_words(row: Row) -> str:
    later = row["l2_later"]
    return short(row["l2"]) + (f", then {short(later)}" if math.isfinite(later) else "")


def _l2_rows(run: Run) -> list[dict[str, Any]]:
    """The sweep from no L2 to the strongest, of what has a test figure."""
    found = _by_preset(run)
    rows = [_perceptron_row(name, found.get(name, Result())) for name in L2]
    return [row for row in rows if math.isfinite(row["test_accuracy"])]


def _course(values: list[float]) -> str:
    """How a series of accuracies goes.

    >>> _course([0.5, 0.4, 0.3]), _course([0.5, 0.6, 0.3]), _course([0.5, 0.4, 0.6])
    ('falls at every step', 'falls, if not at every step', 'does not fall')
    """
    if not values[-1] < values[0]:
        return "does not fall"
    steps = zip(values, values[1:], strict=False)
    return "falls at every step" if all(b < a for a, b in steps) else "falls, if not at every step"


def _why(falls: bool, under: bool) -> str:
    if falls:
        return "so strong L2 under-fits" if under else "so under-fitting is not the reason"
    return "which costs nothing on test" if under else "so nothing is under-fitted"
