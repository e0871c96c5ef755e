"""The report's first part: what each search found, on one screen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import pandas as pd

from analysis.figures import answer as answer_figures
from analysis.figures.answer import Dot, Point
from analysis.page import blocks
from analysis.page.blocks import Block, picture
from analysis.page.course.words import enumerated
from analysis.page.sections.classifiers import as_printed
from analysis.page.sections.latent_probes import best_on_validation, configurations, place
from analysis.read.runs import Floor, Group, Result, Run, number, text, winners
from analysis.read.seed_report import BEST_TEST_LOSS, PROBE_ACCURACY, TEST_ACCURACY
from analysis.tables.frames import (
    Column,
    Row,
    Table,
    accuracy,
    configuration,
    count,
    escape,
    mse,
    plural,
    short,
    spread,
)

_TASKS = {
    "autoencoders": "autoencoder",
    "classifiers": "classifier",
    "latent_probes": "classifier of codes",
}
"""Words for what a command searches, in the order of the table's rows."""

_TOLD_SPLITS = ("drawers", "decathlon")
_ROOM = 56  # letters of a configuration's settings in the table
_SHARED = ("num_samples", "final_seeds")  # what a resumed search may have been given anew


@dataclass(frozen=True)
class Answer:
    """A row of the table: the best configuration of a run, or of one of its code sizes."""

    run: Run
    size: Group | None  # of the code; None for a classifier of images
    winner: Result  # an empty one where nothing has been measured yet
    words: str = ""  # its configuration
    theirs: tuple[float, float] = (math.nan, math.nan)  # lowest and highest of the seed report
    pca: Floor = field(default_factory=Floor)

    @property
    def of_images(self) -> bool:
        """Whether it draws images, and is judged by an error; else it tells classes."""
        return self.run.command == "autoencoders"

    @property
    def by_probe(self) -> bool:
        """Whether an autoencoder was chosen for its codes, not for its reconstructions."""
        return self.of_images and self.run.metric == "probe_accuracy"

    @property
    def tested(self) -> bool:
        return self.winner.seeds > 0

    @property
    def metric(self) -> str:
        """The test figure or, where nothing was retrained, that of the search."""
        return ("test_" if self.tested else "validation_") + (
            "mse" if self.of_images else "accuracy"
        )

    @property
    def value(self) -> float:
        return self.winner.value(self.metric)

    @property
    def ratio(self) -> float:
        """Test error as a multiple of PCA's with as many components."""
        floor = self.pca.value("test_mse")
        known = self.tested and not self.pca.exact and floor > 0
        return self.value / floor if known else math.nan


def answer_blocks(chosen: Sequence[Run]) -> Iterator[Block]:
    """What was found in words, a table, the commands, and a picture; of any number of runs."""
    runs = _in_order(chosen)
    found = [one for run in runs for one in answers(run)]
    if any(one.run.command == "latent_probes" for one in found):
        # What was searched for its codes is judged by the classifiers of codes.
        found = [one for one in found if not one.by_probe]
    if not found:
        yield "No search has a run to report yet; `python -m search.autoencoders` makes one."
        return
    yield " ".join([*_error_sentence(found), *_accuracy_sentence(found)]) or (
        "Nothing has been measured yet."
    )
    yield answer_table(found)
    yield from blocks.bullets(_run_notes(runs, found))
    yield picture(
        "overview",
        answer_figures.answer_figure(_points(found), _dots(found)),
        _caption(found),
    )
    yield from _commands(runs)
    yield from blocks.bullets(_reading_notes(found))


def answers(run: Run) -> list[Answer]:
    """The rows of one run; of a search of probes the best of each code size, on validation."""
    chosen = winners(run)
    if run.command == "autoencoders":
        return [_autoencoder(run, size, chosen.get(size)) for size in run.groups]
    if run.command == "classifiers":
        return [_classifier(run, chosen.get(group)) for group in run.groups or [""]]
    sizes = sorted({place(group)[1] for group in run.groups}, reverse=True)
    return [_probe(run, size, chosen) for size in sizes]


