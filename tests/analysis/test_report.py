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
from analysis.read.pictures import read_examples
from analysis.read.runs import find_runs, newest, preset_results, read_run, winners
from analysis.read.values import RunError
from analysis.tables.configurations import in_words
from search.record.schema import COMPLETE, DIVERGED, SEARCH_INTERRUPTED
from tests.analysis.report_page import report_page
from tests.analysis.run_folders import (
    change_csv,
    change_json,
    empty_tables,
    write_autoencoders,
    write_classifiers,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    write_autoencoders(runs / "drawn", trials=9)
    return runs


# The command


def test_one_run_folder_is_reported_as_it_is(good):
    assert "drawn/best.csv" in report_page(good / "drawn")


def test_no_runs_is_status_2_in_one_line(tmp_path, capsys):
    for runs in (tmp_path, tmp_path / "absent"):
        assert report.main(["--runs", str(runs), "--out", str(tmp_path / "out")]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and str(runs) in line
    assert not (tmp_path / "out").exists()


def test_only_broken_runs_is_status_2(tmp_path, capsys):
    (tmp_path / "runs/foreign").mkdir(parents=True)
    assert report.main(["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("skipped foreign: ")


def test_a_wrong_flag_is_status_2():
    with pytest.raises(SystemExit) as stopped:
        report.main(["--rums", "x"])
    assert stopped.value.code == 2


def test_an_out_that_is_a_file_is_status_2(good, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert report.main(["--runs", str(good), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


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


@pytest.mark.parametrize("finished", [False, True])
def test_a_run_with_holes_is_reported(tmp_path, finished):
    """Only the columns and keys that a run cannot do without; nothing measured."""
    folder = write_autoencoders(tmp_path / "runs/holes", trials=7)
    info = json.loads((folder / "run.json").read_text())
    bare = {key: info[key] for key in ("command", "start", "state")}
    (folder / "run.json").write_text(json.dumps({**bare, "data": {"name": "mnist"}}))
    (folder / "trials.csv").write_text("id,state,latent_size\ntrial_00000,running,\n")
    (folder / "epochs.csv").write_text("id,epoch\n")
    (folder / "final.json").unlink()
    if finished:
        entry = '{"winners": [{"latent_size": 32, "mean": {"test_mse": NaN}}], "floors": null}'
        (folder / "final.json").write_text(entry)
    page = report_page(tmp_path / "runs")
    assert "holes" in page and not re.search(r"\bnan\b", page)


def test_a_run_without_any_trial_is_reported(tmp_path):
    folder = write_autoencoders(tmp_path / "runs/young", 7, state=SEARCH_INTERRUPTED)
    empty_tables(folder)
    assert winners(read_run(folder)) == {} and "young" in report_page(tmp_path / "runs")


def test_two_trials_are_enough(tmp_path):
    write_autoencoders(tmp_path / "runs/two", trials=2, epochs=1)
    assert "](two/overview.png)" in report_page(tmp_path / "runs")


def test_numbers_without_end_are_holes(tmp_path):
    folder = write_autoencoders(tmp_path / "run", trials=7, pictures=False)
    change_json(folder / "final.json", lambda final: final["presets"][0].update(train_loss=10**400))
    lines = (folder / "epochs.csv").read_text().splitlines()
    (folder / "epochs.csv").write_text("\n".join([*lines, lines[1].replace(",1,", ",inf,", 1)]))
    run = read_run(folder)
    assert math.isnan(run.final.presets[0].own("train_loss"))
    assert np.isfinite(run.epochs["epoch"]).all()


@pytest.mark.parametrize("spoil", ["pickled", "cut", "shape", "absent"])
def test_unusable_pictures_are_refused(tmp_path, spoil):
    folder = write_autoencoders(tmp_path / "run", trials=9)
    path = folder / "best/128/examples.npz"
    keys = ("inputs", "noised", "reconstructions")
    if spoil == "pickled":
        np.savez(path, **dict.fromkeys(keys, np.array([{"a": 1}], dtype=object)))
    elif spoil == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif spoil == "shape":
        np.savez(path, **dict.fromkeys(keys, np.zeros((4, 9))))
    else:
        path.unlink()
    with pytest.raises(RunError, match=r"best/128/examples\.npz"):
        read_examples(read_run(folder), 128)


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
