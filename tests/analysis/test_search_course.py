"""How a search went: best-so-far, ASHA's rungs, the control sample and warnings, on made-up runs
whose trials are stopped as Ray's ASHA would stop them."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from analysis.figures import style as figures
from analysis.figures.course import progress
from analysis.measure.rungs import (
    Correlation,
    milestones,
    rank_correlations,
    rungs,
    share_at_most,
    spared,
    timed_out,
)
from analysis.page.blocks import Heading, Picture
from analysis.page.course.course import correlation_table, course_blocks, rung_table
from analysis.page.course.warnings import (
    Range,
    ahead_notes,
    edge_notes,
    edges,
    seed_deviation,
    tie_notes,
    tie_table,
    tied,
)
from analysis.read.runs import Result, Run, Skipped, read_run, winners
from analysis.tables.frames import Table

SIZES = (1024, 128, 32)
PROBES = tuple(f"{probe}-{size}" for probe in "abcdefgh" for size in SIZES)
SPACE = {
    "depth": ("Int", 2, 9, False),
    "dropout": ("Float", 0.0, 0.3, False),
    "l1": ("Float", 1e-8, 1e-2, True),
    "learning_rate": ("Float", 5e-4, 1e-2, True),
    "max_features": ("Float", 0.05, 1.0, False),
    "noise_level": ("Float", 0.0, 0.3, False),
}


def write_search(
    folder: Path,
    trials: int = 30,
    groups: tuple = SIZES,
    mode: str = "min",
    epochs: int = 9,
    grace: int = 1,
    control_every: int = 0,
    presets: int = 3,
    seed: int = 0,
    state: str = "finished",
) -> Path:
    """A made-up run folder: groups take turns, one trial after another, Ray's ASHA decides."""
    draws = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    group = "latent_size" if isinstance(groups[0], int) else "model"
    metric = "validation_mse" if mode == "min" else "validation_accuracy"
    asha = {name: scheduler(metric, mode, epochs, grace) for name in groups}
    rows, records = [], []
    for number in range(trials):
        name, sampled = groups[number % len(groups)], number >= presets
        round_ = (number - presets) // len(groups)
        control = sampled and control_every and round_ % control_every == control_every - 1
        row = {"id": f"trial_{number:05d}", "number": number, "state": "complete"}
        row |= {"preset": "sampled" if sampled else f"preset-{number}", group: name}
        row |= {"depth": int(draws.integers(2, 10)), "learning_rate": 10 ** draws.uniform(-3, -2)}
        curve = _curve(row, metric, mode, epochs, draws)
        spared_at = ""
        for record in curve:
            stop = False
            if sampled and not spared_at and record["epoch"] < epochs:
                stop = decide(asha[name], row["id"], record)
            if stop and control:
                spared_at = record["epoch"]
            elif stop:
                curve, row["state"] = curve[: record["epoch"]], "pruned"
                break
        best = (max if mode == "max" else min)(curve, key=lambda record: record[metric])
        row |= {"epochs": len(curve), "best_epoch": best["epoch"]}
        row |= {f"best_{metric}": best[metric], f"last_{metric}": curve[-1][metric]}
        row |= {"spared_at": spared_at, "failures": 0, "reason": "", "seconds": 0.5 * len(curve)}
        rows.append(row)
        records += curve
    write_csv(folder / "trials.csv", rows)
    write_csv(folder / "epochs.csv", records)
    info = {
        "command": "autoencoders" if group == "latent_size" else "latent_probes",
        "data": {"name": "glyphs", "split": "drawers"},
        "device": "cpu",
        "metric": metric,
        "mode": mode,
        "group": group,
        "groups": [*groups],
        "settings": {"max_epochs": epochs, "grace_epochs": grace, "control_every": control_every},
        "space": space(SPACE),
        "state": state,
        "start": "2026-03-01T10:00:00+00:00",
    }
    (folder / "run.json").write_text(json.dumps(info))
    return folder


