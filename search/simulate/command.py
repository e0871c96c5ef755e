"""`python -m search.simulate`: recorded learning curves replayed through real searchers.

No training and no cluster: the searchers and schedulers are the ones that searches use, called
in the order of Ray's TuneController (ray/tune/execution/tune_controller.py, `_process_trial_result`
and `stop_trial`), on a clock that counts epochs. So a search of 250 epochs takes about a second,
and searchers can be compared over many seeds: an idea of Syne Tune's simulator backend.

The curves come from a random search that stopped nothing early. A configuration that a searcher
proposes gets the whole curve of the nearest recorded configuration of the same code size that the
search has not met yet (1-nearest-neighbour, as Syne Tune's blackbox repository does for what it
has not recorded), in the unit cube of the parameters: on a log scale where the distribution is, a
categorical counts 0 or 1. "Not met yet" because no two trainings give the same curve: with
repetition, a searcher that stays near good configurations gets one of them again and again and
learns nothing from it, which punishes the very thing it is for.
Limits: nothing better than the best recorded curve can be found, so a search that uses up much of
a code size's curves tends to it whatever it does; fine steps are not seen, and searchers look more
alike than they are; unimportant parameters count as much as important ones; all epochs cost the
same; training noise is part of the surface. How well a neighbour stands for a configuration is
measured on the recorded ones, and printed. The report's presets are left out.

Regret: what the search would crown for a code size now (its best trial among those that had all
epochs; only where there is none, among the stopped) is looked up at full budget, since that is
how a winner is retrained, and divided by the best value recorded for that code size. Ratios,
because code sizes differ in error by factors and differences would speak of the worst one only;
their geometric mean over the code sizes, as a percentage above 1. Where nothing is crowned yet,
the median of the recorded values stands in: what an untried configuration would give.
"""

from __future__ import annotations

import heapq
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from search.record.state import COMPLETE, PRUNED, SAMPLED, TrialRecord
from search.simulate.curves import GROUP, METRIC, Curves, load_curves, record
from search.store.folder import FolderError, write_json
from search.task.settings import OneLineParser, UsageError, positive_int
from search.task.space import Preset, Space
from search.tune.logbook import Logbook
from search.tune.scheduler import GroupedASHA
from search.tune.suggestion import suggest
from search.tune.tuner import REDUCTION_FACTOR, LedgerSearch

SHARES = (0.25, 0.5, 0.75, 1.0)  # of the budget, at which regret is read
RESAMPLES = 5000  # of the bootstrap; moves the ends of an interval by less than it shows
DEFAULT_CURVES = Path(__file__).parent / "curves.csv.gz"


@dataclass(frozen=True)
class ReplayTask:
    """What searcher and scheduler ask of a `search.task.Task`; nothing is ever trained."""

    space_: Space
    max_epochs: int
    metric: str = METRIC
    mode: str = "min"
    metrics: tuple[str, ...] = ("train_loss", METRIC)
    checkpoints: bool = False
    seconds_per_trial: float | None = None

    def space(self) -> Space:
        return self.space_

    def presets(self) -> tuple[Preset, ...]:
        return ()


class ToldAsComplete(Logbook):
    """Ours in all but one thing: suggestions take stopped trials for finished ones, with the
    value they had when they were stopped, as stock Ray Tune tells Optuna."""

    def new_trial(self) -> TrialRecord:
        number, seed = len(self.state.trials), self.state.header["seed"]
        group = self.space.groups[number % len(self.space.groups)]
        told = [replace(t, state=COMPLETE) if t.state == PRUNED else t for t in self.state.trials]
        values = suggest(told, self.space, group, seed, number, METRIC, "min")
        self._record(
            {
                "event": "trial",
                "number": number,
                "origin": SAMPLED,
                "group": group,
                "parameters": {GROUP: group, **self.space.constants, **values},
            }
        )
        self._mirror.update(self.state.trials[number])
        return self.state.trials[number]


Pair = tuple[OptunaSearch, TrialScheduler]


def ours(
    curves: Curves,
    seed: int,
    grace_epochs: int,
    folder: Path,
    sampler: str = "tpe",
    logbook_class: type[Logbook] = Logbook,
) -> Pair:
    """This project's searcher and scheduler on a new run folder, opened as a search opens it."""
    task = ReplayTask(curves.space, curves.max_epochs)
    logbook = logbook_class.start(folder, task, seed, sampler)
    scheduler = GroupedASHA(logbook, grace_epochs, REDUCTION_FACTOR)
    return LedgerSearch(logbook, sys.maxsize), scheduler


