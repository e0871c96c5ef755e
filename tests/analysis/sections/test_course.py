"""How a search went: best so far, ASHA's rungs, the control sample and warnings."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from analysis.figures.drawing.encoding import png
from analysis.measure.course.control import control
from analysis.measure.course.endings import endings
from analysis.measure.course.progress import arrivals, best_groups, progress
from analysis.measure.course.rungs import (
    LITTLE,
    STEADY,
    Correlation,
    Correlations,
    rank_correlations,
    rungs,
)
from analysis.measure.course.sampled import contests
from analysis.measure.course.warnings import edges, end_of, seed_deviation, tied, warnings
from analysis.measure.statistics import share_at_most
from analysis.page.blocks import Picture
from analysis.page.sections.course import course_blocks
from analysis.read.runs import Result, Run, Skipped, read_run, winners
from analysis.tables.writing.table import Table
from tests.analysis.run_folders import (
    change_csv,
    change_json,
    write_search,
)

SIZES = (1024, 128, 32)
PROBES = tuple(f"{probe}-{size}" for probe in "abcdefgh" for size in SIZES)


def blocks(run: Run) -> list:
    return list(course_blocks(run, winners(run)))


def names(run: Run, kind: type) -> list[str]:
    return [block.name for block in blocks(run) if isinstance(block, kind)]


def trial_of(run: Run, state: str, group: int = 128) -> str:
    mine = (run.trials["state"] == state) & (run.trials["latent_size"] == group) & run.sampled
    return run.trials.loc[mine, "id"].iloc[0]


def asha_of(run: Run, epochs: int) -> AsyncHyperBandScheduler:
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        metric=run.metric,
        mode=run.info["mode"],
        max_t=epochs,
        grace_period=1,
        reduction_factor=3,
    )


@pytest.mark.parametrize("mode, every", [("min", 0), ("max", 2)])
def test_rungs_are_those_of_rays_asha(tmp_path, mode, every):
    run = read_run(write_search(tmp_path / "run", 60, mode=mode, epochs=27, control_every=every))
    assert run.rungs == [1, 3, 9]
    found = rungs(run)
    for group in SIZES:
        asha, stops = asha_of(run, 27), dict.fromkeys(run.rungs, 0)
        mine = run.trials[run.sampled & (run.trials["latent_size"] == group)]
        for trial_id in mine["id"]:
            trial = SimpleNamespace(trial_id=trial_id)
            asha.on_trial_add(None, trial)
            for record in run.epochs[run.epochs["id"] == trial_id].to_dict("records"):
                stop = asha.on_trial_result(None, trial, record) == TrialScheduler.STOP
                if stop and record["epoch"] < 27:
                    stops[record["epoch"]] += 1
                    break
        entered = {epoch: len(seen) for epoch, seen in asha._brackets[0]._rungs if seen}
        here = found.by_group()[group]
        assert {rung.epoch: rung.entered for rung in here} == entered
        assert {rung.epoch: rung.stopped + rung.spared for rung in here} == stops
    assert found.entered == found.passed + found.stopped + found.spared
    assert bool(found.spared) == bool(every)
    assert found.epochs_saved == sum((27 - r.epoch) * r.stopped for r in found.rungs)


def test_a_trial_stopped_for_its_time_passed_its_rung(tmp_path):
    folder = write_search(tmp_path / "run", 40)
    run = read_run(folder)
    before, late = rungs(run), trial_of(run, "pruned")
    last = str(int(run.epochs.loc[run.epochs["id"] == late, "epoch"].max()))

    def stop_for_time(row: dict) -> None:
        if row["id"] == late:
            row.update(reason="time limit", detail="41 s of 40")

    def decide(row: dict) -> None:
        if row["id"] == late and row["epoch"] == last and "decision" in row:
            row.update(decision="time limit")

    change_csv(folder / "trials.csv", lambda row: row.setdefault("detail", ""))
    change_csv(folder / "trials.csv", stop_for_time)
    change_csv(folder / "epochs.csv", decide)
    run = read_run(folder)
    after = rungs(run)
    assert (after.stopped, after.passed) == (before.stopped - 1, before.passed + 1)
    assert sum(rung.timed_out for rung in before.rungs) == 0
    assert sum(rung.timed_out for rung in after.rungs) == 1
    found = endings(run)
    assert (found.timed_out, found.first_timed_out) == (1, "41 s of 40")


def test_a_paused_trial_counts_as_stopped_unless_it_was_called_back(tmp_path):
    folder = write_search(tmp_path / "run", 40, epochs=27)
    before = rungs(read_run(folder))

    def pause(row: dict) -> None:
        if row["decision"] in ("stop", "promote"):
            row.update(decision="pause")

    def wait(row: dict) -> None:
        row.update(reason=row["reason"].replace("scheduler", "paused"))

    change_csv(folder / "epochs.csv", pause)
    change_csv(folder / "trials.csv", wait)
    change_json(folder / "run.json", lambda info: info.update(scheduler="promotion"))
    run = read_run(folder)
    assert before.stopped and before.passed and rungs(run) == before
    assert run.scheduler == "promotion" and "rungs" in names(run, Table)


def test_a_search_that_stops_nothing_says_so(tmp_path):
    folder = write_search(tmp_path / "run", 8, epochs=3)
    change_json(folder / "run.json", lambda info: info.update(scheduler="none", rungs=[]))
    run = read_run(folder)
    assert rungs(run).rungs == () and "rungs" not in names(run, Table)


def test_a_run_whose_grace_is_its_budget_has_no_rungs(tmp_path):
    run = read_run(write_search(tmp_path / "run", 6, epochs=3, grace=3))
    found = rungs(run)
    assert (found.epochs, found.rungs, found.grace, found.last) == ((), (), 3, 3)
    assert "rungs" not in names(run, Table)


def test_diverged_trials_cost_time_but_lead_nothing(tmp_path):
    def curve(trial, draws):
        values = [0.1 / epoch for epoch in range(1, 10)]
        if trial.number == 2:
            values = [1e-9, math.nan]
        return [{"train_loss": value, "validation_mse": value} for value in values]

    folder = write_search(tmp_path / "run", 12, groups=(32,), presets=12, curve=curve)
    run = read_run(folder)
    assert run.counts["diverged"] == 1
    course = progress(run)
    assert course["best"].min() > 1e-4 and (course["best"].diff().dropna() <= 0).all()
    assert course["epochs"].tolist() == list(range(1, 11 * 9 + 3))
    assert course["seconds"].iloc[-1] == pytest.approx(0.5 * len(course))
    assert course["trials"].max() == 12


def test_best_so_far_is_the_best_of_what_came_before(tmp_path):
    run = read_run(write_search(tmp_path / "run", 24, groups=PROBES[:2], mode="max"))
    course = progress(run)
    values = run.epochs.sort_values(["number", "epoch"], ignore_index=True)
    for group in PROBES[:2]:
        mine = course["group"] == group
        expected = values.loc[mine, "validation_accuracy"].cummax()
        assert course.loc[mine, "best"].tolist() == expected.tolist()
    for found in arrivals(run, course, PROBES[:2]):
        assert found.best == course.loc[course["group"] == found.group, "best"].max()
        assert 0 < found.close <= found.share <= 1


def test_time_is_left_out_where_no_epoch_has_seconds(tmp_path):
    folder = write_search(tmp_path / "run", 6)
    change_csv(folder / "epochs.csv", lambda row: row.pop("seconds"))
    run = read_run(folder)
    assert progress(run)["seconds"].isna().all()
    (drawn,) = (block for block in blocks(run) if getattr(block, "name", "") == "best-so-far")
    assert len(drawn.figure.axes) == 2


def test_rank_correlation_is_spearmans(tmp_path):
    late = (1.0, 2.0, 3.0, 5.0, 4.0)

    def curve(trial, draws):
        values = [1.0 + trial.number] * 8 + [late[trial.number]]
        return [{"train_loss": value, "validation_mse": value} for value in values]

    folder = write_search(tmp_path / "run", 5, groups=(32,), presets=5, curve=curve)
    found = rank_correlations(read_run(folder))
    assert found.pairs == [(1, 3), (1, 9), (3, 9)]
    assert Correlation(32, 1, 9, 5, 0.9) in found.found
    assert (found.median, found.trials, found.verdict) == (0.9, 5, STEADY)
    assert found.is_a_hint


@pytest.mark.parametrize("rho, verdict", [(0.8, STEADY), (0.79, "partly"), (0.49, LITTLE)])
def test_verdict_on_stopping_at_the_first_rung(rho, verdict):
    assert Correlations((Correlation(32, 1, 9, 30, rho),)).verdict == verdict
    assert not Correlations((Correlation(32, 1, 9, 30, rho),)).is_a_hint


def test_few_common_trials_have_no_rank_correlation(tmp_path):
    found = rank_correlations(read_run(write_search(tmp_path / "run", 9, presets=9)))
    assert all(each.trials == 3 and math.isnan(each.rho) for each in found.found)
    assert not found.known and found.verdict == ""


def test_a_spared_trial_that_wins_is_counted(tmp_path):
    folder = write_search(tmp_path / "run", 60, control_every=2)
    hero = control(read_run(folder)).spared[0].trial

    def change(row: dict) -> None:
        if row["spared_at"]:
            row["best_validation_mse"] = 0.001 if row["id"] == hero else 0.5

    change_csv(folder / "trials.csv", change)
    run = read_run(folder)
    found = control(run)
    (won,) = found.won
    complete = (run.trials["latent_size"] == won.group) & (run.trials["state"] == "complete")
    rest = run.trials[complete & run.trials["spared_at"].isna()]["best_validation_mse"].min()
    assert (won.trial, won.rest) == (hero, rest)
    assert found.gains == [pytest.approx(100 * (rest - 0.001) / rest)]
    assert found.share_at_most == share_at_most(1, len(found.judged))


def test_a_spared_trial_that_still_runs_is_not_judged(tmp_path):
    folder = write_search(tmp_path / "run", 60, control_every=2)
    before = control(read_run(folder))
    change_csv(
        folder / "trials.csv",
        lambda row: row.update(state="running") if row["spared_at"] else None,
    )
    found = control(read_run(folder))
    assert len(found.spared) == len(before.spared) > 0 and not found.judged


def test_a_run_without_control_sample_has_none(tmp_path):
    assert control(read_run(write_search(tmp_path / "run", 12))).every == 0
    young = control(read_run(write_search(tmp_path / "young", 3, control_every=4)))
    assert young.every == 4 and not young.spared


@pytest.mark.parametrize(
    "searched, value, end",
    [
        (FloatDistribution(1e-8, 1e-2, log=True), 1.9e-8, "low"),
        (FloatDistribution(1e-8, 1e-2, log=True), 6e-3, "high"),
        (FloatDistribution(0.0, 1.0), 0.951, "high"),
        (FloatDistribution(0.0, 1.0), 0.94, ""),
        (IntDistribution(2, 9), 2, "low"),
        (IntDistribution(2, 9), 3, ""),
        (IntDistribution(2, 9), 9, "high"),
        (FloatDistribution(1e-8, 1e-2, log=True), 0.0, ""),
        (FloatDistribution(0.0, 1.0), math.nan, ""),
        (IntDistribution(3, 3), 3, ""),
    ],
)
def test_ends_of_ranges(searched, value, end):
    assert end_of(searched, value) == end


def test_edges_are_of_sampled_winners_and_not_of_what_is_off(tmp_path):
    space = {
        "depth": FloatDistribution(2, 9),
        "dropout": FloatDistribution(0.0, 0.3),
        "l1": FloatDistribution(1e-8, 1e-2, log=True),
        "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
        "max_features": FloatDistribution(0.05, 1.0),
        "noise_level": FloatDistribution(0.0, 0.3),
    }
    run = read_run(write_search(tmp_path / "run", 3, presets=0, distributions=space))
    parameters = {
        "depth": 9,
        "dropout": 0.0,
        "l1": 1.2e-8,
        "learning_rate": 0.0098,
        "max_features": 1.0,
        "noise": "none",
        "noise_level": 0.3,
        "activation": "relu",
    }
    winner = Result("trial_00001", "sampled", 128, "complete", 9, parameters)
    found = edges(run, {128: winner})
    assert [(edge.parameter, edge.end, edge.nearly_off) for edge in found] == [
        ("depth", "high", False),
        ("l1", "low", True),
        ("learning_rate", "high", False),
    ]
    assert not edges(run, {128: replace(winner, preset="sae")})
    noisy = replace(winner, parameters={"noise": "block", "noise_level": 0.3})
    assert [edge.parameter for edge in edges(run, {128: noisy})] == ["noise_level"]


def test_range_is_that_of_the_groups_family(tmp_path):
    folder = write_search(tmp_path / "run", 4, groups=PROBES[:2], mode="max")

    def change(info: dict) -> None:
        space = info["space"]
        wide = (
            '{"name": "FloatDistribution", "attributes": {"low": 1e-8, "high": 1.0, "log": true}}'
        )
        families = []
        for group, l1 in zip(PROBES[:2], (space["distributions"]["l1"], wide), strict=True):
            one = f'{{"name": "CategoricalDistribution", "attributes": {{"choices": ["{group}"]}}}}'
            families.append({"distributions": {"model": one, "l1": l1}})
        space["families"] = families

    change_json(folder / "run.json", change)
    chosen = {
        name: Result("t", "sampled", name, "complete", 9, {"l1": 0.009}) for name in PROBES[:2]
    }
    assert [edge.group for edge in edges(read_run(folder), chosen)] == [PROBES[0]]


def test_a_run_without_space_has_no_ranges(tmp_path):
    folder = write_search(tmp_path / "run", 4)
    change_json(folder / "run.json", lambda info: info.pop("space"))
    winner = Result("t", "sampled", 32, "complete", 9, {"depth": 2})
    found = warnings(read_run(folder), {32: winner})
    assert (found.edges, found.no_range) == ((), (32,))


@pytest.mark.parametrize("mode, better", [("min", 1e-4), ("max", 0.99)])
def test_a_better_trial_short_of_the_budget_is_named_and_not_chosen(tmp_path, mode, better):
    folder = write_search(tmp_path / "run", 30, mode=mode)
    run = read_run(folder)
    assert not warnings(run, winners(run)).ahead
    name = trial_of(run, "pruned")

    def change(row: dict) -> None:
        if row["id"] == name:
            row[f"best_{run.metric}"] = better

    change_csv(folder / "trials.csv", change)
    run = read_run(folder)
    (found,) = warnings(run, winners(run)).ahead
    assert (found.group, found.trial, found.state, found.value) == (128, name, "pruned", better)
    assert found.winner == winners(run)[128].own(run.metric) and found.others == 0


def retrained(run: Run, group, std: float, seeds: int = 3, metric: str = "") -> Result:
    """The group's winner with a deviation over seeds."""
    runs = tuple({"seed": float(seed)} for seed in range(seeds))
    return replace(winners(run)[group], runs=runs, std={metric or run.metric: std})


