"""The simulator: recorded curves, their replay through real searchers, regret, the command."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.schedulers import TrialScheduler

from search.simulate.command import main
from search.simulate.curves import (
    GROUP,
    METRIC,
    PROJECT_CURVES,
    Curves,
    coordinates,
    load_curves,
    searched_space,
)
from search.simulate.policies import POLICIES, Search
from search.simulate.recording import record
from search.simulate.regret import estimate, log_regret, regrets
from search.simulate.replay import Replay, Replays, quiet, simulate
from search.tune.study import STUDY_NAME

SIZES = (1024, 32)
EPOCHS = 9


@pytest.fixture(autouse=True)
def without_messages():
    with quiet():
        yield


def made(number: int = 60, seed: int = 0) -> Curves:
    """Curves of random configurations: a bowl in two of the parameters, and one that diverges."""
    space = searched_space(SIZES)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    parameters = tuple(
        {GROUP: SIZES[n % 2], **study.ask(space.distributions).params} for n in range(number)
    )
    points = np.array([coordinates(space, p) for p in parameters])
    level = 0.01 + np.square(points[:, :2] - 0.3).sum(1) / 10
    values = level[:, None] + 0.2 * np.exp(-np.arange(1, EPOCHS + 1) / 3)
    values[-1, 4:] = np.nan
    return Curves(space, parameters, values, points, np.array([p[GROUP] for p in parameters]))


def searched(curves: Curves, name: str, folder: Path, budget: int = 70, workers: int = 1):
    """The searcher of a policy, and the search that it made."""
    search = POLICIES[name].build(curves, 3, 1, folder)
    return search.searcher, list(simulate(curves, search, budget, workers))[-1]


# --------------------------------------------------------------------------- the recorded curves


def run_folder(path: Path, sampler: str = "random", states=("complete", "complete", "diverged")):
    """A run folder as search.autoencoders leaves it: a preset, sampled trials, one diverged."""
    space = searched_space((32,))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trials = [
        {"number": n, "state": state, "preset": "sae" if n == 0 else "sampled", GROUP: 32}
        | study.ask(space.distributions).params
        for n, state in enumerate(states)
    ]
    epochs = [
        {"number": n, "epoch": epoch, METRIC: value}
        for n, state in enumerate(states)
        for epoch, value in enumerate(
            (0.123456789, 0.1, 0.05 if state == "complete" else np.nan), 1
        )
    ]
    path.mkdir()
    for name, rows in (("trials", trials), ("epochs", epochs)):
        with open(path / f"{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    about = {"command": "autoencoders", "latent_sizes": [32], "space": space.as_json()}
    (path / "run.json").write_text(json.dumps(about | {"settings": {"sampler": sampler}}))
    return trials


def test_a_run_is_recorded_without_its_presets_and_read_back(tmp_path):
    trials = run_folder(tmp_path / "run")
    assert record(tmp_path / "run", tmp_path / "curves.csv.gz") == 2
    curves = load_curves(tmp_path / "curves.csv.gz")
    assert curves.values[0].tolist() == [0.123457, 0.1, 0.05]
    assert curves.finals()[0] == 0.05 and np.isinf(curves.finals()[1])
    for read, trial in zip(curves.parameters, trials[1:], strict=True):
        for name, value in read.items():
            known = trial[name]
            assert value == (known if isinstance(known, str) else pytest.approx(known, rel=1e-5))


def test_the_same_run_gives_the_same_bytes(tmp_path):
    run_folder(tmp_path / "run")
    files = [tmp_path / "a.gz", tmp_path / "b.gz"]
    for file in files:
        record(tmp_path / "run", file)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    "options", [{"sampler": "tpe"}, {"states": ("complete", "pruned")}, {"states": ("complete",)}]
)
def test_a_run_that_cannot_stand_for_the_space_is_refused(tmp_path, options, capsys):
    run_folder(tmp_path / "run", **options)
    out = tmp_path / "curves.csv.gz"
    assert main(["--record", str(tmp_path / "run"), "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not out.exists()


def test_the_recorded_file_is_small_and_whole():
    curves = load_curves(PROJECT_CURVES)
    assert PROJECT_CURVES.stat().st_size < 300_000
    for group in curves.space.groups:
        assert np.isfinite(curves.finals()[curves.groups == group]).sum() >= 10


# ------------------------------------------------------------------------------------ the replay


def test_a_recorded_configuration_is_its_own_nearest():
    curves = made()
    assert [curves.nearest(p) for p in curves.parameters] == list(range(60))


def test_nearest_keeps_to_the_code_size_and_to_what_is_unused():
    curves = made()
    for parameters in curves.parameters[:10]:
        used = set()
        for _ in range(30):
            row = curves.nearest(parameters, used)
            assert curves.groups[row] == parameters[GROUP] and row not in used
            used.add(row)
        assert curves.nearest(parameters, used) == curves.nearest(parameters)


def test_distance_is_logarithmic_where_the_space_is_and_one_for_another_category():
    curves = made()
    here = curves.parameters[0] | {"learning_rate": 5e-4, "activation": "relu"}

    def distance(**changed) -> float:
        there = coordinates(curves.space, here | changed)
        return np.linalg.norm(coordinates(curves.space, here) - there)

    assert distance(learning_rate=1e-2) == pytest.approx(1)
    assert distance(learning_rate=np.sqrt(5e-4 * 1e-2)) == pytest.approx(0.5)
    assert distance(activation="gelu") == distance(activation="silu") == pytest.approx(1)


class Listener:
    """Searcher and scheduler at once: notes its calls, and stops a trial at its third epoch."""

    def __init__(self, curves: Curves):
        self.curves, self.calls = curves, []

    def suggest(self, trial_id):
        self.calls.append("suggest")
        return self.curves.parameters[0]

    def on_trial_add(self, controller, trial):
        self.calls.append("add")

    def on_trial_result(self, *given):
        if len(given) == 2:
            self.calls.append(f"searcher {given[1]['epoch']}")
            return None
        self.calls.append(f"scheduler {given[2]['epoch']}")
        return TrialScheduler.STOP if given[2]["epoch"] == 3 else TrialScheduler.CONTINUE

    def on_trial_complete(self, *given, result=None):
        self.calls.append("searcher complete" if result else "scheduler complete")


def test_calls_come_in_the_order_of_the_tune_controller():
    listener = Listener(made())
    list(simulate(listener.curves, Search(listener, listener), 3, 1))
    assert listener.calls[:9] == [
        "suggest", "add", "scheduler 1", "searcher 1", "scheduler 2", "searcher 2",
        "scheduler 3", "scheduler complete", "searcher complete",
    ]  # fmt: skip


def test_workers_take_turns(tmp_path):
    curves = made()
    search = POLICIES["random-unpruned"].build(curves, 0, 1, tmp_path / "run")
    progress = [[t.epochs for t in r.trials] for r in simulate(curves, search, 20, 2)]
    assert progress[:3] == [[1, 0], [1, 1], [2, 1]]
    assert progress[-1] == [9, 9, 1, 1]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_gets_the_same_budget_and_chooses_what_was_recorded(tmp_path, name, workers):
    curves = made()
    _, replays = searched(curves, name, tmp_path / "run", workers=workers)
    assert replays.epochs == 70 == sum(trial.epochs for trial in replays.trials)
    for group in SIZES:
        row = replays.best(group)
        assert curves.groups[row] == group and np.isfinite(curves.finals()[row])
    assert 0 <= log_regret(replays) < np.inf


@pytest.mark.parametrize("name", POLICIES)
def test_a_seed_gives_the_same_search(name):
    first, again = (regrets(made(), name, 1, (20, 40)) for _ in range(2))
    assert first == again != regrets(made(), name, 2, (20, 40))


def test_our_study_has_the_true_state_of_every_trial(tmp_path):
    searcher, replays = searched(made(), "ours", tmp_path / "run", budget=120)
    study = optuna.load_study(study_name=STUDY_NAME, storage=searcher._logbook.storage)
    counts = Counter(trial.state for trial in study.trials)
    for trial, replay in zip(study.trials, replays.trials, strict=True):
        assert len(trial.intermediate_values) == np.isfinite(replays.values(replay)).sum()
        assert (trial.state == TrialState.COMPLETE) == (
            replay.epochs == EPOCHS and np.isfinite(replays.values(replay)).all()
        )
        assert (trial.state == TrialState.RUNNING) == (not replay.ended)
    assert counts[TrialState.COMPLETE] and counts[TrialState.PRUNED]
    assert counts[TrialState.RUNNING] == 1


def test_stock_takes_pruned_trials_for_complete_ones(tmp_path):
    """As Ray's OptunaSearch does: with the value they were stopped at."""
    searcher, replays = searched(made(), "stock", tmp_path / "run", budget=120)
    pruned = 0
    for trial, replay in zip(searcher._ot_study.trials, replays.trials, strict=True):
        if replay.ended and np.isfinite(replays.values(replay)).all():
            assert trial.state == TrialState.COMPLETE
            assert trial.value == replays.values(replay)[-1]
            assert replay.epochs not in trial.intermediate_values
            pruned += replay.epochs < EPOCHS
    assert pruned