def answer_table(found: Sequence[Answer]) -> Table:
    """A row per task, data set and code size; the CSV also has what each was chosen from."""
    return Table(
        "answer",
        pd.DataFrame([_row(one) for one in found]),
        (
            Column("task", lambda row: row["task"], numeric=False),
            Column("data", _data, numeric=False),
            Column("code size", lambda row: count(row["latent_size"])),
            Column("test", _tested),
            Column("seed report", _theirs),
            Column("without a network", _floors, numeric=False),
            Column("test / PCA", lambda row: short(row["test_over_pca"])),
            Column("best configuration", _configuration, numeric=False),
        ),
    )


def repeat_command(run: Run) -> str:
    """The command that made a run, with flags for what it left to the machine it ran on, and with
    what a later session changed. Empty if it is not recorded."""
    argv = run.info.get("argv")
    if not isinstance(argv, list):
        return ""
    words = [str(word) for word in argv]
    settled = {"--dataset": run.data["name"], "--budget": text(run.info.get("budget"))}
    if source := text(run.settings.get("autoencoders")):
        settled["--autoencoders"] = PurePath(source).name
    for flag, value in settled.items():
        if value and not _given(words, flag):
            words += [flag, value]
    if run.settings.get("resume") is True:
        for name in _SHARED:
            if math.isfinite(value := number(run.settings.get(name))):
                words = _with_flag(words, f"--{name.replace('_', '-')}", count(value))
    return blocks.command_line(replace(run, info={**run.info, "argv": words}))


def _with_flag(words: Sequence[str], flag: str, value: str) -> list[str]:
    """A command line in which a flag has a value, in its old place if it had another.

    >>> _with_flag(["--seed", "3", "--name", "a"], "--seed", "4")
    ['--seed', '4', '--name', 'a']
    >>> _with_flag(["--seed=3"], "--seed", "4"), _with_flag([], "--seed", "4")
    (['--seed=4'], ['--seed', '4'])
    """
    changed = list(words)
    for turn, word in enumerate(words):
        if word.startswith(f"{flag}="):
            changed[turn] = f"{flag}={value}"
        elif word == flag and turn + 1 < len(words):
            changed[turn + 1] = value
    return changed if _given(words, flag) else [*changed, flag, value]


def _given(words: Sequence[str], flag: str) -> bool:
    return any(word == flag or word.startswith(f"{flag}=") for word in words)


def _in_order(runs: Iterable[Run]) -> list[Run]:
    known = [run for run in runs if run.command in _TASKS]
    return sorted(
        known,
        key=lambda run: (
            list(_TASKS).index(run.command),
            run.metric == "probe_accuracy",
            run.question,
        ),
    )


def _autoencoder(run: Run, size: Group, winner: Result | None) -> Answer:
    return Answer(
        run,
        size,
        winner or Result(),
        configuration(winner)["configuration"],
        (BEST_TEST_LOSS.get(size, math.nan),) * 2,
        run.floor("pca", str(size)),
    )


def _classifier(run: Run, winner: Result | None) -> Answer:
    theirs = TEST_ACCURACY.get(run.data["name"], (math.nan, math.nan))
    return Answer(run, None, winner or Result(), configuration(winner)["configuration"], theirs)


def _probe(run: Run, size: int, chosen: dict[Group, Result]) -> Answer:
    best = best_on_validation({g: one for g, one in chosen.items() if place(g)[1] == size})
    told = {(row["probe"], row["latent_size"]): row for row in configurations(run).rows}
    words = told[place(best.group)]["configuration"] if best.group else ""
    named = f"{escape(place(best.group)[0])}, {words}" if best.group else ""
    return Answer(run, size or None, best, named, (max(PROBE_ACCURACY.values()),) * 2)


