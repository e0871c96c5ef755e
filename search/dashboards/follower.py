"""A follower of the logbook that keeps a dashboard in step, in a thread of its own.

The search hands over only which trial changed. That queue holds each trial once, so it is bounded
by the number of trials; the points themselves stay in the state of the search, which has them
anyway. A tool that is slow or gone therefore costs the search neither time nor memory, and gets all
that it missed when it is back. What it still lacks at the end is counted and said. The tool is
asked what it has of each trial, so a resumed search sends no point twice.
"""

from __future__ import annotations

import math
import threading
import time

import numpy as np

from search.dashboards.dashboard import Dashboard, Known
from search.record.schema import RUNNING
from search.record.state import TrialRecord
from search.store.files import one_line

CLOSE_S = 20.0  # a search waits so long at its end for what is left
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # after a failure, before the next try


class DashboardFollower:
    """Sends trials, epochs, states and pictures to a dashboard."""

    def __init__(self, tool: str, dashboard: Dashboard, wait_s: float = CLOSE_S):
        self.tool, self._dashboard, self._wait_s = tool, dashboard, wait_s
        self._trials: dict[int, TrialRecord] = {}  # all that were seen
        self._changed: dict[int, TrialRecord] = {}  # not sent yet, oldest first
        self._pictures: dict[str, np.ndarray] = {}
        self._sent: dict[int, Known] = {}
        self._error = ""
        self._lock, self._wake, self._closing = threading.Lock(), threading.Event(), False
        self._thread = threading.Thread(target=self._run, name=f"log-to-{tool}", daemon=True)
        self._thread.start()

    def __reduce__(self):
        # Ray pickles what its callbacks hold. No copy is ever used.
        return object, ()

    def update(self, trial: TrialRecord) -> None:
        """Note that a trial changed. May be repeated."""
        with self._lock:
            self._trials[trial.number] = self._changed[trial.number] = trial
        self._wake.set()

    def show(self, name: str, image: np.ndarray) -> None:
        """Show a picture, uint8 (H, W) or (H, W, 3)."""
        with self._lock:
            self._pictures[name] = image
        self._wake.set()

    def close(self) -> str:
        """Send what is left, for some seconds. Returns one line that says what the tool lacks;
        empty if it has all. A trial that is still paused has ended then."""
        with self._lock:
            self._changed.update({n: t for n, t in self._trials.items() if t.is_paused})
            self._closing = True
        self._wake.set()
        self._thread.join(self._wait_s)
        missing = self.dropped_points()
        if not missing and not self._pictures:
            return ""
        pictures = f" and {len(self._pictures)} pictures" if self._pictures else ""
        why = self._error or "it is too slow"
        return (
            f"--log-to {self.tool}: {missing} points{pictures} were dropped ({why}); with "
            "--resume they are sent"
        )

    def dropped_points(self) -> int:
        """How many epochs of the search the tool does not have."""
        have = {number: known.epochs for number, known in self._sent.items()}
        return sum(
            record["epoch"] not in have.get(number, ())
            for number, trial in list(self._trials.items())
            for record in list(trial.records)
        )

    def _run(self) -> None:
        pause, opened = FIRST_PAUSE_S, False
        while True:
            try:
                if not opened:
                    self._dashboard.open()
                    opened = True
                done = self._send_one()
                pause = FIRST_PAUSE_S
            except Exception as error:  # a tool may raise anything, and must not stop a search
                self._error, done = one_line(error), False
                time.sleep(min(pause, self._wait_s) if self._closing else pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            if done and self._closing:
                break
            if done:
                self._wake.wait()
                self._wake.clear()
        self._close()

    def _close(self) -> None:
        try:
            self._dashboard.close()
        except Exception as error:
            self._error = one_line(error)

    def _send_one(self) -> bool:
        """Send the trial that waits longest, or a picture. Returns whether nothing waits."""
        with self._lock:
            number = next(iter(self._changed), None)
            trial = None if number is None else self._changed[number]
            name = next(iter(self._pictures), None)
        if trial is not None:
            self._send(trial)
            return False
        if name is not None:
            self._dashboard.picture(name, self._pictures[name])
            with self._lock:
                del self._pictures[name]
            return False
        return True

    def _send(self, trial: TrialRecord) -> None:
        with self._lock:  # a change from here on puts it back
            self._changed.pop(trial.number, None)
        try:
            known = self._sent.get(trial.number) or self._dashboard.known(trial)
            # Before the records: a trial that has ended gets no more.
            state = RUNNING if trial.is_paused and not self._closing else trial.state
            records = list(trial.records)
            new = [record for record in records if record["epoch"] not in known.epochs]
            ends = state != RUNNING and not known.ended
            if new or ends or not records:
                self._dashboard.write(trial, state, [_finite(record) for record in new])
        except Exception:
            with self._lock:
                self._changed.setdefault(trial.number, trial)
            raise
        epochs = known.epochs | {record["epoch"] for record in new}
        self._sent[trial.number] = Known(epochs, state != RUNNING)


def _finite(record: dict) -> dict:
    """Without the values that no tool can draw."""
    return {name: value for name, value in record.items() if math.isfinite(value)}
