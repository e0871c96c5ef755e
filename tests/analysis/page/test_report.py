"""The command `python -m analysis.report`: which run folders it reads, and what it refuses."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis import report
from analysis.read.runs import find_runs, newest, preset_results, read_run, winners
from analysis.tables.writing.configurations import in_words
from search.record.schema import COMPLETE, DIVERGED, SEARCH_INTERRUPTED
from tests.analysis.report_page import report_page
from tests.analysis.run_folders import (
    change_csv,
    change_json,
    empty_tables,
    write_autoencoders,
    write_classifiers,
    write_probes,
    write_search,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    write_autoencoders(runs / "drawn", trials=9)
    return runs


# The command


def test_one_run_folder_is_reported_as_it_is(good):
    assert "drawn/best.csv" in report_page(good / "drawn")


@pytest.mark.parametrize("content", [None, "foreign", "broken autopsy", "good"])
def test_what_cannot_be_reported_or_written_is_status_2(tmp_path, capsys, content):
    runs, out = tmp_path / "runs", tmp_path / "out"
    if content == "good":
        write_autoencoders(runs / "ae", trials=2, pictures=False)
        out.write_text("")  # a file is no folder
    elif content:
        (runs / "it").mkdir(parents=True)
        (runs / "it" / ("autopsy.json" if "autopsy" in content else "day.txt")).write_text("{")
    assert report.main(["--runs", str(runs), "--out", str(out)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" it:")[0] for line in lines[:-1]] == ["skipped"] * (len(lines) - 1)
    assert lines[-1].startswith("analysis.report: ") and not out.is_dir()


def test_the_report_imports_neither_ray_nor_torch():
    code = "import sys, analysis.report; sys.exit(bool({'ray', 'torch'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# Which runs are reported


def test_broken_and_foreign_folders_are_named_and_the_rest_is_read(tmp_path, capsys):
    for name in ("good", "bad-json", "no-csv", "odd-csv", "bad-final", "weather"):
        write_autoencoders(tmp_path / name, trials=7, epochs=2, pictures=False)
    (tmp_path / "bad-json/run.json").write_text('{"command": ')
    (tmp_path / "no-csv/trials.csv").unlink()
    (tmp_path / "odd-csv/epochs.csv").write_text("day,rain\n1,2\n")
    (tmp_path / "bad-final/final.json").write_text("[1, 2]")
    (tmp_path / "holiday pictures").mkdir()
    change_json(tmp_path / "weather/run.json", lambda info: info.update(command="weather"))
    study = report.read_study(tmp_path)
    assert [run.name for run in study.runs] == ["good"]
    faults = {
        "bad-json": "run.json",
        "no-csv": "trials.csv",
        "odd-csv": "epochs.csv",
        "bad-final": "final.json",
        "holiday pictures": "run folder",
        "weather": "weather",
    }
    assert {entry.name for entry in study.skipped} == {*faults}
    assert all(faults[entry.name] in entry.reason for entry in study.skipped)
    assert capsys.readouterr().err.count("\n") == len(faults)


def test_the_newest_run_of_each_question_is_chosen(tmp_path):
    starts = {
        "a-new": "2026-03-02T10:00:00+02:00",
        "b-old": "2026-03-02T09:00:00+02:00",
        "c-naive": "2026-03-02T07:30:00",  # without a zone: UTC
    }
    for name, start in starts.items():
        write_autoencoders(tmp_path / name, 3, 2, start=start, pictures=False)
    start = "2020-01-01T00:00:00"
    write_autoencoders(tmp_path / "other", 3, 2, data="omniglot", start=start, pictures=False)
    chosen, older = newest(find_runs(tmp_path)[0])
    assert [run.name for run in chosen] == ["a-new", "other"]
    assert [run.name for run in older] == ["b-old", "c-naive"]


# Which trial is the winner


def test_an_older_run_is_shown_for_the_models_that_the_newest_lacks(tmp_path):
    for day, name in enumerate(("oldest", "older", "newest", "none"), 1):
        write_autoencoders(
            tmp_path / name, trials=10, pictures=False, start=f"2026-07-0{day}T10:00:00+00:00"
        )
    for name in ("newest", "none"):  # their ranges leave the seed report's models out
        change_csv(tmp_path / name / "trials.csv", lambda row: row.update(preset="sampled"))
        change_json(tmp_path / name / "final.json", lambda final: final.update(presets=[]))
    change_json(tmp_path / "none" / "run.json", lambda info: info["data"].update(split="own"))
    study = report.read_study(tmp_path)
    found = [(old.name, new.name) for old, new in study.with_models("autoencoders")]
    assert found == [("older", "newest")]
    assert [run.name for run in study.unused] == ["oldest"]
    page = report_page(tmp_path)
    assert "(older/presets.csv)" in page and "(older/states.csv)" not in page


def test_diverged_trials_never_lead(tmp_path):
    folder = write_autoencoders(tmp_path / "run", 9, state=SEARCH_INTERRUPTED, pictures=False)
    best = winners(read_run(folder))[1024].trial
    change_csv(
        folder / "trials.csv",
        lambda row: row.update(state=DIVERGED) if row["id"] == best else None,
    )
    assert winners(read_run(folder))[1024].trial != best


def test_a_trial_short_of_the_budget_leads_only_where_none_is_complete(tmp_path):
    run = read_run(
        write_autoencoders(tmp_path / "run", 30, state=SEARCH_INTERRUPTED, pictures=False)
    )
    trials = run.trials.set_index("id")
    for winner in winners(run).values():
        assert winner.state == COMPLETE
        rivals = trials[(trials["latent_size"] == winner.group) & (trials["state"] == COMPLETE)]
        assert rivals["best_validation_mse"].idxmin() == winner.trial


def test_presets_that_are_not_tested_come_from_the_trials(tmp_path):
    folder = write_autoencoders(tmp_path / "run", 3, state=SEARCH_INTERRUPTED, pictures=False)
    assert [result.preset for result in preset_results(read_run(folder))] == [
        "dae-l1",
        "deeper-dae",
        "even-deeper-dae",
    ]


# Holes


WRITERS = (write_autoencoders, write_classifiers, write_probes, write_search)
FINALS = (
    "",
    "{}",
    '{"winners": [{"GROUP": "odd", "latent_size": 32, "runs": [{"seed": 1}], "mean": '
    '{"test_mse": NaN, "test_accuracy": NaN}, "accuracy_by": {"Greek": null, "Latin": 0.5}, '
    '"confused": [{"class": 5}, "x"]}], "few_shot": [3, {}, {"code": null}], '
    '"presets": [{"runs": [{}, 1]}], "autoencoders": [1], "floors": null}',
    '{"winners": [], "few_shot": {"a": 1}, "autoencoders": {"x": {"epoch": "y"}, "32": 7}, '
    '"floors": {"pca": 3, "1-nn": 3}}',
)


@pytest.mark.parametrize("final", FINALS)
@pytest.mark.parametrize("write", WRITERS[:3])
def test_a_run_with_holes_is_reported(tmp_path, write, final):
    """Only the columns and keys that a run cannot do without; nothing measured."""
    folder = write(tmp_path / "runs/holes", trials=1, state=SEARCH_INTERRUPTED)
    info = json.loads((folder / "run.json").read_text())
    bare = {key: info[key] for key in ("command", "start", "state", "group")}
    (folder / "run.json").write_text(json.dumps({**bare, "data": {"name": "omniglot"}}))
    rows = "trial_00000,running,,many\ntrial_1,error,,\n"
    (folder / "trials.csv").write_text(f"id,state,{info['group']},epochs\n{rows}")
    (folder / "epochs.csv").write_text("id,epoch\n")
    if final:
        (folder / "final.json").write_text(final.replace("GROUP", "model"))
    page = report_page(tmp_path / "runs")
    assert "holes" in page and not re.search(r"\bnan\b", page)


@pytest.mark.parametrize("trials", [0, 1, 3])
@pytest.mark.parametrize("write", WRITERS)
def test_a_young_run_is_reported(tmp_path, write, trials):
    folder = write(tmp_path / "runs/young", trials=max(trials, 1), state=SEARCH_INTERRUPTED)
    if not trials:
        empty_tables(folder)
        assert winners(read_run(folder)) == {}
    page = report_page(tmp_path / "runs")
    assert ("](young/best-so-far.png)" in page) == bool(trials)
    assert not re.search(r"\bnan\b", page)


def test_numbers_without_end_are_holes(tmp_path):
    folder = write_autoencoders(tmp_path / "run", trials=7, pictures=False)
    change_json(folder / "final.json", lambda final: final["presets"][0].update(train_loss=10**400))
    lines = (folder / "epochs.csv").read_text().splitlines()
    (folder / "epochs.csv").write_text("\n".join([*lines, lines[1].replace(",1,", ",inf,", 1)]))
    run = read_run(folder)
    assert math.isnan(run.final.presets[0].own("train_loss"))
    assert np.isfinite(run.epochs["epoch"]).all()


def test_trials_keep_every_column_of_their_file(tmp_path):
    trials = read_run(write_classifiers(tmp_path / "run", trials=4)).trials
    assert trials["residual"].dtype == bool
    assert set(trials["noise"]) == {"none"} and trials["last_validation_loss"].dtype == float


# Words


def test_words_from_files_cannot_break_the_page(tmp_path):
    write_autoencoders(tmp_path / "runs/a | b", 7, 2, pictures=False, note="<script>|x|</script>")
    page = report_page(tmp_path / "runs")
    assert "<script>" not in page and "(a%20%7C%20b/best.csv)" in page


def test_a_configuration_in_words_leaves_out_what_is_off():
    off = {"dropout": 0.0, "decoder_depth": math.nan, "l2": None}
    on = {"depth": 9, "noise": "block", "l1": 1e-4, "noise_level": 0.25}
    assert in_words("sae", on | off) == "`sae`: depth 9, L1 0.0001, block noise 0.25 on the input"
    assert in_words("sampled", {"noise": "block", "noise_level": 0.0}) == "sampled"
