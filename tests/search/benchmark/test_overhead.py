"""What a trial costs besides its training: the arithmetic, and searches that are too small to say
anything."""

from __future__ import annotations

import json
import os

import pytest

from search.benchmark import driver, overhead
from search.benchmark.figures import spread
from search.record.schema import COMPLETE


def runs(**seconds: list[float]) -> overhead.Runs:
    return {
        int(n[1:]): [overhead.Outcome(int(n[1:]), s, s / 2) for s in all_]
        for n, all_ in seconds.items()
    }


def test_one_more_trial_costs_the_slope_and_a_size_that_was_not_run_is_marked():
    stock = runs(n20=[10.0, 12.0, 11.0], n100=[18.0])
    found = overhead.summary(stock, (20, 100, 1000))
    assert found["marginal_s"]["20-100"] == spread([pytest.approx(0.1)])
    assert found["total_s"]["20"]["median"] == 11 and found["total_s"]["20"]["repetitions"] == 3
    assert found["total_s"]["1000"]["median"] == pytest.approx(18 + 900 * 0.1)
    assert (
        found["total_s"]["1000"]["extrapolated"] and "extrapolated" not in found["total_s"]["100"]
    )
    ours = runs(n20=[1.0, 1.0, 1.0], n100=[2.0, 2.0, 2.0], n1000=[11.0, 11.0, 11.0])
    ratios = overhead.ratios(stock, ours)
    assert ratios["total"]["20"]["median"] == 11 and list(ratios["total"]) == ["20", "100"]
    assert ratios["marginal"]["median"] == pytest.approx(0.1 / 0.01)


def test_the_driver_of_a_large_search_is_measured_without_ray(tmp_path):
    found = driver.measure(40, tmp_path / "run", concurrent=4)
    parts = found["parts"].values()
    called_back = (tmp_path / "run" / "ledger.log").read_text().count('"call_back"')
    assert sum(part["beginning"]["calls"] for part in parts) == 40 + called_back
    assert sum(part["epoch"]["calls"] for part in parts) == found["epochs"] > 40
    assert (tmp_path / "run" / "ledger.log").stat().st_size == found["ledger_bytes"]
    assert driver.as_text(json.loads(json.dumps(found)))


def test_each_part_of_a_search_has_its_own_cost_per_trial():
    started = [0.1 * n for n in range(11)] + [1 + 0.5 * n for n in range(1, 11)]
    parts = overhead.marginal_by_part(started, parts=2)
    assert parts == {"0-10": pytest.approx(0.1), "10-20": pytest.approx(0.5)}


def ray_s_environment() -> dict:
    return {name: each for name, each in os.environ.items() if name.startswith(("RAY", "TUNE"))}


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_both_tuners_run_their_trials_and_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setattr(overhead, "LARGE", 20)
    monkeypatch.setattr(overhead, "EPOCHS", 3)
    before = ray_s_environment()
    monkeypatch.setattr(overhead, "STOCK_MOST", 4)
    monkeypatch.setattr(overhead, "REUSED_MOST", 4)
    found = overhead.measure((2, 4, 6), repetitions=1, large=True)
    assert ray_s_environment() == before
    assert json.loads(json.dumps(found)) == found and overhead.as_text(found)
    for kind in ("stock", "stock, actors reused"):
        assert found[kind]["total_s"]["6"]["extrapolated"]
    assert found["ours"]["further_epoch_s"]["repetitions"] == 1
    assert found["large"]["bytes_per_trial"]["ledger.log"] > 100
    assert sum(len(part["total_s"]) for part in (found["ours"], found["stock"])) == 6


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_our_trivial_trials_end_as_trials_of_a_search_do(tmp_path):
    outcome, logbook = overhead.ours(5, tmp_path / "run", epochs=2)
    assert outcome.trials == 5 and outcome.seconds > 0
    ends = [(trial.state, trial.epochs) for trial in logbook.state.trials]
    assert ends == [(COMPLETE, 2)] * 5
    assert logbook.folder.trials_csv.read_text().count("\n") == 6
