"""Run folders as the report reads them: those of today, and those of earlier versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.measure.course.rungs import rungs
from analysis.read.runs import read_run
from search.record.schema import (
    ENDED,
    LAST,
    PROMOTE,
    REASON_MEMORY,
    REASON_TIME,
    SEARCH_INTERRUPTED,
    SEARCH_OUT_OF_TIME,
    STOP,
    TIME_LIMIT,
)
from tests.analysis.run_folders import change_csv, change_json, write_probes, write_search

STUDY = Path(__file__).parents[3] / "docs/study/runs"


def test_an_older_run_that_its_time_budget_ended_is_a_result():
    run = read_run(STUDY / "probes-unwarping")
    assert run.state == SEARCH_OUT_OF_TIME and run.ended
    assert run.rungs == [1, 3, 9]
    assert (run.trials["reason"] == REASON_TIME).sum() == 3
    decisions = run.epochs["decision"].value_counts()
    assert (decisions[LAST], decisions[PROMOTE], decisions[TIME_LIMIT]) == (40, 10, 3)
    assert read_run(STUDY / "codes-unwarping").state in ENDED


@pytest.mark.parametrize(
    "budget, finals, state",
    [
        (None, True, SEARCH_INTERRUPTED),
        (100.0, True, SEARCH_INTERRUPTED),
        (10.0, False, SEARCH_INTERRUPTED),
        (10.0, True, SEARCH_OUT_OF_TIME),
    ],
)
def test_an_older_interrupted_run_is_a_result_once_its_time_was_up_and_its_winners_retrained(
    tmp_path, budget, finals, state
):
    folder = write_search(tmp_path / "run", 4, epochs=1, final_seeds=1, time_budget_s=budget)
    change_json(
        folder / "run.json", lambda info: info.update(state=SEARCH_INTERRUPTED, seconds=50.0)
    )
    if not finals:
        (folder / "final.json").unlink()
    assert read_run(folder).state == state


def test_a_run_knows_every_machine_that_took_part(tmp_path):
    folder = write_search(tmp_path / "run", 4, epochs=1, final_seeds=1)
    assert read_run(folder).processor == "CPU" and len(read_run(folder).machines) == 1
    cpu = read_run(folder).sessions[0]
    gpu = {**cpu, "device": "NVIDIA H200", "git_commit": "0" * 40}
    change_json(folder / "run.json", lambda info: info.update(sessions=[gpu, cpu, cpu]))
    run = read_run(folder)
    assert run.processor == "GPU" and len(run.sessions) == 3
    assert [machine.partition(" (")[0] for machine in run.machines] == ["NVIDIA H200", "cpu"]
    assert [commit for commit, _ in run.code] == [gpu["git_commit"], cpu["git_commit"]]


def test_an_older_run_knows_its_last_session_alone():
    run = read_run(STUDY / "presets-omniglot")
    assert run.processor == "CPU" and len(run.machines) == len(run.code) == 1
    assert run.sessions[0]["seconds"] == run.info["seconds"]


def test_reasons_are_codes_with_their_words(tmp_path):
    run = read_run(write_probes(tmp_path / "run", (1024,), ("catboost", "random-forest")))
    trials = run.trials.set_index("model")
    assert trials.loc["catboost-1024", "reason"] == REASON_TIME
    assert trials.loc["random-forest-1024", "reason"] == REASON_MEMORY
    assert "4.0" in trials.loc["random-forest-1024", "detail"]


def test_decisions_of_an_older_run_are_those_that_its_scheduler_made(tmp_path):
    folder = write_search(tmp_path / "run", 60, epochs=27, control_every=3)
    run = read_run(folder)
    change_csv(folder / "epochs.csv", lambda row: row.pop("decision", None))
    change_csv(folder / "trials.csv", lambda row: (row.pop("detail", None), row.update(reason="")))
    change_json(
        folder / "run.json", lambda info: [info.pop(k, 0) for k in ("rungs", "reduction_factor")]
    )
    older = read_run(folder)
    assert older.rungs == run.rungs and rungs(older) == rungs(run)
    assert older.epochs["decision"].tolist() == run.epochs["decision"].tolist()
    assert older.trials["reason"].tolist() == run.trials["reason"].tolist()
    assert (run.epochs["decision"] == STOP).sum() == run.counts["pruned"]
