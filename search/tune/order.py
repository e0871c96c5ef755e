"""The logical order of a reproducible search: the same trials and decisions with any number of
workers.

The search is decided as if `places` workers shared it and every epoch took one tick of a clock. The
epochs after which a trial may end, its rungs and the last, are its turns. A turn is decided, and a
freed place is given to the next trial, in the order of the ticks and, at one tick, of the trials'
numbers. A trial that reports a turn too early gives its worker away and waits. Its checkpoint is on
disk, so it goes on as a trial does that is tried again. Between its turns a trial trains as fast as
it can: those epochs change no decision.

A trial that diverges or fails between two turns has ended, but its place is free at its next turn
only. So a turn waits only for the turns before it.

The ledger says at which tick a trial began or was called back. The clock of a resumed search
follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from search.record import schema
from search.record.state import TrialRecord
from search.tune.logbook import Logbook
from search.tune.schedulers.deciding import Decider


class LogicalOrder:
    """Decides which result is next, and which trials may train. `choose(tick)` records and returns
    the trial that takes a free place, or None."""

    def __init__(
        self,
        logbook: Logbook,
        decider: Decider,
        places: int,
        choose: Callable[[int], TrialRecord | None],
    ):
        self._stops = [*decider.rungs, logbook.task.max_epochs]
        self._last = logbook.task.max_epochs
        self._places, self._choose = places, choose
        trials = logbook.state.trials
        self._now = max(map(self._last_turn, trials), default=0)
        self._placed = {t.number: t for t in trials if t.state == schema.RUNNING}
        self._ready = dict(self._placed)  # those that no worker trains
        self._held: dict[int, Callable[[], None]] = {}  # results that wait for their turn

    @property
    def is_done(self) -> bool:
        """Whether all trials have ended and none is left to begin."""
        self._settle()
        return not self._placed

    def next_ready(self) -> TrialRecord | None:
        """The trial that a free worker trains: that of the earliest turn."""
        self._settle()
        trial = min(self._ready.values(), key=self._turn, default=None)
        return None if trial is None else self._ready.pop(trial.number)

    def try_again(self, trial: TrialRecord) -> None:
        self._ready[trial.number] = trial

    def is_turn(self, trial: TrialRecord, epoch: int) -> bool:
        """Whether the decision after an epoch may depend on other trials, or others on it."""
        return epoch >= self._next_stop(trial)

    def report(self, trial: TrialRecord, apply: Callable[[], None]) -> bool:
        """Call `apply`, which records a turn, when it is due. Returns whether the trial goes on
        where it is; if not, its worker is free."""
        self._held[trial.number] = apply
        self._settle()
        goes_on = trial.number not in self._held and trial.state == schema.RUNNING
        return goes_on and self._ready.pop(trial.number, None) is not None

    def _settle(self) -> None:
        """Apply every result whose turn it is, and fill the places that are free."""
        while True:
            self._fill()
            first = min(self._placed.values(), key=self._turn, default=None)
            if first is None or first.number not in self._held:
                return
            self._now = self._turn(first)[0]
            self._held.pop(first.number)()
            if first.state == schema.RUNNING:
                self._ready[first.number] = first
            else:
                del self._placed[first.number]

    def _fill(self) -> None:
        for _ in range(self._places - len(self._placed)):
            trial = self._choose(self._now)
            if trial is None:
                return
            self._placed[trial.number] = self._ready[trial.number] = trial

    def _turn(self, trial: TrialRecord) -> tuple[int, int]:
        return trial.tick + self._next_stop(trial), trial.number

    def _next_stop(self, trial: TrialRecord) -> int:
        return next(self._stops_of(trial, trial.epochs + 1), self._last)

    def _last_turn(self, trial: TrialRecord) -> int:
        """The tick of the newest turn of a trial that the ledger holds, or of its begin."""
        if trial.state == schema.RUNNING:
            passed = [each for each in self._stops_of(trial, 1) if each <= trial.epochs]
            return trial.tick + max(passed, default=0)
        failed = trial.state == schema.ERROR
        return trial.tick + next(self._stops_of(trial, trial.epochs + failed), self._last)

    def _stops_of(self, trial: TrialRecord, first: int) -> Iterator[int]:
        """The epochs from `first` on after which the trial may end."""
        stops = [self._last] if trial.is_preset else self._stops
        return (epoch for epoch in stops if epoch >= first)