def test_ties_are_complete_trials_within_the_deviation(tmp_path):
    best = [0.010, 0.0109, 0.0101, 0.0112, 0.02, 0.0102, 0.03, 0.01005]
    folder = write_search(tmp_path / "run", 8, groups=(32,), presets=8)

    def change(row: dict) -> None:
        number = int(row["number"])
        row.update(best_validation_mse=best[number], state="pruned" if number == 7 else "complete")

    change_csv(folder / "trials.csv", change)
    run = read_run(folder)
    winner = retrained(run, 32, 0.001)
    near = tied(run, winner)
    assert list(near.trials["number"]) == [0, 2, 5, 1]  # the winner first, the pruned 7 not at all
    assert near.trials["behind"].tolist() == pytest.approx([0, 0.0001, 0.0002, 0.0009])
    assert [len(each.others) for each in warnings(run, {32: winner}).tied] == [3]
    assert not warnings(run, {32: retrained(run, 32, 1e-6)}).tied


def test_the_best_sampled_trial_is_compared_with_the_best_preset(tmp_path):
    best = [0.010, 0.012, 0.0090, 0.0089, 0.011]  # two presets, then sampled trials
    folder = write_search(tmp_path / "run", 5, groups=(32,), presets=2)

    def change(row: dict) -> None:
        number = int(row["number"])
        row.update(best_validation_mse=best[number], state="pruned" if number == 3 else "complete")

    change_csv(folder / "trials.csv", change)
    run = read_run(folder)
    preset = run.trials["preset"].iloc[0]
    (known,) = contests(run, {32: retrained(run, 32, 0.0004)})
    assert (known.sampled, known.preset) == (run.trials["id"].iloc[2], preset)
    assert known.better == pytest.approx(0.001) and known.decided
    (close,) = contests(run, {32: retrained(run, 32, 0.0006)})
    assert close.known and not close.decided
    (unknown,) = contests(run, winners(run))
    assert not unknown.known and not unknown.decided
    # a winner of another run, where it was sampled
    change_json(
        folder / "run.json",
        lambda info: info.update(starts=[{"run": preset[:3], "group": "32", "name": preset}]),
    )
    run = read_run(folder)
    (found,) = contests(run, winners(run))
    assert found.preset == run.trials["preset"].iloc[1]
    assert found.better == pytest.approx(0.003)