def test_the_replay_chooses_what_the_search_chooses(tmp_path):
    searcher, replays = searched(made(), "ours", tmp_path / "run")
    for group in SIZES:
        best = searcher._logbook.best(group)
        assert replays.best(group) == replays.trials[best.number].row


def test_a_diverged_curve_ends_our_trial_and_is_never_chosen(tmp_path):
    curves = made(2)  # one configuration a size; that of the second diverges
    _, replays = searched(curves, "ours", tmp_path / "run", budget=14)
    assert [t.epochs for t in replays.trials if t.ended] == [9, 5]
    assert replays.best(32) is None and replays.best(1024) == 0


# ---------------------------------------------------------------------------------------- regret


def test_regret_is_the_geometric_mean_of_ratios_over_code_sizes():
    curves = made(40)
    finals = np.where(curves.groups == 1024, 1.0, 10.0)
    finals[[0, 1]] = 0.5, 2.5  # the best of each size
    values = np.repeat(finals[:, None], EPOCHS, axis=1)
    curves = Curves(curves.space, curves.parameters, values, curves.points, curves.groups)
    assert log_regret(Replays(curves, [Replay(0, 9, True), Replay(1, 9, True)])) == 0
    found = log_regret(Replays(curves, [Replay(0, 9, True), Replay(3, 9, True)]))
    assert np.exp(found) == pytest.approx(np.sqrt(1 * 4))
    # Nothing can be chosen, so the median counts. A running trial is not chosen.
    found = log_regret(Replays(curves, [Replay(0, 4, False)]))
    assert np.exp(found) == pytest.approx(np.sqrt(2 * 4))