def told_as_complete(curves: Curves, seed: int, grace_epochs: int, folder: Path) -> Pair:
    return ours(curves, seed, grace_epochs, folder, logbook_class=ToldAsComplete)


def random(curves: Curves, seed: int, grace_epochs: int, folder: Path) -> Pair:
    return ours(curves, seed, grace_epochs, folder, sampler="random")


def unpruned(curves: Curves, seed: int, grace_epochs: int, folder: Path) -> Pair:
    return ours(curves, seed, curves.max_epochs, folder, sampler="random")


def stock(curves: Curves, seed: int, grace_epochs: int, folder: Path) -> Pair:
    """Ray's own, as its documentation puts them together: the code size is one more
    categorical, and all trials meet on one set of rungs."""
    search = OptunaSearch(curves.space.all_distributions(), metric=METRIC, mode="min", seed=seed)
    scheduler = AsyncHyperBandScheduler(
        time_attr="training_iteration",
        metric=METRIC,
        mode="min",
        max_t=curves.max_epochs,
        grace_period=grace_epochs,
        reduction_factor=REDUCTION_FACTOR,
    )
    return search, scheduler


SEARCHERS: dict[str, Callable[[Curves, int, int, Path], Pair]] = {
    "ours": ours,
    "ours-told-complete": told_as_complete,
    "stock": stock,
    "random": random,
    "random-unpruned": unpruned,
}
MEANINGS = {
    "ours": "this project's searcher and ASHA per code size",
    "ours-told-complete": "the same, but stopped trials pass for finished ones",
    "stock": "Ray's OptunaSearch and AsyncHyperBandScheduler",
    "random": "random search with ASHA per code size",
    "random-unpruned": "random search that stops nothing early",
}


@dataclass
class Replay:
    """One trial of a simulated search."""

    row: int  # of the recorded configuration whose curve it follows
    epochs: int = 0
    ended: bool = False


@dataclass
class Replays:
    """A simulated search: its trials in order of start, and its clock."""

    curves: Curves
    trials: list[Replay] = field(default_factory=list)
    epochs: int = 0  # trained in all

    def crowned(self, group: int) -> int | None:
        """The row that the search would choose for a code size now, by `SearchState.best`'s
        rule: the best epoch among trials that had all epochs, else among the stopped ones."""
        able = [
            trial
            for trial in self.trials
            if trial.ended
            and self.curves.groups[trial.row] == group
            and np.isfinite(self._values(trial)).all()
        ]
        best = min(able, key=self._rank, default=None)
        return None if best is None else best.row

    def _rank(self, trial: Replay) -> tuple:
        return trial.epochs < self.curves.max_epochs, self._values(trial).min()

    def _values(self, trial: Replay) -> np.ndarray:
        return self.curves.values[trial.row, : trial.epochs]


def simulate(curves: Curves, pair: Pair, budget_epochs: int, workers: int) -> Iterator[Replays]:
    """Search until `budget_epochs` are trained; yields the search after every epoch.

    All epochs take one tick of the clock; workers that are ready together go in the order in
    which their trials began. A worker whose trial ended begins the next one at once.
    """
    search, scheduler = pair
    replays, numbers = Replays(curves), count()
    ready = [(1, number) for number in range(workers)]  # (when an epoch ends, trial)
    stand_ins = [_begin(search, scheduler, replays, next(numbers)) for _ in range(workers)]
    while replays.epochs < budget_epochs:
        now, number = heapq.heappop(ready)
        replays.epochs += 1
        if _epoch(search, scheduler, stand_ins[number], replays.trials[number], curves):
            number = next(numbers)
            stand_ins.append(_begin(search, scheduler, replays, number))
        heapq.heappush(ready, (now + 1, number))
        yield replays


def _begin(search: OptunaSearch, scheduler: TrialScheduler, replays: Replays, number: int):
    """Ask for a configuration; returns what stands in for Ray's Trial."""
    trial_id = f"replay_{number:05d}"
    config = search.suggest(trial_id)
    used = {replay.row for replay in replays.trials}
    row = replays.curves.nearest(config.get("parameters", config), used)
    replays.trials.append(Replay(row))
    metadata = SimpleNamespace(num_failures=0)
    trial = SimpleNamespace(trial_id=trial_id, config=config, run_metadata=metadata)
    scheduler.on_trial_add(None, trial)
    return trial


