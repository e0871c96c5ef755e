"""The report's section and tables for a run of `search.classifiers`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy.special import stdtrit

from analysis.figures import classifiers as classifier_figures
from analysis.figures import style as figures
from analysis.figures.style import ACCURACY, DASHED, DOTTED, LOSS, Level, Panel
from analysis.page import blocks
from analysis.page.blocks import Block, Heading, picture
from analysis.read.runs import (
    Group,
    Result,
    Run,
    RunError,
    Skipped,
    entries,
    mapping,
    number,
    preset_results,
    read_images,
    text,
    winners,
)
from analysis.read.seed_report import CLASSIFIERS, TEST_ACCURACY, ReportedClassifier
from analysis.tables.frames import (
    CONFIGURATION,
    Column,
    Table,
    accuracy,
    configuration,
    count,
    escape,
    mse,
    plural,
    points,
    short,
    spread,
)

FLOORS = {
    "most_frequent": "most frequent class",
    "nearest_mean": "nearest class mean",
    "1-nn": "1-nearest neighbour",
}
"""What needs no network, by its name in final.json, and its words."""

NAIVE, ANOTHER, CORRECTED = (model.preset for model in CLASSIFIERS)
SHOWN_KINDS = 60  # rows of a table that can still be read, and of a picture

_SPLITS = {
    ("omniglot", "drawers"): (
        "Split drawers: the 964 characters of the background set; drawers 1-14 train, 15-16 "
        "validate and 17-20 test, so no drawer of a test image was seen in training."
    ),
    ("omniglot", "decathlon"): (
        "Split decathlon: all 1,623 characters; of the 20 drawings of each, 11 train, 4 validate "
        "and 5 test, so drawers of test images were seen in training. Best published figure: "
        "0.8983 (Visual Decathlon, MTAN: Liu et al. 2019, arXiv:1803.10704); it comes from its "
        "own train/test protocol on images of another resolution, so it is a note and no contest."
    ),
}
_BEST_SINGLE_MNIST = 0.9983


@dataclass(frozen=True)
class Confused:
    """A class that was taken for another, `times` of `of` times over all seeds."""

    wanted: str
    taken_for: str
    times: float
    of: float


def classifier_blocks(run: Run) -> Iterator[Block]:
    """The winner beside the floors, the seed report's classifiers beside its numbers, and what
    the winner still mistakes."""
    chosen = winners(run)
    best = next(iter(chosen.values()), Result())  # the search has one group
    yield Heading("#### Best classifier")
    yield from _best(run, chosen)
    yield Heading("#### The report's classifiers")
    yield from _presets(run)
    yield _preset_curves(run)
    yield Heading(f"#### Accuracy per {kind_of(run)}")
    yield from accuracy_blocks(run, best)
    yield Heading("#### Most confused pairs")
    yield from confusion_blocks(run, best)


def best_classifier(run: Run) -> Table:
    """The best classifier beside the seed report and the floors."""
    chosen = winners(run)
    rows = [_best_row(run, group, chosen.get(group)) for group in run.groups or [""]]
    return Table(
        "best",
        pd.DataFrame(rows),
        (
            CONFIGURATION,
            Column("validation accuracy", lambda row: _spread(row, "validation")),
            Column("test accuracy", lambda row: _spread(row, "test", count_seeds=True)),
            Column(
                "seed report",
                lambda row: as_printed(row["seed_report_lowest"], row["seed_report_highest"]),
            ),
            *(
                Column(words, lambda row, name=name: accuracy(row[_floor_key(name)]))
                for name, words in FLOORS.items()
            ),
        ),
    )


def presets_beside_report(run: Run) -> Table:
    """The report's three classifiers, ours beside theirs: of the search's own run, and over the
    seeds of those that were trained again."""
    found = _report_presets(run)
    rows = [_preset_row(theirs, found.get(theirs.preset, Result())) for theirs in CLASSIFIERS]
    return Table(
        "presets",
        pd.DataFrame(rows),
        (
            Column("model", lambda row: f"`{row['model']}`", numeric=False),
            Column("epochs", lambda row: count(row["epochs"])),
            Column("train loss, ours", lambda row: _loss(row["train_loss"])),
            Column("train loss, theirs", lambda row: _loss(row["seed_report_train_loss"])),
            Column("train accuracy, ours", lambda row: accuracy(row["train_accuracy"])),
            Column("test accuracy, ours (one seed)", lambda row: accuracy(row["test_accuracy"])),
            Column(
                "test accuracy, theirs",
                lambda row: as_printed(*[row["seed_report_test_accuracy"]] * 2),
            ),
            Column(
                "test accuracy, ours, retrained",
                lambda row: spread(
                    row["retrained_test_accuracy"],
                    row["retrained_test_std"],
                    row["seeds"],
                    accuracy,
                    count_seeds=True,
                ),
            ),
        ),
    )


def activation_sentence(run: Run) -> str:
    """Whether the activation that the report forgot matters, paired over the retrained seeds."""
    found = _report_presets(run)
    naive, corrected = (_test_by_seed(found.get(name, Result())) for name in (NAIVE, CORRECTED))
    gains = [corrected[seed] - naive[seed] for seed in sorted(naive.keys() & corrected.keys())]
    if len(gains) < 2:
        return (
            "Whether the missing activation between the fully connected layers matters cannot be "
            f"judged here: `{NAIVE}` and `{CORRECTED}` share {plural(len(gains), 'retrained seed')}"
            f", and it takes two. `{blocks.resume_command(run)} --final-seeds 3` fills this."
        )
    mean, low, high = t_interval(gains)
    verdict = "includes 0, so these seeds do not show that it matters"
    if low > 0 or high < 0:
        verdict = f"excludes 0: it makes the classifier {'better' if low > 0 else 'worse'}"
    return (
        "Putting the missing activation between the fully connected layers back "
        f"changes test accuracy by {points(mean)} points [{points(low)}, {points(high)}] over "
        f"{len(gains)} seeds "
        f"(`{CORRECTED}` minus `{NAIVE}`, paired by seed, 95 % t-interval{_length(run)}); the "
        f"interval {verdict}."
    )


def _length(run: Run) -> str:
    """How long both were trained: one that learns more slowly is behind for as long as that is
    short."""
    found = _report_presets(run)
    epochs = {found[name].epochs for name in (NAIVE, CORRECTED) if name in found}
    told = sorted(count(one) for one in epochs if math.isfinite(one))
    return f", after {' and '.join(told)} epochs" if told else ""


def noise_sentence(run: Run) -> str:
    """How much of the report's gain the same model shows when it is only trained again."""
    theirs = {model.preset: model.test_accuracy for model in CLASSIFIERS}
    gain, again = theirs[CORRECTED] - theirs[NAIVE], abs(theirs[ANOTHER] - theirs[NAIVE])
    found = _report_presets(run)
    one, other = (found.get(name, Result()).own("test_accuracy") for name in (NAIVE, ANOTHER))
    deviation = found.get(NAIVE, Result()).deviation("test_accuracy")
    ours = "ours are not both measured yet"
    if math.isfinite(one - other):
        ours = f"ours differ by {100 * abs(one - other):.2f}"
    if math.isfinite(deviation):
        seeds = found[NAIVE].seeds
        ours += f", and `{NAIVE}` scatters by {100 * deviation:.2f} (std over {seeds} seeds)"
    return (
        f"The report's gain is {100 * gain:.0f} points ({theirs[NAIVE]:.2f} to "
        f"{theirs[CORRECTED]:.2f}), each model trained once; its `{NAIVE}` and `{ANOTHER}`, the "
        f"same model with another seed, differ by {100 * again:.0f}, so {100 * again:.0f} of the "
        f"{100 * gain:.0f} points are within seed noise. In points, {ours}."
    )


