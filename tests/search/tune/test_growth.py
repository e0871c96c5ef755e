"""What must not grow with the number of trials. The tests count work and not time."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from ray.tune.experiment import Trial

from search.record.schema import COMPLETE, DIVERGED, ERROR, PRUNED, RUNNING
from search.record.state import SearchState, TrialRecord
from search.tune import suggestion
from search.tune.logbook import Logbook
from search.tune.scheduler import LedgerScheduler
from search.tune.suggestion import SHOWN_BEST, SHOWN_RECENT, Suggester
from tests.search.driver import study_trials
from tests.search.toy import ToyTask
from tests.search.toy_search import open_logbook
from tests.search.tune.test_suggestion import SPACE, suggested

STATES = (COMPLETE, PRUNED, DIVERGED, ERROR, RUNNING)


def random_history(trials: int, seed: int = 0, running: float = 0.02) -> list[TrialRecord]:
    rng = np.random.default_rng(seed)
    weights = np.array([0.4, 0.4, 0.1, 0.1]) * (1 - running)
    history = []
    for number in range(trials):
        group = SPACE.groups[number % 2]
        parameters = {
            "size": group,
            "x": float(rng.random()),
            "rate": float(10 ** rng.uniform(-4, 0)),
            "depth": int(rng.integers(1, 10)),
            "step": 0.1,
            "kind": "abc"[rng.integers(3)],
        }
        state = str(rng.choice(STATES, p=[*weights, running]))
        values = rng.random(int(rng.integers(1, 6))).round(1)  # rounded: some rank alike
        records = [{"epoch": n, "mse": float(value)} for n, value in enumerate(values, 1)]
        history.append(TrialRecord(number, "sampled", group, parameters, records, state))
    return history


def suggester_of(history) -> Suggester:
    suggester = Suggester(SPACE, "mse", "min")
    for trial in history:
        suggester.update(trial)
    return suggester


def shown(suggester: Suggester) -> list[dict]:
    return [trial.params for trial in suggester._families[1024].shown()]


@pytest.mark.parametrize("trials", [5, 40, 700])
def test_a_suggestion_does_not_depend_on_the_order_in_which_trials_were_shown(trials):
    history = random_history(trials)
    order = np.random.default_rng(1).permutation(trials)
    grown = Suggester(SPACE, "mse", "min")
    for number in order:
        grown.update(TrialRecord(**{**vars(history[number]), "state": RUNNING}))
        grown.update(history[number])
        grown.update(history[number])
    for group in SPACE.groups:
        expected = suggested(history, SPACE, group, trials)
        assert grown.suggest(group, 0, trials) == expected
        assert grown.suggest(group, 0, trials) == expected  # asking leaves no trace


def plain_suggestion(history, group, number) -> dict:
    """The same by Optuna alone: a new study of all trials, and Optuna's own TPESampler."""
    ranked = {}
    for each in SPACE.groups:
        able = [t for t in history if t.group == each and t.state in (COMPLETE, PRUNED)]
        able.sort(key=lambda trial: suggestion._order(trial, "mse", "min"))
        ranked |= {t.number: (rank + 0.5) / len(able) for rank, t in enumerate(able)}
    ranked |= {trial.number: 1.0 for trial in history if trial.state == RUNNING}
    seed = int(np.random.SeedSequence([0, number]).generate_state(1)[0])
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=10)
    study = optuna.create_study(sampler=sampler)
    distributions = SPACE.all_distributions()
    for trial in history:
        if trial.number in ranked:
            params, value = trial.parameters, ranked[trial.number]
            study.add_trial(
                optuna.trial.create_trial(params=params, distributions=distributions, value=value)
            )
    study.enqueue_trial({"size": group})
    params = study.ask(distributions).params
    return {name: params[name] for name in SPACE.distributions}


@pytest.mark.parametrize("trials", [0, 9, 30, 120, 290])
def test_up_to_what_is_shown_a_suggestion_is_what_optuna_makes_of_the_whole_history(trials):
    history = random_history(trials)
    suggester = suggester_of(history)
    for group in SPACE.groups:
        expected = plain_suggestion(history, group, trials)
        assert suggester.suggest(group, 0, trials) == expected


def test_a_suggestion_is_shown_no_more_trials_after_thousands_than_after_hundreds():
    some, many = (shown(suggester_of(random_history(n, running=0.0))) for n in (600, 3000))
    assert len(some) == len(many) == SHOWN_BEST + SHOWN_RECENT