def test_ties_are_not_known_without_a_deviation(tmp_path):
    run = read_run(write_search(tmp_path / "run", 8, groups=(32,), presets=0))
    assert warnings(run, winners(run)).no_deviation == (32,)
    refit = retrained(run, 32, 0.5, metric="test_mse")  # refitted on the validation split
    assert seed_deviation(run, refit) == 0.5
    assert math.isnan(seed_deviation(run, retrained(run, 32, 0.5, seeds=1)))


def test_a_winner_short_of_the_budget_is_named(tmp_path):
    folder = write_search(tmp_path / "run", 4, groups=(32,), presets=0)
    change_csv(folder / "trials.csv", lambda row: row.update(state="pruned"))
    run = read_run(folder)
    assert warnings(run, winners(run)).short == (winners(run)[32],)


def test_retries_and_errors_are_counted(tmp_path):
    failures = {0: "Traceback\nOSError: full", 1: "OSError: full", 2: "ValueError: <b>"}
    folder = write_search(tmp_path / "run", 6, presets=6, failures=failures, unfinished=(0, 1, 2))
    change_csv(
        folder / "trials.csv",
        lambda row: row.update(failures={"0": 2, "3": 1}.get(row["number"], row["failures"])),
    )
    found = endings(read_run(folder))
    assert found.restarted == 2
    assert found.errors == (("OSError: full", 2), ("ValueError: <b>", 1))