def t_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of at least two values and the ends of its 95 % t-interval.

    >>> [round(end, 3) for end in t_interval([0.0, 2.0])]
    [1.0, -11.706, 13.706]
    """
    mean = statistics.fmean(values)
    half = statistics.stdev(values) / math.sqrt(len(values)) * stdtrit(len(values) - 1, 0.975)
    return mean, mean - float(half), mean + float(half)


def accuracy_by_kind(winner: Result, kind: str) -> Table:
    """Test accuracy of each class or alphabet, the worst first."""
    overall = winner.value("test_accuracy")
    rows = [
        {kind: name, "test_accuracy": value, "minus_overall": value - overall}
        for name, value in _by_kind(winner)
    ]
    return Table(
        "accuracy",
        pd.DataFrame(rows),
        (
            Column(kind, lambda row: escape(row[kind].replace("_", " ")), numeric=False),
            Column("test accuracy", lambda row: accuracy(row["test_accuracy"])),
            Column("minus overall, points", lambda row: points(row["minus_overall"])),
        ),
        SHOWN_KINDS,
    )


def confused_pairs(pairs: Sequence[Confused]) -> Table:
    return Table(
        "confused",
        pd.DataFrame(
            [
                {"class": pair.wanted, "taken_for": pair.taken_for, "times": pair.times}
                | {"of": pair.of, "share": pair.times / pair.of if pair.of else math.nan}
                for pair in pairs
            ]
        ),
        (
            Column("class", lambda row: escape(row["class"]), numeric=False),
            Column("taken for", lambda row: escape(row["taken_for"]), numeric=False),
            Column("times", lambda row: f"{count(row['times'])} of {count(row['of'])}"),
        ),
    )


def _best(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    yield (
        f"{blocks.choice(run)} Accuracies are fractions of images. The floors need no network "
        "and are fitted on the training split: guessing the most frequent class, the nearest class "
        "mean of the pixels (each scaled to unit variance), the nearest training image. "
        f"{blocks.deviations(chosen.values())}"
    )
    yield best_classifier(run)
    budgets = blocks.budget_notes(run, chosen, lambda group: "Best classifier")
    yield from blocks.bullets([*budgets, *_beside_notes(run)])


def _beside_notes(run: Run) -> Iterator[str]:
    """What the table's other numbers are of, and how the data are split."""
    _, data, split = run.task
    if data == "omniglot":
        yield (
            "The seed report's range is of Omniglot (Task 3); it does not say how its images were "
            "split."
        )
    elif data in TEST_ACCURACY:
        part = ", of which mnist5k holds 5,000 images" if data == "mnist5k" else ""
        yield f"The seed report's number is stated for MNIST (Task 2){part}."
    if data == "mnist":
        yield f"Best published single network on MNIST: {_BEST_SINGLE_MNIST}."
    if (data, split) in _SPLITS:
        yield _SPLITS[data, split]