def _curve(row: dict, metric: str, mode: str, epochs: int, draws: np.random.Generator) -> list:
    end, power = 0.004 * (1 + draws.exponential()), draws.uniform(0.8, 1.6)
    curve = []
    for epoch in range(1, epochs + 1):
        error = end + 0.06 * epoch**-power * math.exp(0.05 * draws.normal())
        value = error if mode == "min" else 0.9 - 6 * error
        record = {"id": row["id"], "number": row["number"], "epoch": epoch, "train_loss": error}
        curve.append({**record, metric: value, "seconds": 0.5})
    return curve


def scheduler(metric: str, mode: str, epochs: int, grace: int) -> AsyncHyperBandScheduler:
    limits = {"time_attr": "epoch", "max_t": epochs, "grace_period": grace, "reduction_factor": 3}
    return AsyncHyperBandScheduler(metric=metric, mode=mode, **limits)


class _Trial:
    def __init__(self, trial_id: str):
        self.trial_id = trial_id


def decide(asha: AsyncHyperBandScheduler, trial_id: str, record: dict) -> bool:
    trial = _Trial(trial_id)
    if trial_id not in asha._trial_info:
        asha.on_trial_add(None, trial)
    return asha.on_trial_result(None, trial, record) == TrialScheduler.STOP


def space(parameters: dict) -> dict:
    told = {
        name: json.dumps(
            {
                "name": f"{kind}Distribution",
                "attributes": {"low": low, "high": high, "log": log, "step": None},
            }
        )
        for name, (kind, low, high, log) in parameters.items()
    }
    choices = {"name": "CategoricalDistribution", "attributes": {"choices": ["relu", "silu"]}}
    return {"group": "x", "distributions": {**told, "activation": json.dumps(choices)}}


def write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def change_csv(path: Path, change) -> None:
    """Let `change` alter each row of a CSV, a dict of strings."""
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        change(row)
    write_csv(path, rows)


def change_info(folder: Path, change) -> None:
    info = json.loads((folder / "run.json").read_text())
    change(info)
    (folder / "run.json").write_text(json.dumps(info))


def page(run: Run, draw: bool = False) -> str:
    """The words of a run's blocks; `draw` draws every picture too."""
    parts = []
    for block in course_blocks(run, winners(run)):
        if isinstance(block, Picture):
            assert not draw or figures.png(block.figure).startswith(b"\x89PNG")
            parts.append(f"[{block.name}] {block.caption}")
        elif isinstance(block, Table):
            parts.append(f"<{block.name}>\n{block.markdown()}")
        elif isinstance(block, Skipped):
            parts.append(f"skipped {block.name}: {block.reason}")
        elif isinstance(block, Heading):
            parts.append(block.words)
        else:
            parts.append(block)
    return "\n\n".join(parts)


@pytest.mark.parametrize("mode, control", [("min", 0), ("max", 2)])
def test_rungs_are_those_of_rays_asha(tmp_path, mode, control):
    run = read_run(write_search(tmp_path / "run", 60, mode=mode, epochs=27, control_every=control))
    metric = run.metric
    assert milestones(run) == [1, 3, 9]
    trials = run.trials[run.trials["preset"] == "sampled"]
    for group in SIZES:
        asha = scheduler(metric, mode, 27, 1)
        stops = dict.fromkeys((1, 3, 9), 0)
        for trial in trials[trials["latent_size"] == group].to_dict("records"):
            for record in run.epochs[run.epochs["id"] == trial["id"]].to_dict("records"):
                if decide(asha, trial["id"], record) and record["epoch"] < 27:
                    stops[record["epoch"]] += 1
                    break
        mine = [rung for rung in rungs(run) if rung.group == group]
        entered = {epoch: len(recorded) for epoch, recorded in asha._brackets[0]._rungs if recorded}
        assert {rung.epoch: rung.entered for rung in mine} == entered
        assert {rung.epoch: rung.stopped + rung.spared for rung in mine} == stops
        assert all(rung.entered == rung.passed + rung.stopped + rung.spared for rung in mine)
        assert any(rung.spared for rung in mine) == bool(control)