def _row(one: Answer) -> dict[str, Any]:
    run, winner = one.run, one.winner
    mean = run.floor("mean_image") if one.of_images else Floor()
    probe = "test_probe_accuracy" if one.tested else "probe_accuracy"
    return {
        "task": _task(one),
        "data": run.data["name"],
        "split": text(run.data.get("split")),
        "stand_in": bool(text(run.data.get("note"))),
        "latent_size": math.nan if one.size is None else one.size,
        **configuration(winner if winner.trial else None),
        "configuration": one.words,
        "metric": one.metric if math.isfinite(one.value) else "",
        "value": one.value,
        "std": winner.deviation(one.metric),
        "probe_accuracy": winner.value(probe),
        "probe_std": winner.deviation(probe),
        "seed_report_lowest": one.theirs[0],
        "seed_report_highest": one.theirs[1],
        "pca_components": one.pca.components or math.nan,
        "pca_test_mse": one.pca.value("test_mse"),
        "mean_image_test_mse": mean.value("test_mse"),
        "pixels_1_nn_test_accuracy": run.floor("1-nn").value("test_accuracy"),
        "test_over_pca": one.ratio,
        "by_probe": one.by_probe,
        "short_of_budget": _short_of_budget(winner),
        "run": run.name,
        "finished": run.finished,
    }


def _task(one: Answer) -> str:
    words = _TASKS[one.run.command]
    return f"{words}, by probe accuracy" if one.by_probe else words


def _short_of_budget(winner: Result) -> bool:
    return bool(winner.trial) and winner.state != "complete"


def _data(row: Row) -> str:
    return _in_words(row["data"], row["split"]) + (" (a stand-in)" if row["stand_in"] else "")


def _where(run: Run) -> str:
    _, data, split = run.task
    return _in_words(data, split)


def _in_words(data: str, split: str) -> str:
    """A data set, and its split where that tells runs apart: omniglot has several."""
    return f"{escape(data)}, {escape(split)}" if split in _TOLD_SPLITS else escape(data)


def _tested(row: Row) -> str:
    show = mse if _of_images(row) else accuracy
    shown = spread(row["value"], row["std"], row["seeds"], show, count_seeds=True)
    if row["by_probe"] and math.isfinite(row["probe_accuracy"]):
        probe = spread(row["probe_accuracy"], row["probe_std"], row["seeds"], accuracy)
        shown += f"; probe {probe}"
    marks = "†" * row["short_of_budget"] + "‡" * (not row["finished"])
    return f"{shown} {marks}".rstrip() if shown != "-" else shown


def _configuration(row: Row) -> str:
    """What there is room for on one screen; the part on each run, and the CSV, have all."""
    name, colon, settings = row["configuration"].partition(": ")
    parts = settings.split(", ")
    kept = [part for turn, part in enumerate(parts) if len(", ".join(parts[: turn + 1])) <= _ROOM]
    more = ", …" if len(kept) < len(parts) else ""
    return f"{name}{colon}{', '.join(kept)}{more}" or "-"


def _theirs(row: Row) -> str:
    lowest, highest = row["seed_report_lowest"], row["seed_report_highest"]
    return mse(lowest) if _of_images(row) else as_printed(lowest, highest)


def _of_images(row: Row) -> bool:
    return row["task"].startswith(_TASKS["autoencoders"])


def _floors(row: Row) -> str:
    pca, components = row["pca_test_mse"], row["pca_components"]
    exact = Floor({"test_mse": pca}, int(components) if components > 0 else 0).exact
    known = [
        ("PCA", "0 (exact)" if exact else mse(pca)),
        ("mean image", mse(row["mean_image_test_mse"])),
        ("1-NN", accuracy(row["pixels_1_nn_test_accuracy"])),
    ]
    return ", ".join(f"{name} {shown}" for name, shown in known if shown != "-") or "-"


# In words


def _error_sentence(found: Sequence[Answer]) -> Iterator[str]:
    """What autoencoders reached; of those chosen for their codes the table alone speaks, unless
    there are no others."""
    known = [one for one in found if one.of_images and math.isfinite(one.value)]
    known = [one for one in known if not one.by_probe] or known
    if not known:
        return
    parts = [
        f"{enumerated([_error(one) for one in mine])} on {_where(run)}"
        for run, mine in _by_run(known)
    ]
    sentence = f"**Autoencoders** reach a mean squared error per pixel of {'; and of '.join(parts)}"
    beside = [one for one in known if math.isfinite(one.theirs[0])]
    if beside:
        tested = [one for one in beside if one.tested]
        best = min(tested or beside, key=lambda one: one.value)
        sentence += (
            f"; the seed report's best is {mse(best.theirs[0])} at code {best.size}"
            f"{_times(best.theirs[0] / best.value)}, of a data set that it does not name"
        )
    yield f"{sentence}."


