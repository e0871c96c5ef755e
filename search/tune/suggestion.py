"""What to try next: the presets, then Optuna's TPE on the ranking of the trials within each group.

A suggestion is a function of (history, space, group, seed, number) and of nothing else. A resumed
search therefore asks for the same trials as an uninterrupted one: there is no sampler state to
lose. A `Suggester` keeps the history in the order that TPE needs, so that the ten-thousandth
suggestion costs as much as the 250th. Two suggesters that were shown the same trials, in any order
and any number of times, suggest the same.

TPE is shown the `SHOWN_BEST` best trials of a family, the `SHOWN_RECENT` latest of the others, and
all that are running. Optuna counts a tenth of the trials as good, and never more than 25, so the
best trials shown are the ones that it would count as good among all. From the others it learns
where not to look: the last 25 count fully, each older trial counts less
(`optuna.samplers._tpe.sampler`, `default_gamma` and `default_weights`). Only the
trials that count least are left out.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from search.record.schema import COMPLETE, PRUNED, RUNNING, SAMPLED
from search.record.state import SearchState, TrialRecord
from search.task.space import Preset, Space

STARTUP_TRIALS = 10  # Optuna's default: suggestions are random until so many have finished
SHOWN_BEST = 25
SHOWN_RECENT = 225  # 250 with the best: from 250 trials on, Optuna counts 25 as good


def next_trial(
    state: SearchState, space: Space, presets: tuple[Preset, ...], suggester: Suggester
) -> dict:
    """The next trial, as the ledger's event holds it: the presets first, then sampled trials of
    each group in turn."""
    number, seed = len(state.trials), state.header["seed"]
    if number < len(presets):
        preset = presets[number]
        return _trial(number, preset.name, preset.parameters[space.group], preset.parameters)
    round_, turn = divmod(number - len(presets), len(space.groups))
    group = space.groups[turn]
    parameters = sampled_parameters(space, suggester, group, seed, number)
    # In one of every `control_every` rounds of the groups, trials are control trials.
    every = state.header.get("settings", {}).get("control_every", 0)
    control = {"control": True} if every > 0 and round_ % every == every - 1 else {}
    return _trial(number, SAMPLED, group, parameters) | control


def sampled_parameters(
    space: Space, suggester: Suggester, group: object, seed: int, number: int
) -> dict:
    """All parameters of the sampled trial of that number in a group."""
    return {
        space.group: group,
        **space.meaning.get(group, {}),
        **space.of(group).constants,
        **suggester.suggest(group, seed, number),
    }


def _trial(number: int, origin: str, group: object, parameters: dict) -> dict:
    return {"number": number, "origin": origin, "group": group, "parameters": parameters}


class Suggester:
    """Suggestions from the trials that it was shown.

    TPE learns from all groups of the family at once, because a single group has too few trials.
    Each trial enters with its rank within its own group (0 best, 1 worst), so that the good trials
    are the best of every code size and not just of the largest. Ranks are in Optuna's own order:
    finished trials by value, then pruned trials by how far they came and their last value. Running
    trials count as worst (constant liar), so that parallel workers spread. Diverged and failed
    trials do not count, as in Optuna. The sampler "random" ignores the history.
    """

    def __init__(self, space: Space, metric: str, mode: str, sampler: str = "tpe"):
        self._sampler = sampler
        families = [_Family(each, metric, mode) for each in space.families or (space,)]
        self._families = {group: each for each in families for group in each.space.groups}

    def update(self, trial: TrialRecord) -> None:
        """Learn that a trial began, goes on, or ended. May be repeated."""
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
        self._ranked: dict[int, tuple[TrialRecord, tuple]] = {}  # with its key in `_orders`
        self._numbers: list[int] = []  # of the ranked trials, rising
        self._orders: dict[object, list[tuple]] = {group: [] for group in space.groups}
        self._known: dict[int, _Shared] = {}  # as the last suggestion showed them

    def update(self, trial: TrialRecord) -> None:
        if trial.state == RUNNING:
            self._forget(trial)
            self._running[trial.number] = trial
            return
        self._running.pop(trial.number, None)
        counts = trial.state in (COMPLETE, PRUNED) and trial.records
        if counts and trial.number not in self._ranked:
            key = (*_order(trial, self._metric, self._mode), trial.number)
            self._ranked[trial.number] = trial, key
            insort(self._numbers, trial.number)
            insort(self._orders[trial.group], key)

    def _forget(self, trial: TrialRecord) -> None:
        """Take a stopped trial that is called back out of the ranking."""
        if trial.number in self._ranked:
            _, key = self._ranked.pop(trial.number)
            self._numbers.remove(trial.number)
            self._orders[trial.group].remove(key)

    def shown(self) -> list[FrozenTrial]:
        """The trials that TPE learns from, in order of number, with their ranks as values."""
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
        """The `SHOWN_BEST` best by rank; of equal ranks the earlier trial, as Optuna sorts."""
        first = [
            (self._rank(key[-1]), key[-1])
            for order in self._orders.values()
            for key in order[:SHOWN_BEST]
        ]
        return {number for _, number in heapq.nsmallest(SHOWN_BEST, first)}

    def _rank(self, number: int) -> float:
        """Rank in (0, 1) of a trial within its group; 1 for a running trial."""
        if number in self._running:
            return 1.0
        trial, key = self._ranked[number]
        order = self._orders[trial.group]
        return (bisect_left(order, key) + 0.5) / len(order)

    def _as_finished(self, number: int) -> _Shared:
        known = self._known.get(number)
        if known is None:
            trial = self._running.get(number) or self._ranked[number][0]
            known = _Shared.of(trial, self.space, self.distributions)
        known.value = self._rank(number)
        return known


class _Shared(FrozenTrial):
    """A finished trial that is added to many studies. A study deep-copies each trial that it is
    given and changes nothing in it but the number and the id, so a shallow copy is enough."""

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
    """TPE that is given the distributions. Optuna's own compares the distributions of all trials
    to find them; here they are the same in every trial of a family."""

    def __init__(self, seed: int, distributions: dict[str, BaseDistribution]):
        super().__init__(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS)
        # In Optuna's own order: its random draws depend on it.
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