def test_a_trial_stopped_for_its_time_passed_its_rung(tmp_path):
    folder = write_search(tmp_path / "run", 40)
    before = read_run(folder)
    late = before.trials.loc[before.trials["state"] == "pruned", "id"].iloc[0]
    words = "it took 41 s of the 40 that a trial may take"
    change_csv(
        folder / "trials.csv",
        lambda row: row.update(reason=words if row["id"] == late else ""),
    )
    run = read_run(folder)
    assert timed_out(run).sum() == 1

    def total(run: Run, name: str) -> int:
        return sum(getattr(rung, name) for rung in rungs(run))

    assert total(run, "stopped") == total(before, "stopped") - 1
    assert total(run, "passed") == total(before, "passed") + 1
    assert (total(before, "timed_out"), total(run, "timed_out")) == (0, 1)
    assert f"1 trial of the pruned was stopped for time and not for rank (first: {words})" in (
        page(run)
    )
    assert "then stopped for time" in rung_table(run, rungs(run)).markdown()
    assert "then stopped for time" not in rung_table(before, rungs(before)).markdown()


def test_a_run_whose_grace_is_its_budget_has_no_rungs(tmp_path):
    run = read_run(write_search(tmp_path / "run", 6, epochs=3, grace=3))
    assert milestones(run) == []
    assert "with 3 epochs of grace and 3 in all" in page(run)


def test_diverged_trials_cost_time_but_lead_nothing(tmp_path):
    folder = write_search(tmp_path / "run", 12, groups=(32,), presets=0)

    def change(row: dict) -> None:
        if row["id"] == "trial_00002":
            row["validation_mse"] = "1e-9"

    change_csv(folder / "epochs.csv", change)
    change_csv(
        folder / "trials.csv",
        lambda row: row.update(state="diverged") if row["id"] == "trial_00002" else None,
    )
    course = progress(read_run(folder))
    assert course["best"].min() > 1e-4
    assert (course["best"].diff().dropna() <= 0).all()
    assert course["epochs"].tolist() == list(range(1, len(course) + 1))
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


def test_time_is_left_out_where_no_epoch_has_seconds(tmp_path):
    folder = write_search(tmp_path / "run", 6)
    change_csv(folder / "epochs.csv", lambda row: row.pop("seconds"))
    run = read_run(folder)
    assert progress(run)["seconds"].isna().all()
    drawn = next(
        b for b in course_blocks(run, winners(run)) if getattr(b, "name", "") == "best-so-far"
    )
    assert [axes.get_xlabel() for axes in drawn.figure.axes] == [
        "epochs trained, all trials",
        "trials started",
    ]
    assert "holds no seconds" in page(run)


def test_rank_correlation_is_spearmans(tmp_path):
    folder = write_search(tmp_path / "run", 5, groups=(32,), presets=5)
    late = dict(zip(range(5), [1.0, 2.0, 3.0, 5.0, 4.0], strict=True))

    def change(row: dict) -> None:
        if row["epoch"] in ("1", "9"):
            row["validation_mse"] = (
                late[int(row["number"])] if row["epoch"] == "9" else row["number"]
            )

    change_csv(folder / "epochs.csv", change)
    run = read_run(folder)
    found = {(one.early, one.late): one for one in rank_correlations(run)}
    assert set(found) == {(1, 3), (1, 9), (3, 9)}
    assert found[1, 9] == Correlation(32, 1, 9, 5, 0.9)
    assert "0.90 (5)" in correlation_table(run, list(found.values())).markdown()
    assert "correlation is 0.90 (5 trials): the order hardly changes" in page(run)


def test_few_common_trials_have_no_rank_correlation(tmp_path):
    run = read_run(write_search(tmp_path / "run", 9, presets=9))
    assert all(one.trials == 3 and math.isnan(one.rho) for one in rank_correlations(run))
    assert "It cannot be said" in page(run)