def test_a_suggestion_builds_each_trial_once_as_a_history_grows(monkeypatch):
    built = []
    of = suggestion._Shared.of
    monkeypatch.setattr(
        suggestion._Shared,
        "of",
        lambda trial, *rest: built.append(trial.number) or of(trial, *rest),
    )
    suggester = suggester_of(random_history(400, running=0.0))
    suggester.suggest(1024, 0, 400)
    first = len(built)
    for number in range(400, 420):
        parameters = {"size": 32, **suggester.suggest(32, 0, number)}
        records = [{"epoch": 1, "mse": 0.5}]
        suggester.update(TrialRecord(number, "sampled", 32, parameters, records, COMPLETE))
    assert len(built) - first <= 2 * 20  # each new one, and now and then one that became good


def test_the_best_trials_are_shown_however_old_they_are():
    history = random_history(1500, running=0.0)
    for trial in history[:20]:
        trial.state, trial.records = COMPLETE, [{"epoch": 1, "mse": -1.0 - trial.number}]
    params = shown(suggester_of(history))
    assert all({**trial.parameters} in params for trial in history[:20])
    assert history[1499].state not in (COMPLETE, PRUNED) or history[1499].parameters in params


def test_every_running_trial_is_shown_as_one_of_the_worst():
    suggester = suggester_of(random_history(1000, running=0.4))
    running = [trial for trial in random_history(1000, running=0.4) if trial.state == RUNNING]
    params = shown(suggester)
    assert len(running) > SHOWN_RECENT and all(trial.parameters in params for trial in running)


def plain_best(state: SearchState, group, mode: str) -> TrialRecord | None:
    sign = 1 if mode == "min" else -1
    able = [
        (trial.state != COMPLETE, sign * trial.best_record("mse", mode)["mse"], trial.number)
        for trial in state.trials
        if trial.group == group and trial.state in (COMPLETE, PRUNED)
    ]
    return state.trials[min(able)[-1]] if able else None


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_trial_is_found_by_looking_at_each_trial_once(mode, monkeypatch):
    looked = []
    best_record = TrialRecord.best_record
    state = SearchState({})
    for trial in random_history(300):
        state.apply({"event": "trial", "time": 0.0, **started(trial)})
        for record in trial.records:
            last = record is trial.records[-1] and trial.state in (COMPLETE, PRUNED, DIVERGED)
            event = {"event": "epoch", "number": trial.number, "record": record, "time": 0.0}
            state.apply({**event, "state": trial.state if last else RUNNING})
        for group in SPACE.groups:
            expected = plain_best(state, group, mode)
            with monkeypatch.context() as patched:
                patched.setattr(
                    TrialRecord,
                    "best_record",
                    lambda self, *args: looked.append(self.number) or best_record(self, *args),
                )
                assert state.best(group, "mse", mode) is expected
    assert len(looked) == len(set(looked)) > 200


def started(trial: TrialRecord) -> dict:
    return {name: getattr(trial, name) for name in ("number", "origin", "group", "parameters")}


# ------------------------------------------------------------------------------------- the files


def play(logbook: Logbook, trials: int) -> None:
    """So many trials of one epoch, without Ray."""
    scheduler = LedgerScheduler(logbook, 1)
    for _ in range(trials):
        trial = logbook.new_trial()
        stand_in = SimpleNamespace(config={"number": trial.number}, trial_id=trial.id)
        scheduler.on_trial_add(None, stand_in)
        value = trial.parameters["x"]
        result = {"epoch": 1, "train_loss": value, "value": value, "seconds": 0.0}
        scheduler.on_trial_result(None, stand_in, result)


@pytest.fixture
def task():
    return ToyTask(max_epochs=1, checkpoints=False)


def test_an_event_waits_for_the_disk_once(tmp_path, monkeypatch, task):
    logbook = open_logbook(tmp_path / "run", task)
    waits, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: waits.append(1) or sync(file))
    play(logbook, 20)
    assert len(waits) == 40  # a trial, its epoch


@pytest.mark.parametrize("damage", [b"\0" * 200, b"no json\n", b""])
def test_a_study_damaged_by_a_power_loss_is_made_again_from_the_ledger(tmp_path, damage, task):
    logbook = open_logbook(tmp_path / "run", task)
    play(logbook, 12)
    expected, path = study_trials(logbook.folder.path), logbook.folder.study
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2] + damage + raw[len(raw) // 2 + 300 :])
    open_logbook(tmp_path / "run", task)
    assert study_trials(tmp_path / "run") == expected


def test_the_next_trial_to_run_is_looked_for_among_those_alive(tmp_path, task):
    def ray_trial(number: int, status: str):
        return SimpleNamespace(config={"number": number}, status=status)

    live = {1: Trial.RUNNING, 5: Trial.PENDING, 3: Trial.PENDING}
    controller = SimpleNamespace(
        get_live_trials=lambda: [ray_trial(*each) for each in live.items()]
    )
    scheduler = LedgerScheduler(open_logbook(tmp_path / "run", task), 1)
    assert scheduler.choose_trial_to_run(controller).config["number"] == 3
    live.clear()
    assert scheduler.choose_trial_to_run(controller) is None