def _epoch(
    search: OptunaSearch, scheduler: TrialScheduler, trial, replay: Replay, curves: Curves
) -> bool:
    """Replay one epoch as TuneController processes a result; returns whether the trial ended.

    The searcher hears of a result only where the trial goes on; of the last one it hears as the
    trial's completion, after the scheduler."""
    value = float(curves.values[replay.row, replay.epochs])
    replay.epochs += 1
    result = {
        "epoch": replay.epochs,
        "training_iteration": replay.epochs,
        "seconds": 1.0,
        "train_loss": value,
        METRIC: value,
    }
    decision = scheduler.on_trial_result(None, trial, result)
    if decision != TrialScheduler.STOP:
        search.on_trial_result(trial.trial_id, result)
        return False
    replay.ended = True
    scheduler.on_trial_complete(None, trial, result)
    search.on_trial_complete(trial.trial_id, result=result)
    return True


def log_regret(replays: Replays) -> float:
    """Mean over code sizes of log(crowned value / best recorded value); 0 is perfect."""
    finals, groups = replays.curves.finals(), replays.curves.groups
    logs = []
    for group in replays.curves.space.groups:
        of_group = finals[groups == group]
        row = replays.crowned(group)
        value = np.inf if row is None else finals[row]
        # A trial stopped while it did well, and known to diverge later, is no better than none.
        value = value if np.isfinite(value) else np.median(of_group)
        logs.append(np.log(value / of_group.min()))
    return float(np.mean(logs))


def regrets(
    curves: Curves,
    searcher: str,
    seed: int,
    at: tuple[int, ...],
    workers: int = 1,
    grace_epochs: int = 1,
) -> list[float]:
    """Log regrets of one search after each number of epochs in `at` (rising)."""
    with tempfile.TemporaryDirectory(prefix="simulate-", dir=fast_folder()) as folder:
        pair = SEARCHERS[searcher](curves, seed, grace_epochs, Path(folder) / "run")
        searches = simulate(curves, pair, at[-1], workers)
        return [log_regret(replays) for replays in searches if replays.epochs in at]


