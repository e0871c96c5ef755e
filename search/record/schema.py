"""The schema of a run folder: its files, states, reason codes and columns.

The searches write by it and `analysis` reads by it. It imports neither Ray nor torch.
"""

from __future__ import annotations

from collections.abc import Iterable

LEDGER, RUN_JSON, FINAL_JSON = "ledger.log", "run.json", "final.json"
TRIALS_CSV, EPOCHS_CSV, STUDY_LOG = "trials.csv", "epochs.csv", "study.log"
BEST, ERRORS = "best", "errors"

# States of a search, in run.json. A search is a result in the states of ENDED.
SEARCH_RUNNING = "running"
SEARCH_FINISHED = "finished"  # every trial ended
SEARCH_OUT_OF_TIME = "ended by its time budget"  # as planned: complete as a result
SEARCH_INTERRUPTED = "interrupted"  # cut short: it can be resumed
SEARCH_STATES = (SEARCH_RUNNING, SEARCH_FINISHED, SEARCH_OUT_OF_TIME, SEARCH_INTERRUPTED)
ENDED = (SEARCH_FINISHED, SEARCH_OUT_OF_TIME)

# States of a trial, in trials.csv.
COMPLETE, PRUNED, DIVERGED = "complete", "pruned", "diverged"
ERROR, RUNNING = "error", "running"
TRIAL_STATES = (COMPLETE, PRUNED, DIVERGED, ERROR, RUNNING)

SAMPLED = "sampled"  # the column `preset` of a trial that is no preset

# Why a trial ended before its last epoch, in the column `reason`; `detail` says it in words.
REASON_SCHEDULER = "scheduler"  # pruned: others did better at the same epoch
REASON_PAUSED = "paused"  # pruned: it waited at a rung, and was not called back so far
REASON_TIME = "time limit"  # pruned: it took longer than a trial may take
REASON_MEMORY = "memory limit"  # error: it would need more memory than a trial may take
REASON_GPU_MEMORY = "gpu memory"  # error: its GPU had no memory left for it
REASON_DIVERGED = "not finite"  # diverged: its loss or its metric is no finite number
REASON_EXCEPTION = "exception"  # error: its code raised, as often as --max-failures allows
REASON_WORKER = "worker died"  # error: its process ended
REASON_STUCK = "no progress"  # error: no epoch within --trial-timeout-s
REASON_NODE = "node lost"  # error: its node died too many times in a row
REASON_NODE_MEMORY = "node memory"  # error: its node's memory was used up too many times in a row
REASON_NODE_GPU = "node gpu"  # error: the GPU of its node failed too many times in a row
NODE_REASONS = (REASON_NODE, REASON_NODE_MEMORY, REASON_NODE_GPU)  # not the trial's own failures
REASONS = (
    REASON_SCHEDULER,
    REASON_PAUSED,
    REASON_TIME,
    REASON_MEMORY,
    REASON_GPU_MEMORY,
    REASON_DIVERGED,
    REASON_EXCEPTION,
    REASON_WORKER,
    REASON_STUCK,
    *NODE_REASONS,
)

# What the scheduler decided after an epoch, in the column `decision` of epochs.csv.
CONTINUE = "continue"  # no rung here, or a preset, which no rung stops
PROMOTE = "promote"  # a rung, and the trial is among its best
STOP = "stop"  # a rung, and the trial is not
PAUSE = "pause"  # a rung, and the trial waits there; later epochs follow if it was called back
SPARE = "spare"  # a rung that would have stopped it, but it is a control trial
TIME_LIMIT = "time limit"  # stopped: it took longer than a trial may take
LAST = "last"  # the last epoch of the budget: the trial is complete
NOT_FINITE = "not finite"  # the trial diverged
NOT_RECORDED = ""  # the trial goes on; an older version wrote the epoch without its decision
DECISIONS = (CONTINUE, PROMOTE, STOP, PAUSE, SPARE, TIME_LIMIT, LAST, NOT_FINITE)


def trial_columns(parameters: Iterable[str], metrics: Iterable[str]) -> list[str]:
    """The columns of trials.csv, in order, for a search of these hyperparameters and metrics."""
    metrics = tuple(metrics)
    return [
        *("id", "number", "state", "reason", "preset"),
        *parameters,
        *("epochs", "best_epoch"),
        *(f"best_{name}" for name in metrics),
        *(f"last_{name}" for name in metrics),
        *("spared_at", "failures", "detail", "seconds"),
    ]


def epoch_columns(metrics: Iterable[str]) -> list[str]:
    """The columns of epochs.csv, in order, for a search of these metrics."""
    return ["id", "number", "epoch", *metrics, "seconds", "decision"]
