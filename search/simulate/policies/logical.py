"""A search whose table does not depend on when its workers report.

With a lag of w, suggestion and decisions of trial n see the trials up to n - w and no later one: so
w workers, or fewer, make the same table in any order of their reports. A suggestion sees of each of
these trials the first `shown_epochs` epochs, because a later one may not be reported yet. Simulated
with one worker, which gives the table that w workers would give.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from search.record import schema
from search.record.decision import Decision
from search.record.state import TrialRecord
from search.simulate.policies.own import Own
from search.simulate.policies.protocol import Setting
from search.tune.scheduler import REDUCTION_FACTOR, rung_epochs


class LaggedASHA:
    """ASHA for each group, where a rung holds the trials up to n - lag for trial n."""

    def __init__(self, setting: Setting, lag: int):
        curves = setting.curves
        self._metric, self._last, self._lag = curves.metric, curves.max_epochs, lag
        self._sign = 1 if curves.mode == "min" else -1
        self._rungs: dict[tuple, dict[int, float]] = {
            (epoch, group): {}
            for epoch in rung_epochs(setting.grace_epochs, curves.max_epochs)
            for group in curves.space.groups
        }

    def open(self, trial: TrialRecord) -> None:
        """Nothing to do: a trial counts from its first rung on."""

    def call_back(self) -> int | None:
        return None

    def decide(self, trial: TrialRecord, record: dict) -> Decision:
        value, epoch = record[self._metric], record["epoch"]
        if not math.isfinite(value):
            return Decision(schema.NOT_FINITE, "its metric is not a finite number")
        if epoch >= self._last:
            return Decision(schema.LAST)
        rung = self._rungs.get((epoch, trial.group))
        if rung is None:
            return Decision(schema.CONTINUE)
        seen = [loss for number, loss in rung.items() if number <= trial.number - self._lag]
        rung[trial.number] = loss = self._sign * value
        if seen and loss > np.percentile(seen, 100 / REDUCTION_FACTOR):
            return Decision(schema.STOP, "others did better at the same epoch")
        return Decision(schema.PROMOTE)


class Logical(Own):
    """This project's suggestions in logical order."""

    def __init__(self, setting: Setting, lag: int, shown_epochs: int | None):
        """`shown_epochs` of a trial are learned from; None: all that it had."""
        super().__init__(setting, LaggedASHA(setting, lag))
        self._lag, self._shown_epochs = lag, shown_epochs

    def ask(self) -> tuple[int, dict]:
        seen = len(self.state.trials) - self._lag
        if seen >= 0:
            self._suggester.update(self._as_shown(self.state.trials[seen]))
        return super().ask()

    def _as_shown(self, trial: TrialRecord) -> TrialRecord:
        if self._shown_epochs is None or trial.epochs <= self._shown_epochs:
            return trial
        first = trial.records[: self._shown_epochs]
        return replace(trial, records=first, state=schema.PRUNED)

    def _show(self, trial: TrialRecord) -> None:
        """Running trials count as worst, as in ours; what has ended is shown when it is due."""
        if trial.state == schema.RUNNING and not trial.records:
            super()._show(trial)