def test_a_spared_trial_that_wins_is_counted(tmp_path):
    folder = write_search(tmp_path / "run", 60, control_every=2)
    before = spared(read_run(folder))
    assert before
    hero = before[0].trial
    change_csv(
        folder / "trials.csv",
        lambda row: (
            row.update(best_validation_mse=0.001 if row["id"] == hero else 0.5)
            if row["spared_at"]
            else None
        ),
    )
    run = read_run(folder)
    found = spared(run)
    assert [one.trial for one in found if one.won] == [hero]
    rest = run.trials[
        (run.trials["latent_size"] == found[0].group) & (run.trials["state"] == "complete")
    ]
    rest = rest[rest["spared_at"].isna()]["best_validation_mse"].min()
    assert found[0].rest == rest and found[0].gain == pytest.approx(rest - 0.001)
    text = page(run)
    ahead = 100 * (rest - 0.001) / rest
    assert f"1 ended better than the best of its group's other trials, by {ahead:.2g} %" in text
    judged = sum(one.judged for one in found)
    assert f"at most {share_at_most(1, judged):.0%} (exact binomial" in text


def test_a_spared_trial_that_still_runs_is_not_judged(tmp_path):
    folder = write_search(tmp_path / "run", 60, control_every=2)
    found = spared(read_run(folder))
    change_csv(
        folder / "trials.csv",
        lambda row: row.update(state="running") if row["spared_at"] else None,
    )
    run = read_run(folder)
    assert len(spared(run)) == len(found) and not any(one.judged for one in spared(run))
    assert "No control trial can tell yet" in page(run)


def test_bound_on_the_share_is_the_exact_one():
    assert share_at_most(0, 10) == pytest.approx(1 - 0.05 ** (1 / 10), abs=1e-6)
    assert share_at_most(10, 10) == 1.0


def test_a_run_without_control_sample_says_which_flag_gives_one(tmp_path):
    assert "`--control-every 4`" in page(read_run(write_search(tmp_path / "run", 12)))
    young = read_run(write_search(tmp_path / "young", 3, control_every=4))
    assert "would have stopped none of it so far" in page(young)


@pytest.mark.parametrize(
    "searched, value, end",
    [
        (Range(1e-8, 1e-2, True, False), 1.9e-8, "low"),
        (Range(1e-8, 1e-2, True, False), 3e-8, "low" if math.log10(3) / 6 <= 0.05 else ""),
        (Range(1e-8, 1e-2, True, False), 6e-3, "high"),
        (Range(0.0, 1.0, False, False), 0.951, "high"),
        (Range(0.0, 1.0, False, False), 0.94, ""),
        (Range(2, 9, False, True), 2, "low"),
        (Range(2, 9, False, True), 3, ""),
        (Range(2, 9, False, True), 9, "high"),
        (Range(1e-8, 1e-2, True, False), 0.0, ""),
        (Range(0.0, 1.0, False, False), math.nan, ""),
        (Range(3, 3, False, True), 3, ""),
    ],
)
def test_ends_of_ranges(searched, value, end):
    assert searched.end(value) == end


def test_edges_are_of_sampled_winners_and_not_of_what_is_off(tmp_path):
    run = read_run(write_search(tmp_path / "run", 6))
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
    winner = Result("trial_00004", "sampled", 128, "complete", 9, parameters)
    found = edges(run, {128: winner})
    assert [(edge.parameter, edge.end) for edge in found] == [
        ("depth", "high"),
        ("l1", "low"),
        ("learning_rate", "high"),
    ]
    sharp, soft = edge_notes(run, found)
    assert "depth 9 at the high end of 2 to 9, learning rate 0.0098" in sharp
    assert "may lie beyond" in sharp and "L1 1.2e-08" in soft and "as good as off" in soft
    assert not edges(run, {128: replace(winner, preset="sae")})
    noisy = replace(winner, parameters={"noise": "block", "noise_level": 0.3})
    assert [edge.parameter for edge in edges(run, {128: noisy})] == ["noise_level"]


def test_space_is_that_of_the_groups_family(tmp_path):
    folder = write_search(tmp_path / "run", 6, groups=PROBES[:2], mode="max")

    def family(low: float, high: float, group: str) -> dict:
        told = space({"l1": ("Float", low, high, True), "depth": ("Int", 2, 9, False)})
        choices = {"name": "CategoricalDistribution", "attributes": {"choices": [group]}}
        told["distributions"]["model"] = json.dumps(choices)
        return told

    families = [family(1e-8, 1e-2, PROBES[0]), family(1e-8, 1.0, PROBES[1])]
    change_info(folder, lambda info: info["space"].update(families=families))
    run = read_run(folder)
    chosen = {
        name: Result("t", "sampled", name, "complete", 9, {"l1": 0.009}) for name in PROBES[:2]
    }
    assert [edge.group for edge in edges(run, chosen)] == [PROBES[0]]


