"""The benchmark on sizes so small that its figures mean nothing: what it runs, and what it says."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import torch

from models.data import load
from models.data.prepared import prepare
from models.networks.autoencoder import AutoencoderConfig
from models.training.loop import TrainingConfig, has_fast_bf16
from models.training.reconstruction import Reconstruction, autoencoder_run
from search.benchmark import command as benchmark
from search.benchmark import driver as benchmark_driver
from search.benchmark import overhead as benchmark_overhead
from search.benchmark import quality as benchmark_quality
from search.benchmark import step as benchmark_step
from search.benchmark import whole as benchmark_whole
from search.benchmark.figures import Spread, said, table
from search.benchmark.overhead import Outcome, marginal_by_part
from search.benchmark.tutorials import tutorial
from search.record.schema import COMPLETE
from tests.search.simulate.test_simulate import EPOCHS, made

SMALL = AutoencoderConfig(depth=2, width=8, latent_size=16)


@pytest.fixture(scope="module")
def images():
    return load("mnist5k", "data", train_size=60)


# ---------------------------------------------------------------------------------------- figures


def test_a_ratio_is_taken_repetition_by_repetition():
    slow_day = Spread.of_ratios([2.0, 20.0, 2.2], [1.0, 10.0, 1.0])
    assert (slow_day.median, slow_day.low, slow_day.high) == (2.0, 2.0, 2.2)
    assert said(slow_day.as_json()) == "2 [2, 2.2]"
    assert said(Spread.of([3.0]).as_json()) == "3 (once)"


def test_a_table_keeps_its_columns():
    assert table(["of", "s"], [["ours", "1"], ["x", "10"]]) == ["of     s", "ours   1", "x     10"]


# --------------------------------------------------------------------------------------- overhead


def runs(**seconds: list[float]) -> benchmark_overhead.Runs:
    return {
        int(n[1:]): [Outcome(int(n[1:]), s, s / 2) for s in all_] for n, all_ in seconds.items()
    }


def test_what_one_more_trial_costs_is_the_slope_and_what_was_not_run_says_so():
    stock = runs(n20=[10.0, 12.0, 11.0], n100=[18.0])
    found = benchmark_overhead.summary(stock, (20, 100, 1000))
    assert found["marginal_s"]["20-100"] == Spread.of([pytest.approx(0.1)]).as_json()
    assert found["total_s"]["20"]["median"] == 11 and found["total_s"]["20"]["repetitions"] == 3
    assert found["total_s"]["1000"]["median"] == pytest.approx(18 + 900 * 0.1)
    assert (
        found["total_s"]["1000"]["extrapolated"] and "extrapolated" not in found["total_s"]["100"]
    )
    ours = runs(n20=[1.0, 1.0, 1.0], n100=[2.0, 2.0, 2.0], n1000=[11.0, 11.0, 11.0])
    ratios = benchmark_overhead.ratios(stock, ours)
    assert ratios["total"]["20"]["median"] == 11 and list(ratios["total"]) == ["20", "100"]
    assert ratios["marginal"]["median"] == pytest.approx(0.1 / 0.01)


def test_the_driver_of_a_large_search_is_measured_without_ray(tmp_path):
    found = benchmark_driver.measure(40, tmp_path / "run", concurrent=4)
    parts = found["parts"].values()
    assert sum(part["beginning"]["calls"] for part in parts) == 40
    assert sum(part["epoch"]["calls"] for part in parts) == found["epochs"] > 40
    assert (tmp_path / "run" / "ledger.log").stat().st_size == found["ledger_bytes"]
    assert "40 trials" in "\n".join(benchmark_driver.as_text(json.loads(json.dumps(found))))


def test_the_cost_of_each_part_of_a_search_is_told_apart():
    started = [0.1 * n for n in range(11)] + [1 + 0.5 * n for n in range(1, 11)]
    parts = marginal_by_part(started, parts=2)
    assert parts == {"0-10": pytest.approx(0.1), "10-20": pytest.approx(0.5)}


def ray_s_environment() -> dict:
    return {name: each for name, each in os.environ.items() if name.startswith(("RAY", "TUNE"))}


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_both_tuners_run_their_trials_and_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setattr(benchmark_overhead, "LARGE", 20)
    monkeypatch.setattr(benchmark_overhead, "EPOCHS", 3)
    before = ray_s_environment()
    monkeypatch.setattr(benchmark_overhead, "STOCK_MOST", 4)
    monkeypatch.setattr(benchmark_overhead, "REUSED_MOST", 4)
    found = benchmark_overhead.measure((2, 4, 6), repetitions=1, large=True)
    assert ray_s_environment() == before
    text = "\n".join(benchmark_overhead.as_text(found))
    assert json.loads(json.dumps(found)) == found
    assert text.count("extrapolated") == 2 and "20 trials" in text
    assert found["ours"]["further_epoch_s"]["repetitions"] == 1
    assert found["large"]["bytes_per_trial"]["ledger.log"] > 100
    assert sum(len(part["total_s"]) for part in (found["ours"], found["stock"])) == 6


@pytest.mark.usefixtures("cluster")
def test_our_trivial_trials_end_as_trials_of_a_search_do(tmp_path):
    outcome, logbook = benchmark_overhead.ours(5, tmp_path / "run", epochs=2)
    assert outcome.trials == 5 and outcome.seconds > 0
    ends = [(trial.state, trial.epochs) for trial in logbook.state.trials]
    assert ends == [(COMPLETE, 2)] * 5
    assert logbook.folder.trials_csv.read_text().count("\n") == 6


# ------------------------------------------------------------------------------------------- step


def test_a_tutorial_s_images_and_loss_are_ours(images):
    prepared, training = prepare(images), TrainingConfig(l1=0.1, batch_size=50)
    rival = tutorial(SMALL, training, images, "cpu")
    theirs = torch.stack([rival.validation.dataset[n] for n in range(50)])
    assert torch.equal(theirs, prepared.batch(images.validation[:50]))
    labels = images.labels[images.validation[:50]]
    generator = torch.Generator().manual_seed(0)
    rival.network.eval()
    expected = Reconstruction(training).loss(rival.network, theirs, labels, generator)
    # Where the hardware has bfloat16 ours is computed in it: eight binary digits.
    digits = 2**-8 if has_fast_bf16(torch.device("cpu")) else 1e-5
    assert torch.isclose(rival._loss(theirs, generator), expected, rtol=digits)


def test_a_tutorial_s_network_learns(images):
    rival = tutorial(SMALL, TrainingConfig(batch_size=10), images, "cpu")
    before = rival.validation_mse()
    for _ in range(3):
        rival.train_epoch()
    assert rival.validation_mse() < before


def test_operations_are_counted_forward_and_backward(images):
    prepared = prepare(images)
    run = autoencoder_run(SMALL, TrainingConfig(batch_size=10), prepared)
    before = run.state_dict()["network"]["to_code.weight"].clone()
    flat = 2 * 8 * 7 * 7
    linear = 2 * flat * SMALL.latent_size  # of one of the two linear layers, forward
    assert benchmark_step.flops_per_image(run, prepared) > 2 * 3 * linear
    assert torch.equal(run.network.to_code.weight, before) and run.step == 0


def test_a_network_is_measured_against_the_tutorial_and_the_peak(images, monkeypatch):
    monkeypatch.setattr(benchmark_step, "ZOO", {"small": SMALL})
    monkeypatch.setattr(benchmark_step, "PEAK_SIDE", {"cpu": 64})
    monkeypatch.setattr(benchmark_step, "PEAK_SECONDS", 0.001)
    threads = torch.get_num_threads()
    found = benchmark_step.measure(images, "cpu", batch_size=20, repetitions=3)
    assert torch.get_num_threads() == threads
    network = found["networks"]["small"]
    assert network["ours / tutorial"]["repetitions"] == 3
    assert 0 < sum(network["time_goes_to"].values()) <= 1.01
    assert "small" in "\n".join(benchmark_step.as_text(json.loads(json.dumps(found))))


# ---------------------------------------------------------------------------------- whole searches


def test_ray_s_space_is_ours():
    space = benchmark_whole.UnbegunTask((32,), 2, "quick").space()
    domains = benchmark_whole.ray_space(space)
    assert domains.keys() == space.distributions.keys()
    np.random.seed(0)
    for name, distribution in space.distributions.items():
        drawn = [domains[name].sample() for _ in range(200)]
        low = [distribution.to_internal_repr(value) for value in drawn]
        assert all(distribution._contains(value) for value in low), name
        assert len(set(drawn)) > 1


def test_optuna_s_space_is_ours():
    space = benchmark_whole.UnbegunTask((32,), 2, "quick").space()
    trial = optuna.create_study().ask()
    for name, distribution in space.distributions.items():
        benchmark_whole._suggest(trial, name, distribution)
    assert trial.distributions == space.distributions


def test_the_goal_counts_from_when_it_was_reached_first():
    course = benchmark_whole.Course(4, 9.0, [(1.0, 0.5), (3.0, 0.01), (2.0, 0.02), (4.0, 0.001)])
    assert course.goal_s() == 2.0 and benchmark_whole.Course(0).goal_s() is None


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_all_three_searches_train_the_same_trials(images):
    size = benchmark_whole.Size(3, 2, images, "cpu")
    found = benchmark_whole.measure(size, repetitions=1)
    assert list(found["searches"]) == ["ours", "Ray's pattern", "Optuna's pattern"]
    for each in found["searches"].values():
        assert each["trials_ended"]["median"] == 3
        assert 3 <= each["epochs"]["median"] <= 6 and 0 < each["best_mse"]["median"] < 1
    assert set(found["ours / other"]) == {"Ray's pattern", "Optuna's pattern"}
    text = "\n".join(benchmark_whole.as_text(json.loads(json.dumps(found))))
    assert "3 trials of at most 2 epochs of 60 images" in text


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_ray_s_pattern_is_cut_when_it_has_had_its_time(images, tmp_path):
    size = benchmark_whole.Size(40, 1, images, "cpu")
    course = benchmark_whole.ray_pattern(size, tmp_path, patience=0.1)
    fewest = benchmark_whole.FEWEST_TRIALS
    assert fewest <= course.trials < 20  # not those that the cut ended
    assert 0.1 < course.seconds and course.trials_per_hour > 0
    assert len(course.values) >= course.trials


# ----------------------------------------------------------------------------------------- quality


def test_epochs_to_the_error_of_random_search_are_counted_until_ours_is_as_good():
    curves = made()
    ours, random, reached = benchmark_quality.epochs_to_target(curves, 0, 120)
    assert 1 <= random <= 120 and (reached and ours < 120 or ours == 120)
    again = benchmark_quality.epochs_to_target(curves, 0, 120)
    assert again == (ours, random, reached)
    # A budget of one configuration a code size: random search has no choice to make.
    assert benchmark_quality.epochs_to_target(curves, 0, 2 * EPOCHS)[1] <= 2 * EPOCHS


def test_searching_well_is_told_with_its_interval():
    found = benchmark_quality.measure(made(), seeds=4, budget_epochs=60)
    low, high = found["random / ours, 95 % interval"]
    assert low <= found["random / ours"]["median"] <= high
    assert "4 seeds" in "\n".join(benchmark_quality.as_text(json.loads(json.dumps(found))))


# ----------------------------------------------------------------------------------------- command


def test_the_command_prints_and_writes_each_part(tmp_path, monkeypatch, capsys):
    part = SimpleNamespace(calls=0)

    def measure(*given):
        part.calls += 1
        return benchmark_quality.measure(made(), seeds=2, budget_epochs=40)

    monkeypatch.setattr(benchmark, "_quality", lambda given: measure)
    out = tmp_path / "found.json"
    assert benchmark.main(["--parts", "quality", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert set(found["parts"]) == {"quality"} and found["machine"]["cores"] == os.cpu_count()
    assert {"torch", "ray", "optuna"} <= set(found["machine"]["versions"])
    assert "random search" in capsys.readouterr().out and part.calls == 1


@pytest.mark.parametrize(
    "given",
    [
        ["--parts", "speed"],
        ["--parts"],
        ["--repetitions", "2"],
        ["--seeds", "9"],
        ["--trials", "0"],
        ["--trials", "many"],
        ["--parts", "quality", "--curves", "nowhere.csv.gz"],
        ["--parts", "step", "--large"],
        ["--parts", "quality", "--to-the-end"],
        ["--parts", "overhead", "--trial-counts", "20"],
        ["--parts", "overhead", "--trial-counts", "20", "20"],
        ["--parts", "step", "--json", "nowhere/found.json"],
        ["--parts", "step", "--dataset", "mnist", "--data-dir", "/dev/null"],
    ],
)
def test_bad_input_is_one_line_and_exit_2(given, capsys):
    try:
        status = benchmark.main(given)
    except SystemExit as error:
        status = error.code
    assert status == 2 and capsys.readouterr().err.count("\n") == 1
