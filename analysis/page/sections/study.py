"""What the report says of a search's settings: which mattered, and where the good ones lie.

Reads `study.log`, the Optuna journal of a run folder, without a lock or a write, and makes of each
group (code size) a study of its own: a setting that matters at 1,024 units may not at 32.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from analysis.figures import study as study_figures
from analysis.figures.study import FEWEST_COMPLETE, IN_PARALLEL, SLICES, Searched, quiet
from analysis.page import blocks
from analysis.page.blocks import Block, Heading, picture
from analysis.read.runs import Group, Result, Run, RunError, Skipped, one_line
from analysis.tables.frames import Column, WideTable, escape, plural

FEWEST = 10  # trials of a group that importances are computed of
FEWEST_BEST = 5  # trials that Optuna wants among the best, to be stable
MOST_GROUPS = 3

_SHORT = 12  # letters of a choice beside an axis
_CAPITALS = re.compile(r"\b(l1|l2|pca|lda)\b")


@dataclass(frozen=True)
class GroupStudy:
    """What a group's trials came to: those that can be compared, and how many cannot."""

    group: Group
    searched: Searched
    best: int  # how many of the best trials the importances set against all
    best_stopped: int  # of these, those that were stopped early
    failed: int
    unfinished: int
    outside: tuple[str, ...]  # presets with a parameter outside the searched ranges

    @property
    def trials(self) -> int:
        return len(self.searched.numbers)

    @property
    def complete(self) -> int:
        return sum(self.searched.complete)


def study_blocks(run: Run, chosen: dict[Group, Result]) -> Iterator[Block]:
    """Importances, parallel coordinates, slices and contours of a run; `chosen` are its winners."""
    yield Heading("#### Which settings mattered")
    try:
        groups = read_groups(run, chosen)
    except RunError as error:
        yield Skipped("study.log", str(error))
        return
    shown = _most_sampled(run, groups)
    yield from _importances(run, groups, shown)
    for group in shown:
        if group.searched.importances:
            yield from _pictures(group)


def read_groups(run: Run, chosen: Mapping[Group, Result]) -> list[GroupStudy]:
    """A study per group that has a trial, in the run's order.

    Raises `RunError` if `study.log` is missing, broken or of something else. A half-written last
    line is left out, as a killed search leaves one.
    """
    try:
        with quiet():
            direction, trials = _read_trials(run)
            of = {group: [t for t in trials if _group(run, t) == group] for group in run.groups}
            return [
                _group_study(run, group, members, direction, chosen.get(group))
                for group, members in of.items()
                if members
            ]
    except FileNotFoundError:
        raise RunError("study.log is missing, so nothing can be said of its settings") from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        AssertionError,
        RuntimeError,  # of several goals, or nested without end
    ) as error:
        reason = f"study.log cannot be read as a journal of Optuna ({one_line(error)})"
        raise RunError(reason) from None


def importances(run: Run, groups: Sequence[GroupStudy]) -> WideTable:
    """Share of importance by parameter and group, the parameter that matters most first."""
    rows = [_importance_row(run, name, one) for name in _parameters(groups) for one in groups]
    shares = [
        Column(escape(one.searched.title), lambda row, one=one: _share(row["cells"][one.group]))
        for one in groups
    ]
    return WideTable(
        "importances",
        pd.DataFrame(rows, columns=["parameter", run.group, *_NUMBERS]),
        (Column("parameter", lambda row: escape(row["parameter"]), numeric=False), *shares),
        down="parameter",
        across=run.group,
    )


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
    storage = JournalStorage(_Journal((run.folder / "study.log").read_bytes()))
    studies = storage.get_all_studies()
    if not studies:
        raise ValueError("it holds no study")
    trials = storage.get_all_trials(studies[0]._study_id, deepcopy=False)
    return studies[0].direction, trials


def _group(run: Run, trial: FrozenTrial) -> Any:
    return trial.params.get(run.group)