def test_space_is_read_from_the_ledger_where_run_json_has_none(tmp_path):
    folder = write_search(tmp_path / "run", 6)
    change_info(folder, lambda info: info.pop("space"))
    winner = {32: Result("t", "sampled", 32, "complete", 9, {"depth": 2})}
    assert not edges(read_run(folder), winner)
    assert "the run does not say what was searched" in page(read_run(folder))
    event = json.dumps({"event": "search", "space": space(SPACE)})
    (folder / "ledger.log").write_text(f"0123abcd {event}\n")
    assert [edge.parameter for edge in edges(read_run(folder), winner)] == ["depth"]
    (folder / "ledger.log").write_bytes(b"\xff\xfe no ledger")
    assert not edges(read_run(folder), winner)


@pytest.mark.parametrize("mode, better", [("min", 1e-4), ("max", 0.99)])
def test_a_better_trial_short_of_the_budget_is_named_and_not_crowned(tmp_path, mode, better):
    folder = write_search(tmp_path / "run", 30, mode=mode)
    run = read_run(folder)
    assert not list(ahead_notes(run, winners(run)))
    stopped = run.trials[(run.trials["state"] == "pruned") & (run.trials["latent_size"] == 128)]
    name = stopped["id"].iloc[0]

    def change(row: dict) -> None:
        if row["id"] == name:
            row[f"best_{run.metric}"] = better

    change_csv(folder / "trials.csv", change)
    run = read_run(folder)
    chosen = winners(run)
    assert chosen[128].trial != name and chosen[128].state == "complete"
    (note,) = ahead_notes(run, chosen)
    assert note.startswith(f"Code 128: {name.replace('_', chr(92) + '_')} never reached")
    assert "state pruned" in note and "of 9 epochs" in note


def _retrained(run: Run, group, std: float, seeds: int = 3, metric: str = "") -> Result:
    """The group's winner with a deviation over seeds."""
    winner = winners(run)[group]
    runs = tuple({"seed": float(seed)} for seed in range(seeds))
    return replace(winner, runs=runs, std={metric or run.metric: std})


def test_ties_are_complete_trials_within_the_deviation(tmp_path):
    folder = write_search(tmp_path / "run", 8, groups=(32,), presets=0)
    best = [0.010, 0.0109, 0.0101, 0.0112, 0.02, 0.0102, 0.03, 0.01005]

    def change(row: dict) -> None:
        number = int(row["number"])
        row.update(best_validation_mse=best[number], state="pruned" if number == 7 else "complete")

    change_csv(folder / "trials.csv", change)
    run = read_run(folder)
    winner = _retrained(run, 32, 0.001)
    near = tied(run, winner)
    assert list(near["number"]) == [0, 2, 5, 1]  # the winner first, the pruned 7 not at all
    (note,) = tie_notes(run, {32: winner})
    assert "tied with 3 other trials (trial\\_00002, trial\\_00005, trial\\_00001)" in note
    table = tie_table(run, {32: near}, {32: winner})
    assert list(table.frame["winner"]) == [True, False, False, False]
    assert "sampled: depth" in table.markdown() and "(winner)" in table.markdown()
    assert not list(tie_notes(run, {32: _retrained(run, 32, 1e-6)}))
    short = replace(winner, trial="trial_00007", state="pruned")  # an older final.json's
    assert tied(run, short)["number"].iloc[0] == 7


def test_ties_are_not_known_without_a_deviation(tmp_path):
    run = read_run(write_search(tmp_path / "run", 8, groups=(32,), presets=0))
    (note,) = tie_notes(run, winners(run))
    assert "Whether the winner of Code 32 is tied with others is not known" in note
    refit = _retrained(run, 32, 0.5, metric="test_mse")  # refitted on the validation split
    assert seed_deviation(run, refit) == 0.5
    assert math.isnan(seed_deviation(run, _retrained(run, 32, 0.5, seeds=1)))


