"""Run folders, read into plain data.

A fault in a file that a run cannot do without (`run.json`, the two CSV files) is a `RunError` of
one line. A value that is merely absent becomes nan or an empty string, because an interrupted
search leaves such holes and its report is still wanted. Nothing that is read here is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.read import older
from analysis.read.csvs import read_epochs, read_trials
from analysis.read.results import Final, Floor, Group, Result, as_group, read_final
from analysis.read.values import (
    RunError,
    column,
    finite,
    mapping,
    number,
    numbers,
    read_json,
    start_time,
    text,
)
from search.record.schema import (
    COMPLETE,
    DIVERGED,
    ENDED,
    EPOCHS_CSV,
    ERROR,
    FINAL_JSON,
    PRUNED,
    RUN_JSON,
    RUNNING,
    SAMPLED,
    SEARCH_FINISHED,
    TRIALS_CSV,
    trial_columns,
)

STATES = (COMPLETE, PRUNED, DIVERGED, ERROR, RUNNING)  # as a table lists them
FAILED = (DIVERGED, ERROR)  # in no choice
_LEADING = (COMPLETE, PRUNED, RUNNING)  # the full budget first, as the search chooses
NO_PARAMETERS = frozenset(trial_columns((), ()))


@dataclass(frozen=True)
class Run:
    """One run folder. `trials` has a row per trial, `epochs` one per trial and epoch, both with
    every column of their file: numbers where all of it are numbers, else words. Folders of earlier
    versions look like those of today."""

    folder: Path
    info: Mapping[str, Any]  # run.json
    start: datetime
    trials: pd.DataFrame
    epochs: pd.DataFrame
    final: Final | None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def command(self) -> str:
        return self.info["command"]

    @property
    def data(self) -> Mapping[str, Any]:
        return self.info["data"]

    @property
    def task(self) -> tuple[str, str, str]:
        """Command, data set and split: runs that differ here answer different questions."""
        return self.command, self.data["name"], text(self.data.get("split"))

    @property
    def question(self) -> tuple[str, ...]:
        """The task, the metric, and size and place of the images: of runs that agree here the
        newest answers best."""
        side, channels = finite(self.data.get("side"), 28), finite(self.data.get("channels"), 1)
        size = f"{side:g} x {channels:g}"
        return *self.task, self.metric, size, text(self.data.get("source"))

    @property
    def labelled(self) -> bool:
        return number(self.data.get("classes")) != 0

    @property
    def settings(self) -> Mapping[str, Any]:
        return mapping(self.info.get("settings"))

    @property
    def state(self) -> str:
        """A state of the schema; empty where run.json has none."""
        return text(self.info.get("state"))

    @property
    def sessions(self) -> list[Mapping[str, Any]]:
        """Machine, device, versions, commit, start and seconds of each session, the first session
        first. Folders of earlier versions know the last session alone."""
        known = self.info.get("sessions")
        return [mapping(one) for one in known] if isinstance(known, list) and known else [self.info]

    @property
    def machines(self) -> list[str]:
        """Device and machine of each session, in words; equal ones once."""
        words = [f"{text(s.get('device'))} ({text(s.get('machine'))})" for s in self.sessions]
        return list(dict.fromkeys(words))

    @property
    def code(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Commit and versions of each session; equal ones once."""
        found = [(text(s.get("git_commit")), mapping(s.get("versions"))) for s in self.sessions]
        return [one for i, one in enumerate(found) if one not in found[:i]]

    @property
    def processor(self) -> str:
        """GPU or CPU: GPU where any session had one."""
        devices = {text(session.get("device")) for session in self.sessions}
        return "GPU" if devices - {"", "cpu"} else "CPU"

    @property
    def ended(self) -> bool:
        """Whether the search ended as planned, by itself or by its time budget: it is a result."""
        return self.state in ENDED

    @property
    def finished(self) -> bool:
        """Whether every trial ended, so that a resumed search would need more of them."""
        return self.state == SEARCH_FINISHED

    @property
    def metric(self) -> str:
        return text(self.info.get("metric"))

    @property
    def maximised(self) -> bool:
        """Whether the highest value of the metric is best."""
        return self.info.get("mode") == "max"

    @property
    def sign(self) -> int:
        """What the metric is multiplied by, so that the lowest is best: -1 or 1."""
        return -1 if self.maximised else 1

    @property
    def max_epochs(self) -> float:
        """The last epoch of the budget; nan where run.json does not say it."""
        return number(self.settings.get("max_epochs"))

    @property
    def grace_epochs(self) -> float:
        return number(self.settings.get("grace_epochs"))

    @property
    def scheduler(self) -> str:
        """What ended trials early, as `--scheduler` names it."""
        return text(self.info.get("scheduler")) or "asha"

    @property
    def rungs(self) -> list[int]:
        """The epochs at which the scheduler decides; none where run.json does not say enough."""
        return [int(rung) for rung in self.info["rungs"]]

    @property
    def group(self) -> str:
        """The parameter that each have a winner: a column of trials.csv."""
        return _group_name(self.info)

    @property
    def groups(self) -> list[Group]:
        """What was searched a winner for: code sizes, largest first, or names."""
        listed = self.info.get("groups", self.info.get(f"{self.group}s"))
        found = [*listed] if isinstance(listed, list) else []
        found += list(self.trials[self.group])
        found += [winner.group for winner in self.final.winners] if self.final else []
        groups = {group for each in found if (group := as_group(each, self.group)) is not None}
        return ordered(groups)

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state: as run.json counts them, else counted in trials.csv."""
        listed = mapping(self.info.get("counts"))
        source = listed or self.trials["state"].value_counts().to_dict()
        names = [*STATES, *sorted(set(source) - set(STATES))]
        return {name: int(finite(source.get(name), 0)) for name in names}

    @property
    def sampled(self) -> pd.Series:
        """Of each row of `trials`, whether it is no preset."""
        return self.trials["preset"].isin([SAMPLED, ""])

    def best(self, metric: str = "") -> pd.Series:
        """Of each row of `trials` its best value of the metric, by default the searched one."""
        return column(self.trials, f"best_{metric or self.metric}")

    def parameters(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters in a row of `trials`."""
        return {
            name: value
            for name, value in trial.items()
            if name in self.trials and name not in NO_PARAMETERS
            if not name.startswith(("best_", "last_"))
        }

    def floor(self, *names: str) -> Floor:
        """A floor by the keys of final.json that lead to it, as ("mean_image") or ("pca", "32")."""
        return self.final.floor(*names) if self.final else Floor()


