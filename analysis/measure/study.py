"""Which settings mattered in a search, and where the good ones lie.

Reads `study.log`, the Optuna journal of a run folder, without a lock or a write, and makes of each
group (code size) a study of its own: a setting that matters at 1,024 units may not at 32.
"""

from __future__ import annotations

import json
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from analysis.read.runs import Group, Result, Run
from analysis.read.values import RunError, one_line
from search.record.schema import SAMPLED, STUDY_LOG

FEWEST = 10  # trials of a group for importances
FEWEST_BEST = 5  # trials that Optuna wants among the best, to be stable
FEWEST_COMPLETE = 5  # trials under a contour
MOST_GROUPS = 3
MOST_LINES = 80  # of parallel coordinates: more cannot be told apart


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Imports of a package fail in here, unless it is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


# Optuna's other evaluators need scikit-learn, which takes as long to import as all else does here.
with _without("sklearn"):
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

_CAPITALS = re.compile(r"\b(l1|l2|pca|lda)\b")
_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    AssertionError,
    RuntimeError,  # of several goals, or nested without end
)


@dataclass(frozen=True)
class GroupStudy:
    """The comparable trials of one group, the worst first.

    `parameters` has a row per trial and a column per parameter, named in words; `values` are the
    trials' best values of the searched metric. `numbers` and `complete` say of each trial which
    trial of the run it is and whether it had the full budget. `importances` sum to 1, the largest
    first, and are empty where the trials are too few.
    """

    group: Group
    parameters: pd.DataFrame
    values: np.ndarray
    numbers: np.ndarray
    complete: np.ndarray
    distributions: Mapping[str, BaseDistribution]  # by the names in words
    maximised: bool
    importances: Mapping[str, float]
    winner: int | None  # index of the chosen trial, if it is among these
    best: int  # how many of the best trials the importances set against all
    failed: int
    unfinished: int
    outside: tuple[str, ...]  # presets with a parameter outside the searched ranges

    @property
    def best_stopped(self) -> int:
        """Of the best trials, those that were stopped early."""
        return int((~self.complete[-self.best :]).sum())

    def top(self, number: int) -> list[str]:
        """The most important parameters that all trials have and that had more than one value."""
        return [name for name in self.importances if _varied(self.parameters[name])][:number]

    @property
    def pair(self) -> list[str]:
        """The two most important parameters that are numbers and varied among complete trials;
        none if all complete trials have the same result."""
        if len(set(self.values[self.complete])) < 2:
            return []
        numeric = [name for name in self.importances if not self.choices(name)]
        return [name for name in numeric if _varied(self.parameters.loc[self.complete, name])][:2]

    @property
    def has_contour(self) -> bool:
        return self.complete.sum() >= FEWEST_COMPLETE and len(self.pair) == 2

    @property
    def one_line_in(self) -> int:
        """Parallel coordinates show one trial of this many, in the order of their values."""
        return math.ceil(len(self.numbers) / MOST_LINES)

    @property
    def lines(self) -> list[int]:
        """Every `one_line_in`-th trial from the best down, and the winner."""
        kept = range(len(self.numbers) - 1, -1, -self.one_line_in)
        return sorted({*kept, *([] if self.winner is None else [self.winner])})

    def choices(self, name: str) -> list[Any]:
        """The choices of a parameter; none where it is a number."""
        return list(getattr(self.distributions[name], "choices", ()))

    def is_log(self, name: str) -> bool:
        return bool(getattr(self.distributions[name], "log", False))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's notes, such as that trials are few: the report says so where it matters."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def read_groups(run: Run, chosen: Mapping[Group, Result]) -> list[GroupStudy]:
    """A study per group that has a trial, in the run's order; `chosen` are the run's winners.

    Raises `RunError` if `study.log` is missing, broken or of something else. A half-written last
    line is left out, as a killed search leaves one.
    """
    try:
        with _quiet():
            direction, trials = _read_trials(run)
            found = {
                group: [trial for trial in trials if trial.params.get(run.group) == group]
                for group in run.groups
            }
            return [
                _group_study(run, group, members, direction, chosen.get(group))
                for group, members in found.items()
                if members
            ]
    except FileNotFoundError:
        raise RunError("it is missing, so nothing can be said about its settings") from None
    except _FAULTS as error:
        raise RunError(f"it cannot be read as a journal of Optuna ({one_line(error)})") from None


def most_sampled(run: Run, groups: Sequence[GroupStudy]) -> list[GroupStudy]:
    """All groups, or those with most sampled trials where there are too many to show."""
    sampled = run.trials.loc[run.sampled, run.group].value_counts()
    ranked = sorted(groups, key=lambda each: -sampled.get(each.group, 0))[:MOST_GROUPS]
    return [each for each in groups if each in ranked]


def by_mean_importance(groups: Sequence[GroupStudy]) -> list[str]:
    """Every parameter, the one of the largest mean share first."""
    shares: dict[str, list[float]] = {}
    for each in groups:
        for name, share in each.importances.items():
            shares.setdefault(name, []).append(share)
    return sorted(shares, key=lambda name: (-sum(shares[name]) / len(shares[name]), name))