def test_a_complete_trial_is_chosen_before_a_better_one_that_was_stopped():
    curves = made()
    rows = np.flatnonzero(curves.groups == 1024)
    order = rows[curves.finals()[rows].argsort()]
    stopped, whole = Replay(order[0], 8, True), Replay(order[20], 9, True)
    assert Replays(curves, [stopped, whole]).best(1024) == whole.row
    assert Replays(curves, [stopped]).best(1024) == stopped.row


def test_the_interval_holds_the_median_and_narrows_with_seeds():
    logs = np.random.default_rng(0).normal(0.1, 0.05, 400)
    few, many = estimate(logs[:30]), estimate(logs)
    assert few == estimate(logs[:30])
    assert many.low < many.median < many.high
    assert many.high - many.low < few.high - few.low
    assert many.low < 100 * np.expm1(0.1) < many.high


def test_on_recorded_curves_ours_is_not_worse_than_random():
    """By more than the interval: the difference of paired seeds may be 0, or in our favour."""
    curves = load_curves(PROJECT_CURVES)
    at = (120,)
    logs = {
        name: np.ravel([regrets(curves, name, seed, at) for seed in range(6)])
        for name in ("ours", "random", "random-unpruned")
    }
    for control in ("random", "random-unpruned"):
        assert estimate(logs["ours"] - logs[control]).low <= 0, control


# --------------------------------------------------------------------------------------- command


def test_the_command_prints_and_writes_the_comparison(tmp_path, capsys):
    given = ["--curves", str(PROJECT_CURVES), "--seeds", "2", "--budget-epochs", "40", "--json"]
    names = ["--searchers", "ours", "stock"]
    assert main([*given, str(tmp_path / "found.json"), *names]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["epochs"] == [10, 20, 30, 40] and set(found["regret_percent"]) == set(names[1:])
    assert f"{found['regret_percent']['stock'][0]['median']:.1f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given",
    [
        ["--curves", "nowhere.csv.gz"],
        ["--curves", "{junk}"],
        ["--curves", "{other}"],
        ["--record", "nowhere"],
        ["--record", "nowhere", "--out", "x.csv.gz"],
        ["--curves", str(PROJECT_CURVES), "--grace-epochs", "99"],
        ["--seeds", "0"],
        ["--searchers", "grid"],
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path, given, capsys):
    junk, other = tmp_path / "junk.csv.gz", tmp_path / "other.csv.gz"
    junk.write_bytes(b"no gzip")
    other.write_bytes(gzip.compress(b"number,latent_size,epoch\n1,32,1\n"))
    try:
        status = main([word.format(junk=junk, other=other) for word in given])
    except SystemExit as error:
        status = error.code
    assert status == 2 and capsys.readouterr().err.count("\n") == 1
