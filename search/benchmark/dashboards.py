"""What `--log-to` costs: of the search, and of the thread that talks to the tool.

The tools that are installed are measured without a server: TensorBoard and W&B (offline) write
files, MLflow writes a SQLite database. Each epoch is sent alone; a search that is faster than its
tool sends several at once, which costs less.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search.benchmark.figures import spread, spread_text
from search.dashboards.dashboard import About, Dashboard, Known, open_dashboard, refuse_missing
from search.dashboards.follower import DashboardFollower
from search.record.schema import COMPLETE, RUNNING
from search.record.state import TrialRecord
from search.simulate.table import columns
from search.task.kinds import at_least
from search.task.settings import UsageError

TOOLS = ("tensorboard", "mlflow", "wandb")
METRICS = tuple(f"metric_{number}" for number in range(7))  # a search of autoencoders has ten
PARAMETERS = {f"parameter_{number}": number / 7 for number in range(13)}
TRIALS, EPOCHS = 3, 20
NEEDS_RAY = False


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dashboard-epochs",
        type=at_least(2),
        default=EPOCHS,
        help=f"epochs that are sent of each of {TRIALS} trials (default {EPOCHS})",
    )


def prepare(given: argparse.Namespace) -> Callable[[], dict]:
    """The measurement that was asked for."""
    return lambda: measure(given.dashboard_epochs)


def measure(epochs: int = EPOCHS) -> dict:
    """The figures of this part, JSON-ready: seconds by tool, and None for a tool that is not
    installed."""
    with _offline():
        return {"trials": TRIALS, "epochs": epochs, **{t: _measured(t, epochs) for t in TOOLS}}


def _measured(tool: str, epochs: int) -> dict | None:
    try:
        refuse_missing([tool])
    except UsageError:
        return None
    with tempfile.TemporaryDirectory(prefix="dashboard-") as folder, _working_in(folder):
        about = About(
            "run", "search.benchmark", Path(folder), time.time(), METRICS[0], "min", METRICS, ()
        )
        dashboard = open_dashboard(tool, about)
        opened = _seconds(dashboard.open)
        found = [_trial(dashboard, number, epochs) for number in range(TRIALS)]
        dashboard.close()
        return {
            "open_s": opened,
            "trial_s": spread([begin + end for begin, _, end in found]),
            "epoch_s": spread([each for _, between, _ in found for each in between]),
            "search_waits_s": _waits(epochs),
        }


def _trial(dashboard: Dashboard, number: int, epochs: int) -> tuple[float, list[float], float]:
    """Seconds to begin a trial, to send each epoch, and to end it."""
    trial = TrialRecord(number, "sampled", 128, PARAMETERS, started=time.time())
    begin = _seconds(lambda: dashboard.write(trial, RUNNING, []))
    between = []
    for record in _records(epochs):
        trial.records.append(record)
        between.append(_seconds(lambda record=record: dashboard.write(trial, RUNNING, [record])))
    trial.state, trial.ended = COMPLETE, time.time()
    return begin, between, _seconds(lambda: dashboard.write(trial, COMPLETE, []))


def _records(epochs: int) -> list[dict]:
    return [
        {"epoch": epoch, **dict.fromkeys(METRICS, 1 / epoch), "train_loss": 1.0, "seconds": 1.0}
        for epoch in range(1, epochs + 1)
    ]


def _waits(epochs: int) -> float:
    """Seconds that the search itself waits for each epoch: it hands over which trial changed."""
    follower = DashboardFollower("none", _Nothing())
    trial = TrialRecord(0, "sampled", 128, PARAMETERS, records=_records(epochs))
    waits = _seconds(lambda: [follower.update(trial) for _ in range(1000)]) / 1000
    follower.close()
    return waits


class _Nothing:
    """A dashboard that keeps nothing."""

    def __getattr__(self, name: str) -> Callable:
        return lambda *arguments: Known() if name == "known" else None


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


@contextmanager
def _offline() -> Iterator[None]:
    before = os.environ.get("WANDB_MODE")
    os.environ["WANDB_MODE"] = "offline"
    try:
        yield
    finally:
        del os.environ["WANDB_MODE"]
        if before is not None:
            os.environ["WANDB_MODE"] = before


@contextmanager
def _working_in(folder: str) -> Iterator[None]:
    """MLflow makes its database in the working folder, unless it is told of a server."""
    before, server = os.getcwd(), os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        del os.environ["MLFLOW_TRACKING_URI"]
        if server is not None:
            os.environ["MLFLOW_TRACKING_URI"] = server


def as_text(found: dict) -> list[str]:
    rows = []
    for tool in TOOLS:
        each = found[tool]
        if each is None:
            rows.append([tool, "not installed", "", "", ""])
            continue
        rows.append(
            [
                tool,
                f"{each['search_waits_s'] * 1e6:.1f}",
                _in_ms(each["epoch_s"]),
                _in_ms(each["trial_s"]),
                f"{each['open_s']:.2f}",
            ]
        )
    titles = ["--log-to", "search, µs an epoch", "thread, ms an epoch", "ms a trial", "s to open"]
    return columns(titles, rows)


def _in_ms(seconds: dict) -> str:
    figures = ("median", "low", "high")
    return spread_text({**seconds, **{name: seconds[name] * 1e3 for name in figures}})
