"""What Ray asks for the next trial: unfinished trials of the ledger first, then paused ones that
are called back, then new ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ray.tune.search import ConcurrencyLimiter, SearchGenerator
from ray.tune.search.optuna import OptunaSearch

from models.machine import seconds
from search.record.state import TrialRecord
from search.tune.limits import TimeBudget
from search.tune.logbook import Logbook
from search.tune.lost_workers import UnreachableWorkers
from search.tune.order import LogicalOrder
from search.tune.schedulers.deciding import Decider
from search.tune.study import STUDY_NAME


class LedgerSearch(OptunaSearch):
    """OptunaSearch whose study is a mirror of the ledger.

    Stock OptunaSearch tells Optuna that a trial which ASHA stopped is complete, with its value
    at that low budget, and never reports the last value of any trial. Here the study follows the
    logbook, and suggestions come from the same records (search/tune/suggestion.py).
    """

    def __init__(
        self,
        logbook: Logbook,
        num_samples: int,
        decider: Decider | None = None,
        budget: TimeBudget | None = None,
        workers: int = 1,
    ):
        """decider: the scheduler, which may call paused trials back (None: it does not). workers:
        how many trials run at a time, to estimate how long the paused ones take."""
        super().__init__(
            space=logbook.space.all_distributions(),
            metric=logbook.task.metric,
            mode=logbook.task.mode,
            storage=logbook.storage,
            study_name=STUDY_NAME,
        )
        self._logbook, self._num_samples = logbook, num_samples
        self._decider, self._budget, self._workers = decider, budget, workers
        self._ends = False  # no new trial begins: the rest of the time budget is for paused ones
        self._unfinished = deque(logbook.state.unfinished())
        places = logbook.state.header.get("settings", {}).get("reproducible")
        self.order: LogicalOrder | None = None  # of a reproducible search
        if places and decider:
            self.order = LogicalOrder(logbook, decider, places, self._choose)
        self.unreachable = UnreachableWorkers()
        self._paused_until = 0.0

    @property
    def is_exhausted(self) -> bool:
        """Whether no trial is left to hand out now. A failure may change that."""
        if self.order is not None:
            return self.order.is_done
        left = self._unfinished or self.unreachable
        return self._is_full and not left and not self._may_call_back()

    @property
    def _is_full(self) -> bool:
        return len(self._logbook.state.trials) >= self._num_samples

    def _may_call_back(self) -> bool:
        """Whether a paused trial may go on, now or after an epoch of a trial that runs."""
        if self._decider is None or not self._decider.calls_back:
            return False
        return bool(self._logbook.state.unfinished()) or self._next_waiting() is not None

    def _next_waiting(self) -> TrialRecord | None:
        if self._decider is None or not self._decider.calls_back:
            return None
        running = self._logbook.state.unfinished()
        if self._budget is not None:
            needed = self._decider.seconds_to_finish(running, self._workers)
            self._ends = self._ends or self._budget.left() < needed
        more = not self._is_full and not self._ends
        return self._decider.next_waiting(more, running, self._ends)

    def try_again(self, trial: TrialRecord) -> None:
        """Hand out a trial that failed once more; it goes on from its checkpoint."""
        if self.order is not None:
            self.order.try_again(trial)
        else:
            self._unfinished.append(trial)

    def give_up(self, trial: TrialRecord, record: Callable[[], None]) -> None:
        """A trial failed for good: call `record`, in a reproducible search when it is due."""
        if self.order is not None:
            self.order.report(trial, record)
        else:
            record()

    def pause(self, duration: float) -> None:
        """Hand out no trial for so many seconds; those that run go on."""
        self._paused_until = seconds() + duration

    @property
    def is_paused(self) -> bool:
        return seconds() < self._paused_until

    def suggest(self, trial_id: str) -> dict | None:
        """An unfinished trial that is not running, a paused one, or a new one. None in a pause, and
        if there is none now: an unreachable worker may still give its trial back."""
        self.unreachable.settle()  # Ray calls this in a loop while no trial runs
        trial = None if self.is_paused else self._next()
        if trial is None:
            return None
        return {
            "id": trial.id,
            "number": trial.number,
            "parameters": trial.parameters,
            "seed": self._logbook.state.header["seed"],
        }

    def _next(self) -> TrialRecord | None:
        if self.order is not None:
            return self.order.next_ready()
        return self._unfinished.popleft() if self._unfinished else self._choose()

    def _choose(self, tick: int | None = None) -> TrialRecord | None:
        """Call a paused trial back or begin a new one, if there is either."""
        waiting = self._next_waiting()
        if waiting is not None:
            self._decider.called_back(waiting)
            self._logbook.call_back(waiting, tick)
            return waiting
        if self._is_full:
            return None
        trial = self._logbook.new_trial(tick)
        if self.order is not None:
            self._decider.open(trial)  # Ray may hear of it much later
        return trial

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """Nothing to do: the scheduler records every epoch, the last one too."""

    def on_trial_complete(
        self, trial_id: str, result: dict | None = None, error: bool = False
    ) -> None:
        """Nothing to do, for the same reason."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger has it."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a search goes on from its ledger, not from Ray's snapshot")


class LedgerGenerator(SearchGenerator):
    """SearchGenerator that ends when the ledger is full. The stock generator counts the trials
    that it made for Ray, and to Ray a trial that is tried again is a new one."""

    def __init__(self, searcher: LedgerSearch, max_concurrent: int):
        self._limiter = ConcurrencyLimiter(searcher, max_concurrent)
        super().__init__(self._limiter)
        self._ledger_search = searcher

    def set_max_concurrent(self, trials: int) -> None:
        """Set how many trials may run at a time from now on; running trials go on."""
        self._limiter.max_concurrent = trials

    def is_finished(self) -> bool:
        return self._finished or self._ledger_search.is_exhausted