def test_holes_in_a_run_are_no_fault(tmp_path):
    folder = write_search(tmp_path / "run", 20, control_every=2)
    for name in ("failures", "reason", "spared_at", "best_validation_mse"):
        change_csv(folder / "trials.csv", lambda row, name=name: row.pop(name))
    change_csv(
        folder / "epochs.csv",
        lambda row: row.update(validation_mse="nan") if int(row["number"]) % 2 else None,
    )
    run = read_run(folder)
    assert "rungs" in names(run, Table)
    assert all(png(b.figure) for b in blocks(run) if isinstance(b, Picture))
    change_json(folder / "run.json", lambda info: (info.update(settings={}), info.pop("rungs", 0)))
    assert math.isnan(rungs(read_run(folder)).grace) and "rungs" not in names(
        read_run(folder), Table
    )
    change_json(folder / "run.json", lambda info: info.pop("metric"))
    assert any(isinstance(block, Skipped) for block in blocks(read_run(folder)))


def test_many_groups_are_cut_to_what_a_page_holds(tmp_path):
    run = read_run(write_search(tmp_path / "run", 150, PROBES, "max", control_every=2))
    found = blocks(run)
    tables = {block.name: block for block in found if isinstance(block, Table)}
    assert len(tables["rungs"].frame) == 24 * 2
    assert tables["rungs"].markdown().count("\n") == 13
    drawn = {block.name: block.figure for block in found if isinstance(block, Picture)}
    assert set(drawn) == {"best-so-far", "rungs", "control-trials"}
    assert all(figure.get_figwidth() <= 8 for figure in drawn.values())
    assert len([axes for axes in drawn["rungs"].axes if axes.get_visible()]) == 6
    best = run.trials.groupby("model")["best_validation_accuracy"].max().nlargest(6).index
    assert set(best_groups(run, progress(run))) == set(best)