class _Journal(BaseJournalBackend):
    """The whole lines of a journal's bytes, for reading only: Optuna's own file backend makes the
    file where there is none."""

    def __init__(self, raw: bytes):
        self._lines = raw[: raw.rfind(b"\n") + 1].splitlines()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return map(json.loads, self._lines[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise OSError("a report writes nothing into a run folder")


def _read_trials(run: Run) -> tuple[StudyDirection, list[FrozenTrial]]:
    storage = JournalStorage(_Journal((run.folder / STUDY_LOG).read_bytes()))
    studies = storage.get_all_studies()
    if not studies:
        raise ValueError("it holds no study")
    trials = storage.get_all_trials(studies[0]._study_id, deepcopy=False)
    return studies[0].direction, trials


def _group_study(
    run: Run,
    group: Group,
    trials: Sequence[FrozenTrial],
    direction: StudyDirection,
    winner: Result | None,
) -> GroupStudy:
    """The trials that were measured inside the searched ranges, ranked, and counts of the rest."""
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    closed = [each for each in trials if each.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    values = {each.number: _value(each, sign) for each in closed}
    inside = [each for each in closed if _inside(each)]
    measured = [each for each in inside if math.isfinite(values[each.number])]
    ranked = sorted(measured, key=lambda each: (-sign * values[each.number], -each.number))
    best = max(FEWEST_BEST, math.ceil(len(ranked) / 10))
    names = sorted({name for each in ranked for name in each.params} - {run.group})
    shares = _importances(direction, ranked, values, names, best)
    words = _in_words(names)
    ids = [each.user_attrs.get("id") for each in ranked]
    return GroupStudy(
        group=group,
        parameters=pd.DataFrame([each.params for each in ranked])
        .reindex(columns=names)
        .rename(columns=words),
        values=np.array([values[each.number] for each in ranked], dtype=float),
        numbers=np.array([each.number for each in ranked], dtype=int),
        complete=np.array([each.state == TrialState.COMPLETE for each in ranked], dtype=bool),
        distributions={
            words[n]: each.distributions[n] for each in ranked for n in words if n in each.params
        },
        maximised=sign < 0,
        importances={words[name]: share for name, share in shares.items()},
        winner=ids.index(winner.trial) if winner and winner.trial in ids else None,
        best=best,
        failed=sum(each.state == TrialState.FAIL for each in trials) + len(inside) - len(measured),
        unfinished=sum(not each.state.is_finished() for each in trials),
        outside=tuple(str(t.user_attrs.get("preset")) for t in closed if not _inside(t)),
    )


def _varied(values: pd.Series) -> bool:
    return bool(values.notna().all()) and values.nunique() > 1


def _value(trial: FrozenTrial, sign: int) -> float:
    """The best epoch of a trial: its result, or its best before it was stopped."""
    if trial.state == TrialState.COMPLETE:
        return float(trial.value)
    known = [value for value in trial.intermediate_values.values() if math.isfinite(value)]
    return sign * min((sign * value for value in known), default=math.nan)


def _inside(trial: FrozenTrial) -> bool:
    """Sampled, or a preset whose parameters all lie in the searched ranges: the journal has the
    nearest values inside, and the true ones beside them. The low end of a logarithmic range is
    as good as zero, which has no place on it."""
    true = trial.user_attrs.get("parameters")
    if trial.user_attrs.get("preset") == SAMPLED or not isinstance(true, dict):
        return True
    return all(
        true.get(name, value) in (value, _zero(trial.distributions[name], value))
        for name, value in trial.params.items()
    )


def _zero(distribution: BaseDistribution, value: Any) -> Any:
    """Zero for the low end of a logarithmic range, else the value."""
    lowest = getattr(distribution, "log", False) and value == distribution.low
    return 0 if lowest else value


def _in_words(names: Sequence[str]) -> dict[str, str]:
    """Words for each parameter; the names as they are where two would have the same words."""
    words = {
        name: _CAPITALS.sub(lambda found: found[0].upper(), name.replace("_", " "))
        for name in names
    }
    return words if len(set(words.values())) == len(names) else {name: name for name in names}


def _importances(
    direction: StudyDirection,
    trials: Sequence[FrozenTrial],
    values: Mapping[int, float],
    names: Sequence[str],
    best: int,
) -> dict[str, float]:
    """PED-ANOVA's shares, the largest first and equal ones by name; empty where trials are few."""
    if len(trials) < FEWEST or not names:
        return {}
    study = optuna.create_study(direction=direction)
    for each in trials:
        held = {name: each.params[name] for name in names if name in each.params}
        ranges = {name: each.distributions[name] for name in held}
        value = values[each.number]
        study.add_trial(optuna.trial.create_trial(params=held, distributions=ranges, value=value))
    quantile = (best - 0.5) / len(trials)  # half less, so that rounding up gives `best` exactly
    found = get_param_importances(
        study, evaluator=PedAnovaImportanceEvaluator(target_quantile=quantile), params=[*names]
    )
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))