def test_a_winner_short_of_the_budget_is_named(tmp_path):
    folder = write_search(tmp_path / "run", 4, groups=(32,), presets=0)
    change_csv(folder / "trials.csv", lambda row: row.update(state="pruned"))
    text = page(read_run(folder))
    assert "was not trained to the full budget in the search (state pruned" in text


def test_retries_and_errors_are_counted_with_their_reasons(tmp_path):
    folder = write_search(tmp_path / "run", 6, presets=6)
    ended = {"0": ("error", 1, "ProbeTooLarge: 5 GB"), "1": ("error", 3, "<b>OSError</b>")}
    ended["2"] = ("complete", 1, "")

    def change(row: dict) -> None:
        state, failures, reason = ended.get(row["number"], (row["state"], 0, ""))
        row.update(state=state, failures=failures, reason=reason)

    change_csv(folder / "trials.csv", change)
    text = page(read_run(folder))
    assert "2 trials were started again after a failure" in text
    assert "ProbeTooLarge: 5 GB (1)" in text and "<b>" not in text


@pytest.mark.parametrize("trials", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "groups, mode", [(SIZES, "min"), (PROBES, "max"), (("classifier",), "max")]
)
def test_young_runs_are_told(tmp_path, trials, groups, mode):
    folder = write_search(tmp_path / "run", max(trials, 1), groups, mode, state="running")
    if not trials:
        for name in ("trials.csv", "epochs.csv"):
            (folder / name).write_text("")
    text = page(read_run(folder), draw=trials == 2)
    assert ("[best-so-far]" in text) == bool(trials)
    assert "| complete |" in text and "Would a pruned trial have won?" in text


def test_holes_in_a_run_are_no_fault(tmp_path):
    folder = write_search(tmp_path / "run", 20, control_every=2)
    for name in ("failures", "reason", "spared_at", "best_validation_mse"):
        change_csv(folder / "trials.csv", lambda row, name=name: row.pop(name))
    change_csv(
        folder / "epochs.csv",
        lambda row: row.update(validation_mse="nan") if int(row["number"]) % 2 else None,
    )
    assert "[rungs]" in page(read_run(folder), draw=True)
    change_info(folder, lambda info: info.update(settings={}))
    assert "rungs are not known" in page(read_run(folder))
    change_info(folder, lambda info: info.pop("metric"))
    assert "skipped course of the search" in page(read_run(folder))


def test_many_groups_are_cut_to_what_a_page_holds(tmp_path):
    run = read_run(write_search(tmp_path / "run", 500, PROBES, "max", epochs=27, control_every=4))
    found = list(course_blocks(run, winners(run)))
    tables = {block.name: block for block in found if isinstance(block, Table)}
    assert len(tables["rungs"].frame) == 24 * 3
    assert tables["rungs"].markdown().count("\n") == 13
    drawn = {block.name: block.figure for block in found if isinstance(block, Picture)}
    assert set(drawn) == {"best-so-far", "rungs", "control-trials"}
    assert all(figure.get_figwidth() <= 8 for figure in drawn.values())
    assert len([axes for axes in drawn["rungs"].axes if axes.get_visible()]) == 6
    best = run.trials.groupby("model")["best_validation_accuracy"].max().nlargest(6).index
    labels = {text.get_text() for text in drawn["best-so-far"].legends[0].get_texts()}
    assert labels - {"sampling begins"} == set(best)
    assert "the 6 best of 24" in " ".join(block for block in found if isinstance(block, str))


def test_same_run_gives_the_same_bytes(tmp_path):
    folder = write_search(tmp_path / "run", 20, groups=(32,), control_every=2)
    first, again = (
        [
            figures.svg(block.figure)
            if isinstance(block, Picture)
            else getattr(block, "csv", str)()
            for block in course_blocks(run, winners(run))
            if not isinstance(block, (str, Skipped))
        ]
        for run in (read_run(folder), read_run(folder))
    )
    assert first == again
