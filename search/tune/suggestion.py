"""What to try next: Optuna's TPE on the honest ranking of the trials so far.

A suggestion is a function of (history, space, group, seed, number) and of nothing else. That is
what makes a resumed search ask for what the uninterrupted one would have asked for: there is no
sampler state to lose. A `Suggester` keeps the history in the order that TPE wants it in, so that
the ten-thousandth suggestion costs what the 250th did; one that was shown the same
trials, in whatever order and however often, suggests the same.

TPE is shown the `SHOWN_BEST` best trials of a family, the `SHOWN_RECENT` latest of the others, and
all that are running. The best are the ones that it would have called good among all: Optuna takes
a tenth of the trials for good ones and never more than 25. Of the others it models where not to
look, in full weight the last 25 and each older one less (`optuna.samplers._tpe.sampler`,
`default_gamma` and `default_weights`), so what is left out is what counted least.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search.record.state import COMPLETE, PRUNED, RUNNING, TrialRecord
from search.task.space import Space

STARTUP_TRIALS = 10  # Optuna's own default: random until that many are finished
SHOWN_BEST = 25
SHOWN_RECENT = 225  # with the best 250, from which on Optuna takes 25 for good


def suggest(
    history: Iterable[TrialRecord],
    space: Space,
    group: object,
    seed: int,
    number: int,
    metric: str,
    mode: str,
    sampler: str = "tpe",
) -> dict:
    """Values for `space.distributions`, for the trial of that number in `group`."""
    suggester = Suggester(space, metric, mode, sampler)
    for trial in history:
        suggester.update(trial)
    return suggester.suggest(group, seed, number)


class Suggester:
    """Suggestions from the trials that it was shown.

    TPE learns from all groups of the family at once, which one group alone has too few trials
    for: each trial enters with its rank within its own group (0 best, 1 worst), so that the good
    set is the best of every code size and not just the largest one. Ranks are Optuna's own order:
    finished trials by value, then pruned ones by how far they came and their last value. Running
    trials count as worst (constant liar), so that parallel workers spread; diverged and failed
    ones do not count, as in Optuna. With `sampler` "random" the history is not looked at.
    """

    def __init__(self, space: Space, metric: str, mode: str, sampler: str = "tpe"):
        self._sampler = sampler
        families = [_Family(each, metric, mode) for each in space.families or (space,)]
        self._families = {group: each for each in families for group in each.space.groups}

    def update(self, trial: TrialRecord) -> None:
        """Take in that a trial began, goes on, or ended. May be repeated."""
        family = self._families.get(trial.group)
        if family is not None and self._sampler == "tpe":
            family.update(trial)

    def suggest(self, group: object, seed: int, number: int) -> dict:
        """Values for the distributions of the group's family, for the trial of that number."""
        family = self._families[group]
        distributions = family.distributions
        storage = InMemoryStorage()
        sampler = _sampler(self._sampler, seed, number, distributions)
        study = optuna.create_study(storage=storage, sampler=sampler)
        study_id = storage.get_study_id_from_name(study.study_name)
        for trial in family.shown():
            storage.create_new_trial(study_id, trial)
        study.enqueue_trial({family.space.group: group})
        params = study.ask(distributions).params
        return {name: params[name] for name in family.space.distributions}


class _Family:
    """The trials of the groups that share a space, ranked."""

    def __init__(self, space: Space, metric: str, mode: str):
        self.space, self._metric, self._mode = space, metric, mode
        self.distributions = space.all_distributions()
        self._running: dict[int, TrialRecord] = {}
        self._ranked: dict[int, tuple[TrialRecord, tuple]] = {}  # with its place in the order
        self._numbers: list[int] = []  # of the ranked, rising
        self._orders: dict[object, list[tuple]] = {group: [] for group in space.groups}
        self._known: dict[int, _Shared] = {}  # as TPE was shown them last

    def update(self, trial: TrialRecord) -> None:
        if trial.state == RUNNING:
            self._running[trial.number] = trial
            return
        self._running.pop(trial.number, None)
        counts = trial.state in (COMPLETE, PRUNED) and trial.records
        if counts and trial.number not in self._ranked:
            place = (*_order(trial, self._metric, self._mode), trial.number)
            self._ranked[trial.number] = trial, place
            insort(self._numbers, trial.number)
            insort(self._orders[trial.group], place)

    def shown(self) -> list[FrozenTrial]:
        """What TPE learns from, in order of number, the rank for a value."""
        best = self._best()
        recent: list[int] = []
        for number in reversed(self._numbers):
            if len(recent) == SHOWN_RECENT:
                break
            if number not in best:
                recent.append(number)
        numbers = sorted([*best, *recent, *self._running])
        self._known = {number: self._as_finished(number) for number in numbers}
        return list(self._known.values())

    def _best(self) -> set[int]:
        """The `SHOWN_BEST` ranked best, the earlier one where two rank alike, as Optuna sorts."""
        first = [
            (self._rank(place[-1]), place[-1])
            for order in self._orders.values()
            for place in order[:SHOWN_BEST]
        ]
        return {number for _, number in heapq.nsmallest(SHOWN_BEST, first)}

    def _rank(self, number: int) -> float:
        """Rank in (0, 1) of a trial within its group; 1 for a running one."""
        if number in self._running:
            return 1.0
        trial, place = self._ranked[number]
        order = self._orders[trial.group]
        return (bisect_left(order, place) + 0.5) / len(order)

    def _as_finished(self, number: int) -> _Shared:
        known = self._known.get(number)
        if known is None:
            trial = self._running.get(number) or self._ranked[number][0]
            known = _Shared.of(trial, self.space, self.distributions)
        known.value = self._rank(number)
        return known


class _Shared(FrozenTrial):
    """A finished trial that one study after another is given. Each deep-copies what it is given,
    and changes nothing in it but the number and the id."""

    @classmethod
    def of(cls, trial: TrialRecord, space: Space, distributions: dict) -> _Shared:
        return cls(
            number=-1,
            trial_id=-1,
            state=TrialState.COMPLETE,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params={space.group: trial.group, **space.nearest(trial.parameters)},
            distributions=distributions,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )

    def __deepcopy__(self, memo: dict) -> _Shared:
        shallow = _Shared.__new__(_Shared)
        shallow.__dict__.update(self.__dict__)
        return shallow


class _TPE(optuna.samplers.TPESampler):
    """TPE that knows what there is to sample, which Optuna's gathers by comparing the
    distributions of all trials. Here they are the same in every trial of a family."""

    def __init__(self, seed: int, distributions: dict[str, BaseDistribution]):
        super().__init__(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
        # In the order of Optuna's own, which is the order of its random draws.
        self._known = {name: d for name, d in sorted(distributions.items()) if not d.single()}

    def infer_relative_search_space(self, study, trial) -> dict[str, BaseDistribution]:
        return self._known


def _sampler(name: str, seed: int, number: int, distributions: dict) -> optuna.samplers.BaseSampler:
    value = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    if name == "random":
        return optuna.samplers.RandomSampler(seed=value)
    return _TPE(value, distributions)


def _order(trial: TrialRecord, metric: str, mode: str) -> tuple:
    sign = 1 if mode == "min" else -1
    if trial.state == COMPLETE:
        return 0, 0, sign * trial.best_record(metric, mode)[metric]
    return 1, -trial.epochs, sign * trial.records[-1][metric]