def _presets(run: Run) -> Iterator[Block]:
    data = run.data["name"]
    yield (
        "Train loss is as optimised, with dropout; train accuracy is measured on training images "
        "with dropout off. The search trains each model once; "
        f"`{NAIVE}` and `{CORRECTED}` are trained again with new seeds. "
        + (
            "The report's numbers are of Omniglot too, split in a way that it does not say."
            if data == "omniglot"
            else f"**The report's numbers are of Omniglot and ours of {escape(data)}: they do not "
            "compare.**"
        )
    )
    yield presets_beside_report(run)
    yield activation_sentence(run)
    yield noise_sentence(run)


def _accuracy_panel(run: Run) -> Panel:
    looks = zip(("1-nn", "nearest_mean"), (DASHED, DOTTED), strict=True)
    levels = tuple(
        Level(FLOORS[name], run.floor(name).value("validation_accuracy"), look)
        for name, look in looks
    )
    return Panel("validation_accuracy", "validation accuracy", ACCURACY, levels)


def _preset_curves(run: Run) -> Block:
    panels = [Panel("train_loss", "training loss, as optimised", LOSS), _accuracy_panel(run)]
    names = [model.preset for model in CLASSIFIERS]
    return picture(
        "curves-presets",
        figures.preset_curves(run, names, panels),
        "The report's classifiers: loss as optimised, log-log, and validation accuracy.",
    )


def trial_curves(run: Run) -> Block:
    """The validation accuracy of every trial."""
    return picture(
        "curves-trials",
        figures.trial_curves(run, dict.fromkeys(run.groups, _accuracy_panel(run))),
        "Validation accuracy of every trial; what lies below the range is drawn at its lower edge.",
    )


def accuracy_blocks(run: Run, best: Result) -> Iterator[Block]:
    """Accuracy of a winner by class or alphabet, as table and picture."""
    kind, found = kind_of(run), _by_kind(best)
    if not found:
        yield unknown(run)
        return
    more = len(found) - SHOWN_KINDS
    shown = f" The {SHOWN_KINDS} worst of {len(found)}; the CSV has all." if more > 0 else ""
    yield f"Of the test images of each {kind}, mean over the retrained networks.{shown}"
    yield accuracy_by_kind(best, kind)
    overall = best.value("test_accuracy")
    yield picture(
        f"accuracy-by-{kind}",
        classifier_figures.accuracy_by_kind(found[:SHOWN_KINDS], overall, kind),
        f"Test accuracy of each {kind}, worst first, beside that of all test images.",
    )


def confusion_blocks(run: Run, best: Result) -> Iterator[Block]:
    """The pairs that a winner confuses most, as table and picture."""
    if not isinstance(best.entry.get("confused"), list):
        yield unknown(run)
        return
    pairs = _pairs(best)
    if not pairs:
        yield "None: no retrained network mistook any test image."
        return
    yield (
        "Of the test images of the class, each seen by every retrained network: how often it was "
        "taken for the other."
    )
    yield confused_pairs(pairs)
    yield _confusion_picture(run, best, pairs)


