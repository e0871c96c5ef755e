"""What a section of the report is made of, and what the sections share: a run's origin, how its
winners were chosen, its files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.read.commands import command_line, resume_command  # noqa: F401
from analysis.read.runs import FAILED, Group, Result, Run, Skipped, column, mapping, number, text
from analysis.tables import frames as tables
from analysis.tables.formats import data_words, duration, known, metric_words
from analysis.tables.frames import Table, escape

COMMANDS = {
    "autoencoders": "Autoencoders",
    "classifiers": "Classifiers",
    "latent_probes": "Classifiers of codes",
}
"""Of each command that a run folder may come from, in the report's order, its heading."""


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its file and a sentence that says what it shows."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Heading:
    words: str


Block = str | Heading | Table | Picture | Skipped
"""What a section is made of, in order: a paragraph of Markdown, a heading, a table, a picture, or
something that had to be left out. Another output format renders the same blocks."""


def where(run: Run) -> str:
    """The data set, with its split where it has several, as a heading or a list names them."""
    return data_words(run.data["name"], text(run.data.get("split")))


def cautions(run: Run) -> Iterator[str]:
    """What a reader of any of a run's results must know first; nothing where all is well."""
    if note := text(run.data.get("note")):
        yield f"**{escape(note)}**"
    if not run.finished:
        yield (
            f"**This search is not finished (it is {known(run.info.get('state'))}): what follows "
            f"is what it had found.** To go on with it: `{resume_command(run)}`"
        )


def provenance(run: Run) -> Iterator[Block]:
    """What it takes to repeat a run: data, split, seeds, budget, machine, versions, command."""
    data, info = run.data, run.info
    sizes = ", ".join(f"{known(data.get(name))} {name}" for name in ("train", "validation", "test"))
    seeds = run.final.seeds if run.final else ()
    retrained = (
        f"winners retrained with seeds {', '.join(map(str, seeds))}{_refit(run)}"
        if seeds
        else "winners not retrained"
    )
    states = ", ".join(f"{count} {state}" for state, count in run.counts.items() if count)
    versions = ", ".join(
        f"{escape(str(name))} {escape(str(version))}"
        for name, version in mapping(info.get("versions")).items()
    )
    yield (
        f"Data set {escape(data['name'])} (split {known(data.get('split'))}: {sizes} images of "
        f"{known(data.get('classes'))} classes{', centred' if data.get('centred') else ''}; "
        f"sha256 {known(text(data.get('sha256')))}). "
        f"Budget {known(info.get('budget'))} on {known(info.get('device'))} "
        f"({known(info.get('machine'))}), started {known(info.get('start'))}, "
        f"{duration(number(info.get('seconds')))} of wall time, the search's trials "
        f"{duration(device_seconds(run))} of {device_word(run)} time; "
        f"search seed {known(info.get('seed'))}, {retrained}; "
        f"trials: {states or 'none'}. Commit {known(text(info.get('git_commit')))}; "
        f"{versions or 'versions unknown'}."
    )
    yield f"```\n{command_line(run)}\n```"


def device_seconds(run: Run) -> float:
    """Seconds that trials held their worker, summed over all epochs."""
    return float(column(run.epochs, "seconds").sum())


def device_word(run: Run) -> str:
    return "CPU" if text(run.info.get("device")) in ("", "cpu") else "GPU"


def _refit(run: Run) -> str:
    """On what winners were retrained, where that is not the training split alone."""
    if run.final is None or run.final.refit_on != "train+validation":
        return ""
    return (
        " on the training and the validation split, for as many epochs as the search chose (so "
        "they have no validation figure)"
    )


def choice(run: Run) -> str:
    """How the winners were chosen, as a sentence."""
    goal = "highest" if run.info.get("mode") == "max" else "lowest"
    by = f"the {goal} {metric_words(run.metric)}" if run.metric else "a metric that is not recorded"
    return (
        f"Chosen by {by}, on the validation split only; the test split is read once, after the "
        "choice."
    )


def deviations(chosen: Iterable[Result]) -> str:
    """What ± and (search) mean in a table of winners, as a sentence."""
    listed = list(chosen)
    if not listed:
        return "Nothing has been measured yet."
    if all(winner.seeds for winner in listed):
        return "± is the standard deviation over the seeds of the retrained networks."
    return (
        "Where no winner was retrained there is no test figure; (search) marks a figure of "
        "the search itself."
    )


def budget_notes(
    run: Run, chosen: dict[Group, Result], name: Callable[[Group], str]
) -> Iterator[str]:
    """Which winners had less than the full budget, and which groups have none."""
    full = known(run.settings.get("max_epochs"))
    for group, winner in chosen.items():
        if winner.state != "complete":
            yield (
                f"{name(group)}: the chosen trial {escape(winner.trial)} was not trained to the "
                f"full budget in the search (state {winner.state or 'unknown'}, "
                f"{tables.count(winner.epochs)} of {full} epochs)."
            )
    for group in run.groups:
        if group not in chosen:
            yield f"{name(group)}: no trial has been measured yet."


def bullets(notes: Iterable[str]) -> Iterator[str]:
    """Notes as one paragraph of Markdown, none if there are none."""
    if lines := [f"- {note}" for note in notes]:
        yield "\n".join(lines)


def files(run: Run, best: str) -> Iterator[Block]:
    """What is where; `best` names the winners' folders."""
    for state in FAILED:
        names = list(run.trials.loc[run.trials["state"] == state, "id"])
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            yield f"Trials that ended as {state}: {escape(', '.join(names[:10]))}{more}."
    yield (
        f"In the run folder `{run.name}`: `run.json` (settings), `trials.csv` (every trial), "
        f"`epochs.csv` (every curve), `final.json` (every seed), {best}."
    )


def picture(name: str, figure: Figure | None, caption: str) -> Picture | Skipped:
    if figure is None:
        return Skipped(f"{name}.png", "the run holds nothing to draw yet")
    return Picture(name, figure, caption)
