"""What a session prints before its first trial and after its last."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterator

from models.machine import cores_in_words, other_commands
from search.record.schema import COMPLETE, SEARCH_OUT_OF_TIME
from search.record.state import TrialRecord
from search.session.prepare import Session
from search.session.shown.progress import failure_line
from search.session.starts import Start
from search.task.own import changes
from search.task.settings import Settings
from search.tune.logbook import Logbook


def announce(session: Session, logbook: Logbook) -> None:
    settings, data = session.settings, session.data
    known = len(logbook.state.trials)
    print(
        f"search.{session.command.name}: {settings.num_samples} trials on {data.name} "
        f"({len(data.train):,} train / {len(data.validation):,} validation / "
        f"{len(data.test):,} test, {data.split} split), budget {settings.budget}: at most "
        f"{settings.max_epochs} epochs a trial{_how(session)}{_where(session)}"
    )
    if not settings.address and (others := other_commands("search")):
        print(
            f"another search runs on this machine (process {', '.join(map(str, others))}): each "
            "uses all cores, and they slow each other down; taskset -c gives each a part of them"
        )
    for line in _about_the_space(session):
        print(line)
    if known:
        print(
            f"going on after {known} trials, {len(logbook.state.unfinished())} of them unfinished"
        )
    print(f"run folder: {session.folder.location}", flush=True)


def _how(session: Session) -> str:
    """The settings of the scheduler that are not the default."""
    settings = session.settings
    is_default = settings.scheduler == Settings().scheduler
    name = "" if is_default else f", scheduler {settings.scheduler}"
    order = f", reproducible with up to {settings.reproducible} at a time"
    return name + (order if settings.reproducible else "")


def _where(session: Session) -> str:
    return "" if session.settings.address else f", on {cores_in_words()}"


def _about_the_space(session: Session) -> Iterator[str]:
    """Lines about the user's own ranges, the presets that these leave out, and the winners of
    `--start-from`."""
    ranges = [f"{c['name']} {c['searched']} (not {c['default']})" for c in changes(session.task)]
    left_out = [f"{name} ({', '.join(names)})" for name, names in session.left_out.items()]
    if ranges:
        yield f"own ranges: {', '.join(ranges)}"
    if left_out:
        yield f"presets left out, because they lie outside: {', '.join(left_out)}"
    for start in session.starts:
        yield f"the winner of {start.run} at {start.group} {_as_a_start(start)}"


def _as_a_start(start: Start) -> str:
    if not start.name:
        return "has no place in this search and is left out"
    tried = f"is tried first, as {start.name}" if start.parameters else f"equals {start.name} here"
    moves = ", ".join(_move(*each) for each in start.moved)
    return f"{tried}; moved: {moves}" if moves else tried


def _move(name: str, before: object, after: object) -> str:
    if before is None:
        return f"{name} {after} is new"
    return (
        f"{name} {before} is not searched here" if after is None else f"{name} {before} to {after}"
    )


def conclude(session: Session, logbook: Logbook, state: str) -> None:
    """Print what was found and where it is."""
    print(best_table(logbook))
    if failure := failure_line(logbook):
        print(f"{failure}\n")
    location, runs = session.folder.location, str(session.folder.path)
    print(f"everything is in {location}; for tables and pictures:")
    if "://" in location:
        runs = f"runs/{session.folder.name}"
        print(f"  python -m search.fetch {shlex.quote(_uri(session))} runs")
    print(f"  python -m analysis.report --runs {shlex.quote(runs)} --out report")
    if state == SEARCH_OUT_OF_TIME:
        done = len(logbook.state.trials) - len(logbook.state.unfinished())
        print(
            f"the time budget ended the search after {done} of {session.settings.num_samples} "
            f"trials: its results are complete. To go on:\n  {session.as_command()}"
        )


def _uri(session: Session) -> str:
    """The URI of a run in a bucket, as search.fetch takes it."""
    address, mark, query = session.settings.storage_path.partition("?")
    return f"{address.rstrip('/')}/{session.folder.name}{mark}{query}"


def best_table(logbook: Logbook) -> str:
    """The best configuration of each group, as text for a terminal."""
    task, rows = logbook.task, []
    width = max(6, *(len(str(group)) for group in logbook.space.groups))
    for group in logbook.space.groups:
        trial = logbook.best(group)
        if trial is None:
            rows.append(f"{group!s:>{width}}  no trial finished")
            continue
        value = trial.best_record(task.metric, task.mode)[task.metric]
        budget = "" if trial.state == COMPLETE else f" [stopped after {trial.epochs} epochs]"
        rows.append(
            f"{group!s:>{width}}  {value:10.5f}  {_test(logbook, trial):>19}  {trial.origin}: "
            f"{_in_words(trial.parameters, logbook.space.group)}{budget}"
        )
    what = logbook.space.group.replace("latent_", "")
    title = f"{what:>{width}}  {task.metric[:10]:>10}  {'test (retrained)':>19}  best configuration"
    return "\n".join(["", title, *rows, ""])


def _test(logbook: Logbook, trial: TrialRecord) -> str:
    name = logbook.task.metric.replace("validation_", "test_")
    name = name if name.startswith("test_") else f"test_{name}"
    values = [
        metrics[name]
        for (number, _), metrics in logbook.state.finals.items()
        if number == trial.number
    ]
    if not values:
        return "not read"
    spread = f" ± {statistics.stdev(values):.5f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.5f}{spread}"


def _in_words(parameters: dict, group: str) -> str:
    texts = {
        name: f"{value:.3g}" if isinstance(value, float) else str(value)
        for name, value in parameters.items()
        if name != group and value is not None
    }
    return ", ".join(f"{name} {value}" for name, value in texts.items())