def _group_study(
    run: Run,
    group: Group,
    trials: Sequence[FrozenTrial],
    direction: StudyDirection,
    winner: Result | None,
) -> GroupStudy:
    """The trials that were measured inside the searched ranges, ranked, and counts of the rest."""
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    closed = [one for one in trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    values = {one.number: _value(one, sign) for one in closed}
    inside = [one for one in closed if _inside(one)]
    measured = [one for one in inside if math.isfinite(values[one.number])]
    ranked = sorted(measured, key=lambda one: (-sign * values[one.number], -one.number))
    log = sign > 0 and all(values[one.number] > 0 for one in ranked)
    names = _names_in_words(run, ranked)
    study = optuna.create_study(direction=direction)
    for one in ranked:
        value = values[one.number]
        study.add_trial(_in_words(one, names, math.log10(value) if log else value))
    best = max(FEWEST_BEST, math.ceil(len(ranked) / 10))
    ids = [one.user_attrs.get("id") for one in ranked]
    searched = Searched(
        title=f"code {group}" if run.group == "latent_size" else str(group),
        study=study,
        goal=blocks.metric_words(run.metric).replace("\\", "") or "value",
        log=log,
        numbers=tuple(one.number for one in ranked),
        complete=tuple(one.state == TrialState.COMPLETE for one in ranked),
        importances=_evaluate(study, sorted(names.values()), best),
        winner=ids.index(winner.trial) if winner and winner.trial in ids else None,
    )
    return GroupStudy(
        group,
        searched,
        best,
        sum(not done for done in searched.complete[-best:]),
        sum(one.state == TrialState.FAIL for one in trials) + len(inside) - len(measured),
        len([one for one in trials if not one.state.is_finished()]),
        tuple(str(one.user_attrs.get("preset")) for one in closed if not _inside(one)),
    )


def _value(trial: FrozenTrial, sign: int) -> float:
    """The best epoch of a trial: its result, or the best it came to before it was stopped."""
    if trial.state == TrialState.COMPLETE:
        return float(trial.value)
    known = [value for value in trial.intermediate_values.values() if math.isfinite(value)]
    return sign * min((sign * value for value in known), default=math.nan)


def _inside(trial: FrozenTrial) -> bool:
    """Sampled, or a preset whose parameters all lie in the searched ranges: the journal has the
    nearest values inside, and the true ones beside them. The low end of a logarithmic range is
    as good as zero, which has no place on it."""
    true = trial.user_attrs.get("parameters")
    if trial.user_attrs.get("preset") == "sampled" or not isinstance(true, dict):
        return True
    return all(
        true.get(name, value) in (value, _zero(trial.distributions[name], value))
        for name, value in trial.params.items()
    )


def _zero(distribution: BaseDistribution, value: Any) -> Any:
    """What stands at `value`: zero at the low end of a logarithmic range, else the value."""
    lowest = getattr(distribution, "log", False) and value == distribution.low
    return 0 if lowest else value


def _names_in_words(run: Run, trials: Iterable[FrozenTrial]) -> dict[str, str]:
    """What each searched parameter is called; the names as they are where two would be one."""
    names = sorted({name for one in trials for name in one.params} - {run.group})
    words = {
        name: _CAPITALS.sub(lambda found: found[0].upper(), name.replace("_", " "))
        for name in names
    }
    return words if len(set(words.values())) == len(names) else {name: name for name in names}


def _in_words(trial: FrozenTrial, names: Mapping[str, str], value: float) -> FrozenTrial:
    """A complete trial of `value` with names and choices as a picture has room for."""
    params, distributions = {}, {}
    for name, words in names.items():
        if name in trial.params:
            said = _choices_in_words(trial.distributions[name])
            params[words] = said.get(trial.params[name], trial.params[name])
            distributions[words] = (
                CategoricalDistribution(tuple(said.values())) if said else trial.distributions[name]
            )
    return optuna.trial.create_trial(params=params, distributions=distributions, value=value)


def _choices_in_words(distribution: BaseDistribution) -> dict[Any, Any]:
    """Each choice as a picture says it: "yes" and "no", numbers as they are, words cut short where
    that leaves them different. Empty for a range."""
    if not isinstance(distribution, CategoricalDistribution):
        return {}
    said = {one: _choice_in_words(one) for one in distribution.choices}
    return said if len(set(said.values())) == len(said) else {one: one for one in said}


def _choice_in_words(choice: Any) -> Any:
    if isinstance(choice, bool):
        return "yes" if choice else "no"
    if isinstance(choice, str) and len(choice) > _SHORT:
        return f"{choice[: _SHORT - 1]}…"
    return choice


def _evaluate(study: optuna.Study, names: list[str], best: int) -> dict[str, float]:
    """PED-ANOVA's shares, the largest first and equal ones by name; empty where trials are few."""
    trials = len(study.get_trials(deepcopy=False))
    if trials < FEWEST or not names:
        return {}
    quantile = (best - 0.5) / trials  # half less, so that rounding up gives `best` exactly
    found = optuna.importance.get_param_importances(
        study, evaluator=PedAnovaImportanceEvaluator(target_quantile=quantile), params=names
    )
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _most_sampled(run: Run, groups: Sequence[GroupStudy]) -> list[GroupStudy]:
    """All groups, or those with most sampled trials where there are too many to show."""
    if len(groups) <= MOST_GROUPS:
        return list(groups)
    sampled = run.trials.loc[run.trials["preset"] == "sampled", run.group].value_counts()
    ranked = sorted(groups, key=lambda one: -sampled.get(one.group, 0))[:MOST_GROUPS]
    return [one for one in groups if one in ranked]


def _importances(
    run: Run, groups: Sequence[GroupStudy], shown: Sequence[GroupStudy]
) -> Iterator[Block]:
    if len(shown) < len(groups):
        yield (
            f"Of {len(groups)} groups only the {len(shown)} with most sampled trials are shown: "
            f"{', '.join(escape(one.searched.title) for one in shown)}."
        )
    measured = [one for one in shown if one.searched.importances]
    if measured:
        yield _METHOD
        yield importances(run, shown)
    yield from blocks.bullets(map(_note, shown))
    if not measured:
        yield Skipped("importances.png", f"no group has {FEWEST} trials that can be compared yet")
        return
    yield picture(
        "importances",
        study_figures.importances([one.searched for one in shown], _parameters(shown)),
        "Share of importance of each parameter by PED-ANOVA; dashed, what each would have if all "
        "mattered alike.",
    )


_METHOD = (
    "Importances are PED-ANOVA's, as Optuna computes it: how differently a parameter is "
    f"distributed among the best trials (a tenth of all, at least {FEWEST_BEST}) and among all, as "
    "shares of 1. It asks only which trials are the best. A trial that was stopped early can "
    "thus be counted, by its best epoch; a regression on the values (fANOVA) would have to leave "
    "those out or take few epochs for a bad parameter. The sampler tries more where it found good "
    "values, so a share says what set the best apart within this search, and of few trials it "
    "says that roughly. A preset's zero stands at the low end of a logarithmic range."
)


def _note(one: GroupStudy) -> str:
    """How many trials a group's importances rest on, and which were left out."""
    stopped = one.trials - one.complete
    told = f"{_title(one)}: {plural(one.trials, 'trial')} ({one.complete} complete"
    told += f", {stopped} stopped early)" if stopped else ")"
    if one.searched.importances:
        told += f", the best {one.best} against all"
        told += f" ({one.best_stopped} of these stopped early)" if one.best_stopped else ""
    else:
        told += f"; importances take at least {FEWEST}, so none are given and nothing is drawn"
    return f"{told}{_left_out(one)}."


def _left_out(one: GroupStudy) -> str:
    parts = [f"{one.failed} diverged or failed"] if one.failed else []
    parts += [f"{one.unfinished} not finished"] if one.unfinished else []
    if one.outside:
        names = ", ".join(f"`{escape(name)}`" for name in one.outside)
        parts.append(
            f"{plural(len(one.outside), 'preset')} with a parameter outside the searched ranges "
            f"({names})"
        )
    return f"; left out: {', '.join(parts)}" if parts else ""


def _pictures(one: GroupStudy) -> Iterator[Block]:
    searched, title = one.searched, _title(one)
    goal, total = escape(searched.goal), len(searched.importances)
    winner = "" if searched.winner is not None else " The winner is none of these trials."
    yield picture(
        _file("parallel", one),
        study_figures.parallel(searched),
        f"{title}: {_lines(searched)} as a line, dark where the {goal} is good, faint where it "
        f"was stopped early; {_which(len(searched.top(IN_PARALLEL)), total)}, by name.{winner}",
    )
    yield picture(
        _file("slices", one),
        study_figures.slices(searched),
        f"{title}: {goal} against {_which(len(searched.top(SLICES)), total)}; the lighter a dot, "
        f"the later the trial.{winner}",
    )
    if reason := _no_contour(one):
        yield Skipped(f"{_file('contour', one)}.png", reason)
        return
    first, second = map(escape, searched.pair)
    yield picture(
        _file("contour", one),
        study_figures.contour(searched),
        f"{title}: {goal} over {first} and {second}, the two most important parameters that are "
        f"numbers, interpolated between the {one.complete} complete trials (dots), whatever "
        "their other parameters were.",
    )


def _title(one: GroupStudy) -> str:
    """A group's name at the start of a sentence; names of models stay as they are."""
    return escape(re.sub(r"^code (?=\d+$)", "Code ", one.searched.title))


def _lines(searched: Searched) -> str:
    if searched.one_line_in == 1:
        return "every trial"
    return f"one trial in {searched.one_line_in}, evenly by rank from the best down,"


def _no_contour(one: GroupStudy) -> str:
    """Why a group has no contour; empty if it has one."""
    if one.complete < FEWEST_COMPLETE:
        return f"{plural(one.complete, 'complete trial')}; a contour takes {FEWEST_COMPLETE}"
    if len(one.searched.pair) < 2:
        return (
            "the complete trials all have one value, or do not differ in two parameters that are "
            "numbers"
        )
    return ""


def _file(kind: str, one: GroupStudy) -> str:
    """The name of a group's file: what a run folder calls a group is no path."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9_-]', '-', str(one.group))}"


def _which(shown: int, total: int) -> str:
    if shown == total:
        return "all parameters"
    return f"the {shown} most important of {total} parameters"


_NUMBERS = ["importance", "trials", "complete", "best"]


def _parameters(groups: Iterable[GroupStudy]) -> list[str]:
    """Every parameter, the one of the largest mean share first."""
    shares: dict[str, list[float]] = {}
    for one in groups:
        for name, share in one.searched.importances.items():
            shares.setdefault(name, []).append(share)
    return sorted(shares, key=lambda name: (-sum(shares[name]) / len(shares[name]), name))


def _importance_row(run: Run, name: str, one: GroupStudy) -> dict[str, Any]:
    return {
        "parameter": name,
        run.group: one.group,
        "importance": one.searched.importances.get(name, math.nan),
        "trials": one.trials,
        "complete": one.complete,
        "best": one.best if one.searched.importances else math.nan,
    }


def _share(row: Mapping[str, Any]) -> str:
    return f"{row['importance']:.2f}" if math.isfinite(row["importance"]) else "-"