def fast_folder() -> Path | None:
    """Memory where the system offers it: each epoch waits for the ledger and the study to be on
    disk, which on a disk takes longer than all the rest."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


@dataclass(frozen=True)
class Estimate:
    """A median over seeds and the ends of its bootstrap 95 % interval, in per cent."""

    median: float
    low: float
    high: float


def estimate(logs: np.ndarray, seed: int = 0) -> Estimate:
    """The percentile bootstrap of the median of log ratios (Efron 1979)."""
    draws = np.random.default_rng(seed).integers(len(logs), size=(RESAMPLES, len(logs)))
    low, high = np.percentile(np.median(logs[draws], axis=1), (2.5, 97.5))
    return Estimate(*(float(100 * np.expm1(value)) for value in (np.median(logs), low, high)))


def wins(logs: np.ndarray) -> dict[str, int]:
    """In how many seeds a searcher chose better, and worse, than the one it is set against."""
    return {"better": int((logs < 0).sum()), "worse": int((logs > 0).sum())}


def neighbour_agreement(curves: Curves) -> float:
    """Mean over code sizes of the rank correlation (Spearman) between what a recorded
    configuration reaches and what its nearest other one does: how far to trust the replay."""
    finals, found = curves.finals(), []
    for group in curves.space.groups:
        rows = np.flatnonzero(curves.groups == group)
        offsets = curves.points[rows, None] - curves.points[None, rows]
        distances = np.square(offsets).sum(-1) + np.diag(np.full(len(rows), np.inf))
        pair = np.stack([finals[rows], finals[rows][distances.argmin(1)]])
        found.append(np.corrcoef(pair.argsort(1).argsort(1))[0, 1])
    return float(np.mean(found))


def compare(
    curves: Curves,
    searchers: list[str],
    seeds: int,
    budget_epochs: int,
    workers: int,
    grace_epochs: int,
) -> dict:
    """Everything that is printed, as JSON-ready values."""
    at = tuple(sorted({max(1, round(share * budget_epochs)) for share in SHARES}))
    logs = {
        name: np.array(
            [regrets(curves, name, seed, at, workers, grace_epochs) for seed in range(seeds)]
        )
        for name in searchers
    }
    against = logs[searchers[0]]
    return {
        "epochs": list(at),
        "seeds": seeds,
        "workers": workers,
        "grace_epochs": grace_epochs,
        "configurations": len(curves.parameters),
        "max_epochs": curves.max_epochs,
        "neighbour_agreement": neighbour_agreement(curves),
        "regret_percent": {
            name: [asdict(estimate(column)) for column in values.T] for name, values in logs.items()
        },
        "against": searchers[0],
        "difference_percent": {
            name: [asdict(estimate(c)) | wins(c) for c in (values - against).T]
            for name, values in logs.items()
            if values is not against
        },
        "log_regrets": {name: values.tolist() for name, values in logs.items()},
    }


def as_text(found: dict) -> str:
    """The comparison as tables."""
    lines = [
        f"{found['configurations']} recorded configurations of {found['max_epochs']} epochs, "
        f"{found['seeds']} seeds, {found['workers']} worker(s); a configuration and its nearest "
        f"neighbour agree with rank correlation {found['neighbour_agreement']:.2f}",
        "",
        "Regret: per cent above the best recorded, geometric mean over code sizes; median over "
        "seeds [bootstrap 95 % interval]",
        *_table(found["epochs"], found["regret_percent"]),
        "",
        f"Difference from {found['against']}, seed by seed: what is chosen is so many per cent "
        f"worse than what {found['against']} chooses; then in how many seeds it is better : worse",
        *_table(found["epochs"], found["difference_percent"]),
        "",
        *(f"{name}: {MEANINGS[name]}" for name in found["regret_percent"]),
    ]
    return "\n".join(lines)


def _table(epochs: list[int], rows: dict[str, list[dict]]) -> list[str]:
    head = f"{'epochs trained':<20}" + "".join(f"{value:>27}" for value in epochs)
    return [head] + [
        f"{name:<20}" + "".join(f"{_cell(value):>27}" for value in values)
        for name, values in rows.items()
    ]


def _cell(value: dict) -> str:
    text = f"{value['median']:.1f} [{value['low']:.1f}, {value['high']:.1f}]"
    return text + (f" {value['better']}:{value['worse']}" if "better" in value else "")


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m search.simulate",
        allow_abbrev=False,
        description="Compare searchers on recorded learning curves, at no training cost.",
    )
    add = parser.add_argument
    add(
        "--curves",
        type=Path,
        default=DEFAULT_CURVES,
        help=f"recorded curves (default {DEFAULT_CURVES})",
    )
    add("--seeds", type=positive_int, default=30, help="searches of each kind (default 30)")
    add(
        "--budget-epochs",
        type=positive_int,
        default=250,
        help="epochs of each search (default 250: 50 to 80 trials of 9 epochs with ASHA)",
    )
    add("--workers", type=positive_int, default=1, help="trials at a time (default 1)")
    add("--grace-epochs", type=positive_int, default=1, help="ASHA's first rung (default 1)")
    add(
        "--searchers",
        nargs="+",
        choices=tuple(SEARCHERS),
        default=list(SEARCHERS),
        help="which to compare; the others are set against the first",
    )
    add("--json", type=Path, help="write the figures to this file too")
    add(
        "--record",
        type=Path,
        metavar="RUN",
        help="do not compare: make a file of curves from the folder of a run of "
        "search.autoencoders --sampler random with --grace-epochs as large as --max-epochs",
    )
    add("--out", type=Path, help="the file that --record makes")
    return parser


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna and Ray tell of every trial, and stock OptunaSearch of every nan."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="All-NaN slice", category=RuntimeWarning)
        yield


def main(argv: list[str] | None = None) -> int:
    """0, or 2 for an argument or a file that cannot be used."""
    given = _parser().parse_args(argv)
    try:
        if (given.record is None) != (given.out is None):
            raise UsageError("--record RUN and --out FILE go together")
        if given.record is not None:
            number = record(given.record, given.out)
            print(f"{given.out}: curves of {number} trials")
            return 0
        return _compare(given)
    except (UsageError, FolderError) as error:
        print(f"search.simulate: error: {error}", file=sys.stderr)
        return 2


def _compare(given) -> int:
    curves = load_curves(given.curves)
    if given.grace_epochs > curves.max_epochs:
        raise UsageError(
            f"--grace-epochs {given.grace_epochs} is more than the "
            f"{curves.max_epochs} epochs that were recorded"
        )
    with quiet():
        found = compare(
            curves,
            list(dict.fromkeys(given.searchers)),
            given.seeds,
            given.budget_epochs,
            given.workers,
            given.grace_epochs,
        )
    print(as_text(found))
    if given.json:
        write_json(given.json, found)
    return 0