def _error(one: Answer) -> str:
    beside = f", {short(one.ratio)} times PCA's" if math.isfinite(one.ratio) else ""
    unseen = "" if one.tested else ", on validation"
    return f"{mse(one.value)} at code {one.size}" + (
        f" ({(beside + unseen).removeprefix(', ')})" if beside + unseen else ""
    )


def _times(ratio: float) -> str:
    return f" ({ratio:.1f} times the error of ours)" if ratio >= 1.05 else ""


def _accuracy_sentence(found: Sequence[Answer]) -> Iterator[str]:
    known = [one for one in found if not one.of_images and math.isfinite(one.value)]
    images = [one for one in known if one.run.command == "classifiers"]
    if images:
        yield f"**Classifiers** reach an accuracy of {enumerated([_share(one) for one in images])}."
    codes = [_best_code(mine) for _, mine in _by_run(known) if mine[0] not in images]
    if codes:
        yield f"**From codes alone** the best reaches {enumerated([_share(one) for one in codes])}."


def _best_code(mine: Sequence[Answer]) -> Answer:
    """Of a search's code sizes the one that validation prefers."""
    best = best_on_validation({place: one.winner for place, one in enumerate(mine)})
    return next(one for one in mine if one.winner is best or not best.trial)


def _share(one: Answer) -> str:
    """An accuracy beside the seed report and the nearest neighbour."""
    beside = [] if one.tested else ["on validation"]
    beside += [f"seed report {as_printed(*one.theirs)}"] if math.isfinite(one.theirs[0]) else []
    nearest = one.run.floor("1-nn").value("test_accuracy")
    beside += [f"1-NN on pixels {accuracy(nearest)}"] if math.isfinite(nearest) else []
    code = "" if one.size is None else f" at code {one.size}"
    told = f" ({', '.join(beside)})" if beside else ""
    return f"{accuracy(one.value)} on {_where(one.run)}{code}{told}"


def _by_run(found: Iterable[Answer]) -> list[tuple[Run, list[Answer]]]:
    groups: dict[int, list[Answer]] = {}
    for one in found:
        groups.setdefault(id(one.run), []).append(one)
    return [(mine[0].run, mine) for mine in groups.values()]


# What the table's numbers are


def _reading_notes(found: Sequence[Answer]) -> Iterator[str]:
    images = [one for one in found if one.of_images]
    yield (
        "Test: "
        + " and ".join(
            ["mean squared error per pixel of autoencoders"] * bool(images)
            + ["accuracy of classifiers"] * (len(images) < len(found))
        )
        + ", of images that had no part in the choice; ± is the standard deviation over seeds of "
        "the retrained networks; (search) marks a validation figure of the search itself, where "
        "nothing was retrained."
    )
    if any(math.isfinite(one.theirs[0]) for one in images):
        size, loss = next(iter(BEST_TEST_LOSS.items()))
        yield (
            f"The seed report's {mse(loss)} is of its sparse autoencoder, code {size}; it names "
            "neither the data set nor the loss, and no code size for its other models."
        )
    yield from _theirs_notes(found)


def _theirs_notes(found: Sequence[Answer]) -> Iterator[str]:
    """Of which data the report's accuracies are."""
    classified = {one.run.data["name"] for one in found if one.run.command == "classifiers"}
    if "mnist5k" in classified:
        yield "The seed report's 0.995 is of MNIST, of which mnist5k holds 5,000 images."
    if "omniglot" in classified:
        ends = as_printed(*TEST_ACCURACY["omniglot"])
        yield (
            f"The seed report's {ends} on Omniglot is of three classifiers, on a split that it "
            "does not say."
        )
    coded = [one for one in found if one.run.command == "latent_probes"]
    others = sorted({one.run.data["name"] for one in coded} - {"omniglot"})
    if others:
        best = max(PROBE_ACCURACY.values())
        yield (
            f"**The seed report's {best:g} from codes is of Omniglot, not of "
            f"{escape(', '.join(others))}: they do not compare.**"
        )


