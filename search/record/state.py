"""The state of a search: its trials, as the events of the ledger make them.

The same `apply` serves a running search and a resumed one, so that the two cannot differ.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from search.record import schema
from search.record.decision import Decision
from search.record.older import as_written_now


@dataclass
class TrialRecord:
    """One trial. `records` holds a dict per epoch, as the trainable reported them."""

    number: int
    origin: str  # the preset's name, or SAMPLED
    group: object  # value of the space's group parameter: the code size, the model
    parameters: dict
    records: list[dict] = field(default_factory=list)
    state: str = schema.RUNNING
    failures: int = 0
    losses: int = 0  # times its node failed since its last new epoch
    last_failure: tuple[str, str] | None = None  # reason code and detail
    reason: str = ""  # why it ended early: a reason code of the schema
    detail: str = ""  # the same in one line for people
    control: bool = False  # never stopped for its rank, to see what stopping would have cost
    spared_at: int | None = None  # the epoch after which a control trial would have been stopped
    decisions: list[str] = field(default_factory=list)  # after each of `records`, of the schema
    saved_epoch: int = 0  # of the newest checkpoint; later epochs are trained again after a crash
    tick: int = 0  # of a reproducible search's clock: that of the trial's epoch 0
    started: float = 0.0  # seconds since 1970
    ended: float | None = None

    @property
    def id(self) -> str:
        return f"trial_{self.number:05d}"

    @property
    def is_preset(self) -> bool:
        return self.origin != schema.SAMPLED

    @property
    def is_paused(self) -> bool:
        """Whether it waits at a rung, and may be called back."""
        return self.state == schema.PRUNED and self.reason == schema.REASON_PAUSED

    @property
    def epochs(self) -> int:
        return self.records[-1]["epoch"] if self.records else 0

    def best_record(self, metric: str, mode: str) -> dict | None:
        """The epoch at which the metric was best; None before any finite value."""
        finite = [record for record in self.records if math.isfinite(record[metric])]
        sign = 1 if mode == "min" else -1
        return min(finite, key=lambda record: sign * record[metric], default=None)


@dataclass
class _Leader:
    """The best of the first `seen` trials that ended in a group."""

    seen: int = 0
    trial: TrialRecord | None = None
    rank: tuple = (math.inf,)


class SearchState:
    """All trials of a search, in order of number, and the retrained winners."""

    def __init__(self, header: dict):
        self.header = header
        self.trials: list[TrialRecord] = []
        self.finals: dict[tuple[int, int], dict] = {}  # (trial number, seed) -> metrics
        self._running: dict[int, TrialRecord] = {}
        self._rankable: dict[object, list[TrialRecord]] = {}  # by group, in order of their end
        self._leaders: dict[tuple, _Leader] = {}

    @classmethod
    def from_events(cls, events: list[dict]) -> SearchState:
        """The state after all events of a ledger; the first is the header of the search."""
        state = cls(events[0])
        for event in events[1:]:
            state.apply(event)
        return state

    def apply(self, event: dict) -> None:
        """Apply an event. Unknown kinds are ignored: a newer version may write more kinds."""
        handler = getattr(self, f"_apply_{event['event']}", None)
        if handler:
            handler(as_written_now(event))

    def unfinished(self) -> list[TrialRecord]:
        """The trials that run or wait to be tried again, in order of number."""
        return [self._running[number] for number in sorted(self._running)]

    def counts(self) -> dict[str, int]:
        """The number of trials in each state; every state is a key."""
        found = Counter(trial.state for trial in self.trials)
        return {state: found[state] for state in schema.TRIAL_STATES}

    def most_frequent_failure(self) -> tuple[str, list[TrialRecord]] | None:
        """The detail that most failures have, and the trials whose last failure has it. Details
        that differ in their numbers alone count as one. None if no trial failed."""
        alike: dict[tuple[str, str], list[TrialRecord]] = defaultdict(list)
        for trial in self.trials:
            if trial.last_failure is not None and trial.state in (schema.ERROR, schema.RUNNING):
                reason, detail = trial.last_failure
                alike[reason, re.sub(r"\d+", "#", detail)].append(trial)
        if not alike:
            return None
        trials = max(alike.values(), key=len)
        reason, detail = trials[-1].last_failure or ("", "")
        return detail or reason, trials

    def best(self, group: object, metric: str, mode: str) -> TrialRecord | None:
        """The best trial of a group by its best epoch: of those with the full budget or, if there
        are none, of the pruned ones.

        A trial that has ended does not change, unless it was paused and is called back. Repeated
        calls therefore look at each trial only once."""
        leader = self._leaders.setdefault((group, metric, mode), _Leader())
        ended = self._rankable.get(group, [])
        for trial in ended[leader.seen :]:
            best = trial.best_record(metric, mode)
            if best is not None:
                value = best[metric] if mode == "min" else -best[metric]
                rank = (trial.state != schema.COMPLETE, value, trial.number)
                if rank < leader.rank:
                    leader.trial, leader.rank = trial, rank
        leader.seen = len(ended)
        return leader.trial

    def _apply_trial(self, event: dict) -> None:
        trial = TrialRecord(
            event["number"],
            event["origin"],
            event["group"],
            event["parameters"],
            control=event.get("control", False),
            tick=event.get("tick", 0),
            started=event["time"],
        )
        self.trials.append(trial)
        self._running[trial.number] = trial

    def _apply_epoch(self, event: dict) -> None:
        trial, decision = self.trials[event["number"]], Decision(event["decision"])
        trial.records.append(event["record"])
        trial.decisions.append(decision.kind)
        trial.losses = 0
        trial.saved_epoch = event.get("saved_epoch", event["record"]["epoch"])
        if decision.kind == schema.SPARE:
            trial.spared_at = event["record"]["epoch"]
        if decision.state != schema.RUNNING:
            self._end(trial, decision.state, decision.reason, event)
        if trial.state in (schema.COMPLETE, schema.PRUNED):
            self._rankable.setdefault(trial.group, []).append(trial)

    def _apply_call_back(self, event: dict) -> None:
        """A paused trial goes on, from the checkpoint of `saved_epoch`. It has no rank until it
        ends."""
        trial = self.trials[event["number"]]
        trial.state, trial.reason, trial.detail, trial.ended = schema.RUNNING, "", "", None
        self._running[trial.number] = trial
        trial.saved_epoch = event["saved_epoch"]
        trial.tick = event.get("tick", 0) - trial.epochs
        ranked = self._rankable[trial.group]
        ranked[:] = [each for each in ranked if each is not trial]
        for key in [key for key in self._leaders if key[0] == trial.group]:
            del self._leaders[key]

    def _apply_failure(self, event: dict) -> None:
        trial = self.trials[event["number"]]
        trial.last_failure = (event["reason"], event.get("detail", ""))
        if event["reason"] in schema.NODE_REASONS:
            trial.losses += 1
        else:
            trial.failures += 1
        if event["final"]:
            self._end(trial, schema.ERROR, event["reason"], event)

    def _end(self, trial: TrialRecord, state: str, reason: str, event: dict) -> None:
        trial.state, trial.reason, trial.detail = state, reason, event.get("detail", "")
        trial.ended = event["time"]
        self._running.pop(trial.number, None)

    def _apply_final(self, event: dict) -> None:
        self.finals[event["number"], event["seed"]] = event["metrics"]