def _confusion_picture(run: Run, best: Result, pairs: Sequence[Confused]) -> Block:
    file, name = f"best/{best.group}/confusions.npz", "confusions"
    try:
        images = read_images(run, file, ("mistaken", "class", "taken_for"))
    except RunError as error:
        return Skipped(f"{name}.png", str(error))
    if len(images[0]) != len(pairs):
        reason = f"{file} holds {len(images[0])} pairs, final.json {len(pairs)}"
        return Skipped(f"{name}.png", reason)
    labels = [
        (f"{count(pair.times)} of {count(pair.of)} times", pair.wanted, pair.taken_for)
        for pair in pairs
    ]
    return picture(
        name,
        classifier_figures.confusions(images, labels),
        "Most confused pairs: a test image that was mistaken, an image of its class, and one of "
        "the class that it was taken for.",
    )


def unknown(run: Run) -> str:
    """What stands where only a finished run has something to show."""
    return f"Not known yet: it takes a retrained winner. `{blocks.resume_command(run)}` makes one."


def kind_of(run: Run) -> str:
    """What accuracy is told apart by: the first part of a class's name."""
    return "alphabet" if run.data["name"] == "omniglot" else "class"


def _by_kind(winner: Result) -> list[tuple[str, float]]:
    """Accuracy by class or alphabet, the worst first."""
    listed = mapping(winner.entry.get("accuracy_by"))
    known = [(name, number(value)) for name, value in listed.items()]
    known = [(name, value) for name, value in known if math.isfinite(value)]
    return sorted(known, key=lambda entry: (entry[1], entry[0]))


def _pairs(winner: Result) -> list[Confused]:
    return [
        Confused(
            text(entry.get("class")),
            text(entry.get("taken_for")),
            number(entry.get("times")),
            number(entry.get("of")),
        )
        for entry in entries(winner.entry, "confused")
    ]


def _report_presets(run: Run) -> dict[str, Result]:
    """Ours of the report's classifiers; of one run twice, the first."""
    return {result.preset: result for result in reversed(preset_results(run))}


def _test_by_seed(result: Result) -> dict[float, float]:
    found = {run.get("seed", math.nan): run.get("test_accuracy", math.nan) for run in result.runs}
    return {
        seed: value for seed, value in found.items() if math.isfinite(seed) and math.isfinite(value)
    }


def _best_row(run: Run, group: Group, winner: Result | None) -> dict[str, Any]:
    reached = winner or Result()
    theirs = TEST_ACCURACY.get(run.data["name"], (math.nan, math.nan))
    return {
        "model": group,
        **configuration(winner),
        "validation_accuracy": reached.value("validation_accuracy"),
        "validation_std": reached.deviation("validation_accuracy"),
        "test_accuracy": reached.value("test_accuracy"),
        "test_std": reached.deviation("test_accuracy"),
        "seed_report_lowest": theirs[0],
        "seed_report_highest": theirs[1],
        **{_floor_key(name): run.floor(name).value("test_accuracy") for name in FLOORS},
    }


def _preset_row(theirs: ReportedClassifier, ours: Result) -> dict[str, Any]:
    return {
        "model": theirs.preset,
        "trial": ours.trial,
        "epochs": ours.epochs,
        "train_loss": ours.own("train_loss"),
        "seed_report_train_loss": theirs.train_loss,
        "train_accuracy": ours.own("train_accuracy"),
        "validation_accuracy": ours.own("validation_accuracy"),
        "test_accuracy": ours.own("test_accuracy"),
        "seed_report_test_accuracy": theirs.test_accuracy,
        "seeds": ours.seeds,
        "retrained_test_accuracy": ours.mean.get("test_accuracy", math.nan),
        "retrained_test_std": ours.deviation("test_accuracy"),
    }


def _floor_key(name: str) -> str:
    return f"{name.replace('-', '_')}_test_accuracy"


def _spread(row: dict[str, Any], which: str, count_seeds: bool = False) -> str:
    value, std = row[f"{which}_accuracy"], row[f"{which}_std"]
    return spread(value, std, row["seeds"], accuracy, count_seeds)


def _loss(value: float) -> str:
    """Four decimals, as the report prints.

    >>> _loss(0.2055), _loss(6.36995), _loss(2e-5), _loss(float("nan"))
    ('0.2055', '6.3700', '2e-05', '-')
    """
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e3 else mse(value) if value else short(value)


def as_printed(lowest: float, highest: float) -> str:
    """The report's accuracies with the digits that it prints.

    >>> as_printed(0.995, 0.995), as_printed(0.6, 0.65), as_printed(float("nan"), float("nan"))
    ('0.995', '0.60-0.65', '-')
    """
    if not math.isfinite(lowest):
        return "-"
    ends = [f"{end:.2f}" if end == round(end, 2) else f"{end:g}" for end in (lowest, highest)]
    return ends[0] if ends[0] == ends[1] else "-".join(ends)
