"""Plays a search without Ray: the scheduler, the searcher and the logbook of a driver."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

from search.record.decision import Failure
from search.record.schema import REASON_EXCEPTION
from search.record.state import TrialRecord
from search.tune.logbook import Logbook
from search.tune.scheduler import LedgerScheduler
from search.tune.searcher import LedgerSearch
from search.tune.worker.attempt import EVERY_EPOCH, Attempt
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook


class Player:
    """Trains `workers` trials at a time, an epoch of each in turn, with checkpoints."""

    def __init__(self, path: Path, task: ToyTask, trials: int, workers: int = 1, **settings):
        self.logbook = open_logbook(path, task, **settings)
        self.task, self.workers = task, workers
        self.scheduler = LedgerScheduler(self.logbook, 1)
        self.searcher = LedgerSearch(self.logbook, trials, self.scheduler.decider, None, workers)
        self.scheduler.order = self.searcher.order
        self.running: list[tuple[TrialRecord, Attempt]] = []
        self.trained = 0  # epochs, also those that are trained again

    def play(self, steps: int = 10**6) -> Player:
        for _ in range(steps):
            self._begin()
            if not self.running:
                assert self.searcher.is_exhausted
                break
            self._train(*self.running.pop(self.next_result()))
        return self

    @property
    def is_done(self) -> bool:
        return not self.running and self.searcher.is_exhausted

    def next_result(self) -> int:
        """Which of the running trials reports next."""
        return 0

    def _begin(self) -> None:
        while len(self.running) < self.workers:
            config = self.searcher.suggest("any")
            if config is None:
                return
            trial = self.logbook.state.trials[config["number"]]
            self.scheduler.on_trial_add(None, _stand_in(trial))
            attempt = Attempt(self.task, self.logbook.store, EVERY_EPOCH, config, None)
            self.running.append((trial, attempt))

    def _train(self, trial: TrialRecord, attempt: Attempt) -> None:
        try:
            record = {**attempt.next_record(), "seconds": 1.0}
        except RuntimeError as error:  # of the toy
            failure = Failure(REASON_EXCEPTION, str(error))
            fail = partial(self.logbook.record_failure, trial, failure, True)
            self.searcher.give_up(trial, fail)
            return
        self.trained += 1
        if self.scheduler.on_trial_result(None, _stand_in(trial), record) == "CONTINUE":
            self.running.append((trial, attempt))


def _stand_in(trial: TrialRecord) -> SimpleNamespace:
    return SimpleNamespace(config={"number": trial.number}, trial_id=trial.id)


def outcomes(logbook: Logbook) -> list:
    """Everything about the trials but times. As text, because nan does not equal itself."""
    return [
        (t.id, t.state, t.reason, t.parameters, t.decisions, repr(t.records))
        for t in logbook.state.trials
    ]