def _run_notes(runs: Sequence[Run], found: Sequence[Answer]) -> Iterator[str]:
    """What keeps a row from being the last word."""
    for run in runs:
        if note := text(run.data.get("note")):
            yield f"**{_named(run)}: {escape(note)}.**"
    for run in runs:
        if not run.finished:
            wanted = count(number(run.settings.get("num_samples")))
            state = blocks.known(run.info.get("state"))
            yield (
                f"‡ **{_named(run)}: the search is not finished** (it is {state}, "
                f"{len(run.trials)} of {wanted} trials begun)."
            )
    for one in found:
        full = blocks.known(one.run.settings.get("max_epochs"))
        if not one.winner.trial:
            yield f"{_row_name(one)}: nothing has been measured yet."
        elif _short_of_budget(one.winner):
            yield (
                f"† {_row_name(one)}: the chosen trial {escape(one.winner.trial)} was not trained "
                f"to the full budget in the search (state {escape(one.winner.state) or 'unknown'}, "
                f"{count(one.winner.epochs)} of {full} epochs)."
            )


def _named(run: Run) -> str:
    by = ", by probe accuracy" if run.metric == "probe_accuracy" else ""
    return f"{_TASKS[run.command].capitalize()} on {_where(run)}{by}"


def _row_name(one: Answer) -> str:
    return _named(one.run) + ("" if one.size is None else f", code {one.size}")


# The picture


def _points(found: Sequence[Answer]) -> list[Point]:
    return [
        Point(
            one.run.data["name"],
            _series(one),
            one.size,
            one.value,
            one.winner.deviation(one.metric),
            one.tested,
            one.by_probe,
            math.nan if one.pca.exact else one.pca.value("test_mse"),
            one.run.floor("mean_image").value("test_mse"),
            one.theirs[0],
        )
        for one in found
        if one.of_images and one.value > 0 and isinstance(one.size, int)
    ]


def _series(one: Answer) -> str:
    """A run of autoencoders as the picture's legend names it."""
    by = ", chosen by probe accuracy" if one.by_probe else ""
    return f"{one.run.data['name']}{by}{'' if one.tested else ', validation'}"


def _dots(found: Sequence[Answer]) -> list[Dot]:
    return [
        Dot(
            one.run.data["name"],
            _dot_name(one),
            one.value,
            one.winner.deviation(one.metric),
            one.tested,
            one.theirs,
            one.run.floor("1-nn").value("test_accuracy"),
            one.run.command == "latent_probes",
        )
        for one in found
        if not one.of_images and math.isfinite(one.value)
    ]


def _dot_name(one: Answer) -> str:
    _, data, split = one.run.task
    if one.size is not None:
        return f"{data}, code {one.size}"
    return f"{data}, {split}" if split in _TOLD_SPLITS else data


def _caption(found: Sequence[Answer]) -> str:
    parts = []
    if _points(found):
        parts.append(
            "Error of the best autoencoder per code size, beside PCA with as many components "
            "(not drawn where it is exact), the mean image and the seed report"
        )
    if _dots(found):
        parts.append(
            "accuracy of the best classifier, of images and of codes, beside the seed report "
            "and the nearest neighbour on pixels"
        )
    if parts:
        parts.append("filled: of the test split; hollow: of validation, where nothing is retrained")
    caption = "; ".join(parts)
    return f"{caption[:1].upper()}{caption[1:]}." if caption else "The answer."


# The commands


def _commands(runs: Sequence[Run]) -> Iterator[Block]:
    yield (
        "Each of these commands repeats the search behind its rows, with its choice and its test, "
        "in a place where no run folder of its name is yet. The seed is the same; where trials run "
        "side by side, or a time budget ends them, another machine may sample others."
    )
    for run in runs:
        yield _command(run)


def _command(run: Run) -> str:
    trials = plural(len(run.trials), "trial")
    took = blocks.duration(number(run.info.get("seconds")))
    machine = text(run.info.get("machine"))
    on = blocks.known(run.info.get("device")) + (f" ({escape(machine)})" if machine else "")
    told = f"{_named(run)}: {trials}, {took} on {on}"
    if not run.finished:
        told += ", not finished"
    command = repeat_command(run)
    if not command:
        return f"{told}. Its command is not recorded."
    changed = ", in more than one session" if run.settings.get("resume") is True else ""
    return f"{told}{changed}.\n\n```\n{command}\n```"
