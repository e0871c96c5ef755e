"""ASHA that pauses a trial at a rung, and calls back those that should go on.

A paused trial has ended for Ray. When it is called back, it is a new trial to Ray and goes on from
its checkpoint, as a trial does that is tried again. The ledger records both, so a resumed search
knows which trials wait.

The disk holds the checkpoints of the trials that run and, at each rung of each group, of the KEPT
best that wait. A trial further down is rarely called back. If it is, it trains again from its
beginning, to the same records.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean

from search.record import schema
from search.record.decision import Decision
from search.record.state import SearchState, TrialRecord
from search.task.protocol import Task
from search.tune.schedulers.deciding import REDUCTION_FACTOR, Decider

KEPT = 8  # paused trials of a rung and group that keep their checkpoints
FINISHED = 2  # trials of each group that are trained to the end once no other begins
MARGIN = 1.25  # times the estimated time for that
WHY = "others did better at the same epoch, and it was not called back"

Rank = tuple[float, int]  # (value, the lower the better; number of the trial)


@dataclass
class _Rung:
    """The trials of a group that reached an epoch, best first."""

    values: list[Rank] = field(default_factory=list)
    waiting: list[Rank] = field(default_factory=list)

    def is_best(self, rank: Rank, share: int) -> bool:
        """Whether a trial is among the best 1 / `share` of all that reached the rung."""
        return bisect_left(self.values, rank) < len(self.values) // share


class Promotion(Decider):
    """Asynchronous successive halving as published (Li et al. 2018, arXiv:1810.05934, algorithm 2),
    within each group.

    A sampled trial that reaches a rung is paused there, unless it is the next to go on. A free
    worker goes on with the best paused trial that is among the best third of its rung. The highest
    rung that has such a trial comes first. Without one, the worker begins a new trial. Once all
    trials have begun, the groups call back the best of their highest rungs in turn, until FINISHED
    sampled trials of each have had all epochs.

    With a time budget, new trials begin only while enough time is left to train the best paused
    trial of each group to the end. After that the groups call back their best trials in turn."""

    calls_back = True

    def __init__(self, task: Task, grace_epochs: int, state: SearchState | None = None):
        super().__init__(task, grace_epochs)
        self._sign = 1 if task.mode == "min" else -1
        groups = task.space().groups
        self._by_place = {
            (epoch, group): _Rung() for epoch in reversed(self.rungs) for group in groups
        }  # in the order in which their trials are called back: the highest rung first
        self._paused: dict[int, TrialRecord] = {}
        self._best: dict[object, list[Rank]] = {group: [] for group in groups}  # paused
        self._stored: dict[object, set[int]] = defaultdict(set)  # paused, with checkpoints
        self._surplus: list[TrialRecord] = []
        self._finished: Counter[object] = Counter()  # sampled trials of a group that had all epochs
        self._fill(state)

    def decide(self, trial: TrialRecord, record: dict) -> Decision:
        decision = super().decide(trial, record)
        if decision.kind == schema.LAST:
            self._finished[trial.group] += not trial.is_preset
        return decision

    def waits(self, trial: TrialRecord) -> None:
        insort(self._rung(trial).waiting, self._rank_of(trial))
        insort(self._best[trial.group], self._best_of(trial))
        self._paused[trial.number] = trial
        self._stored[trial.group].add(trial.number)
        self._note_surplus(trial.group)

    def next_waiting(
        self, more: bool, running: list[TrialRecord], ends: bool = False
    ) -> TrialRecord | None:
        for place in self._promotable():
            return self._paused[self._by_place[place].waiting[0][1]]
        if more:
            return None
        taken = self._finished + Counter(t.group for t in running if not t.is_preset)
        leaders = {g: t for g, t in self._leaders().items() if ends or taken[g] < FINISHED}
        return leaders[min(leaders, key=taken.__getitem__)] if leaders else None

    def called_back(self, trial: TrialRecord) -> None:
        self._rung(trial).waiting.remove(self._rank_of(trial))
        self._best[trial.group].remove(self._best_of(trial))
        self._stored[trial.group].discard(trial.number)
        del self._paused[trial.number]

    def take_surplus(self) -> list[TrialRecord]:
        taken, self._surplus = self._surplus, []
        return taken

    def seconds_to_finish(self, running: list[TrialRecord], workers: int) -> float:
        last = self._task.max_epochs
        rests = [
            (last - trial.epochs) * fmean(record["seconds"] for record in trial.records)
            for trial in [*self._leaders().values(), *running]
            if trial.records
        ]
        return MARGIN * max(sum(rests) / workers, max(rests, default=0.0))

    def _fill(self, state: SearchState | None) -> None:
        for trial in state.trials if state else ():
            self.open(trial)
            for record in () if trial.is_preset else trial.records:
                if record["epoch"] in self.rungs and self._outcome(record) is None:
                    self._enter(trial, record)
            if trial.state == schema.COMPLETE:
                self._finished[trial.group] += not trial.is_preset
            if trial.is_paused:
                self.waits(trial)

    def _compare(self, trial: TrialRecord, record: dict) -> Decision:
        place, rank = self._enter(trial, record)
        goes_on = self._goes_on(place, rank)
        return Decision(schema.PROMOTE) if goes_on else Decision(schema.PAUSE, WHY)

    def _enter(self, trial: TrialRecord, record: dict) -> tuple[tuple, Rank]:
        place = record["epoch"], trial.group
        rank = self._sign * record[self._task.metric], trial.number
        insort(self._by_place[place].values, rank)
        return place, rank

    def _goes_on(self, place: tuple, rank: Rank) -> bool:
        """Whether a trial that has just entered a rung is the next to go on."""
        rung, places = self._by_place[place], list(self._by_place)
        if not rung.is_best(rank, REDUCTION_FACTOR):
            return False
        first = next(self._promotable(), None)
        if first is None:
            return True
        other = self._by_place[first].waiting[0]
        return (places.index(place), rank) < (places.index(first), other)

    def _promotable(self) -> Iterator[tuple]:
        """The rungs whose best paused trial is in the best third, the highest first."""
        for place, rung in self._by_place.items():
            if rung.waiting and rung.is_best(rung.waiting[0], REDUCTION_FACTOR):
                yield place

    def _leaders(self) -> dict[object, TrialRecord]:
        """The best paused trial of the highest rung of each group."""
        found: dict[object, TrialRecord] = {}
        for (_, group), rung in self._by_place.items():
            if rung.waiting and group not in found:
                found[group] = self._paused[rung.waiting[0][1]]
        return found

    def _note_surplus(self, group: object) -> None:
        """Note which trials no longer need their checkpoints. The best of every rung may be called
        back, and the best of all may be the winner."""
        orders = [rung.waiting for (_, each), rung in self._by_place.items() if each == group]
        kept = {number for order in [*orders, self._best[group]] for _, number in order[:KEPT]}
        surplus = self._stored[group] - kept
        self._surplus += [self._paused[number] for number in sorted(surplus)]
        self._stored[group] &= kept

    def _rung(self, trial: TrialRecord) -> _Rung:
        return self._by_place[trial.epochs, trial.group]

    def _rank_of(self, trial: TrialRecord) -> Rank:
        return self._sign * trial.records[-1][self._task.metric], trial.number

    def _best_of(self, trial: TrialRecord) -> Rank:
        best = trial.best_record(self._task.metric, self._task.mode)
        return self._sign * best[self._task.metric], trial.number