@dataclass(frozen=True)
class Skipped:
    """Something that could not be reported, and why, in one line."""

    name: str
    reason: str


def find_runs(folder: Path) -> tuple[list[Run], list[Skipped]]:
    """Read `folder` if it is a run folder, else each folder in it, by name.

    Hidden folders are passed over. Raises `RunError` if `folder` is no folder.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder")
    folders = [folder.resolve()]
    if not (folder / RUN_JSON).exists():
        inside = sorted(folder.iterdir())
        folders = [path for path in inside if path.is_dir() and not path.name.startswith(".")]
    runs: list[Run] = []
    skipped: list[Skipped] = []
    for path in folders:
        try:
            runs.append(read_run(path))
        except RunError as error:
            skipped.append(Skipped(path.name, str(error)))
    return runs, skipped


def read_run(folder: Path) -> Run:
    """Read one run folder. Raises `RunError` naming the file that is missing or broken."""
    if not (folder / RUN_JSON).exists():
        raise RunError(f"not a run folder (no {RUN_JSON})")
    info = read_json(folder / RUN_JSON)
    if not isinstance(info.get("command"), str) or not text(mapping(info.get("data")).get("name")):
        raise RunError(f"{RUN_JSON} names no command or no data set")
    path, group, start = folder / FINAL_JSON, _group_name(info), start_time(info, RUN_JSON)
    final = read_final(read_json(path), group) if path.exists() else None
    info = older.complete_info(info, retrained=bool(final and final.winners))
    trials = older.complete_trials(read_trials(folder / TRIALS_CSV, group))
    epochs = older.complete_epochs(read_epochs(folder / EPOCHS_CSV), trials, info)
    return Run(folder, info, start, trials, epochs, final)


def newest(runs: Iterable[Run]) -> tuple[list[Run], list[Run]]:
    """The newest run of each command, data set, split and metric, and the others, both in a fixed
    order."""
    by_age = sorted(runs, key=lambda run: (run.start, run.name))
    chosen = {run.question: run for run in by_age}
    others = [run for run in by_age if chosen[run.question] is not run]
    return [chosen[key] for key in sorted(chosen)], others


def winners(run: Run) -> dict[Group, Result]:
    """The winner of each group, in their order: as final.json says, else the trial that leads.

    A trial short of the full budget leads only where none had it; one that diverged or raised
    never does. Groups without any measured trial are absent.
    """
    known = {winner.group: winner for winner in run.final.winners} if run.final else {}
    found = {group: known.get(group) or _leader(run, group) for group in run.groups}
    return {group: winner for group, winner in found.items() if winner}


def preset_results(run: Run) -> list[Result]:
    """The presets with test figures from final.json, else with the best epoch of trials.csv."""
    known = {result.trial for result in run.final.presets} if run.final else set()
    found = list(run.final.presets) if run.final else []
    rows = run.trials[~run.sampled].sort_values("number")
    return found + [
        _result_of_trial(run, row) for row in rows.to_dict("records") if row["id"] not in known
    ]


def ordered(groups: Iterable[Group]) -> list[Group]:
    """Code sizes, the largest first, then names by the alphabet."""
    found = set(groups)
    sizes = sorted((group for group in found if isinstance(group, int)), reverse=True)
    return [*sizes, *sorted(group for group in found if isinstance(group, str))]


def _group_name(info: Mapping[str, Any]) -> str:
    return text(info.get("group")) or "latent_size"


def _result_of_trial(run: Run, row: Mapping[str, Any]) -> Result:
    best = {name.removeprefix("best_"): row[name] for name in row if name.startswith("best_")}
    return Result(
        row["id"],
        row["preset"] or SAMPLED,
        as_group(row[run.group], run.group),
        row["state"],
        number(row.get("epochs")),
        run.parameters(row),
        numbers(best),
    )


def _leader(run: Run, group: Group) -> Result | None:
    trials = run.trials.assign(value=run.sign * run.best())
    usable = trials[
        (trials[run.group] == group) & np.isfinite(trials["value"]) & trials["state"].isin(_LEADING)
    ]
    if usable.empty:
        return None
    ranked = usable.assign(rank=usable["state"].map(_LEADING.index))
    first = ranked.sort_values(["rank", "value", "number"]).index[:1]
    return _result_of_trial(run, run.trials.loc[first].to_dict("records")[0])
