"""What the part "Explore" holds: the trials of a run as data."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from analysis.measure.explore import CHOICE, LOG, NUMBER, explored
from analysis.page.explore import data_of
from analysis.read.commands import base_command
from analysis.read.runs import Run, read_run, winners
from tests.analysis.run_folders import write_autoencoders, write_classifiers, write_probes

WRITERS = (write_autoencoders, write_classifiers, write_probes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    home = tmp_path_factory.mktemp("runs")
    return {write.__name__: read_run(write(home / write.__name__, trials=14)) for write in WRITERS}


@pytest.mark.parametrize("name", [write.__name__ for write in WRITERS])
def test_every_trial_is_there_with_every_hyperparameter(runs, name):
    run = runs[name]
    found = explored(run)
    keys = [column["key"] for column in found["columns"]]
    assert len(found["rows"]) == len(found["curves"]) == len(run.trials) == 14
    file = pd.read_csv(run.folder / "trials.csv", keep_default_na=False, dtype=str)
    parameters = [c["key"] for c in found["columns"] if c["parameter"]]
    assert set(parameters) == set(run.parameters(dict.fromkeys(run.trials)))
    for row, (_, line) in zip(found["rows"], file.iterrows(), strict=True):
        trial = dict(zip(keys, row, strict=True))
        assert trial["state"] == line["state"] and trial["number"] == int(line["number"])
        for parameter in parameters:
            value, word = trial[parameter], line[parameter]
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                assert value == float(word)  # in full: the copied command repeats it
            else:
                assert (str(value) if value is not None else "") == word


def test_columns_are_drawn_as_they_were_searched(runs):
    kinds = {c["key"]: c["kind"] for c in explored(runs["write_autoencoders"])["columns"]}
    assert (kinds["learning_rate"], kinds["l1"], kinds["best"]) == (LOG, LOG, LOG)
    assert (kinds["depth"], kinds["dropout"]) == (NUMBER, NUMBER)
    assert (kinds["activation"], kinds["latent_size"], kinds["state"]) == (CHOICE, CHOICE, CHOICE)
    accuracy = {c["key"]: c["kind"] for c in explored(runs["write_classifiers"])["columns"]}
    assert accuracy["best"] == NUMBER


def test_a_curve_holds_the_searched_metric_of_each_epoch(runs):
    run = runs["write_autoencoders"]
    found = explored(run)
    ids = run.trials.sort_values("number")["id"]
    for trial, curve in zip(ids, found["curves"], strict=True):
        values = run.epochs.loc[run.epochs["id"] == trial, run.metric]
        assert curve == pytest.approx(list(values), rel=1e-4)
    gap = run.epochs[(run.epochs["id"] != ids.iloc[0]) | (run.epochs["epoch"] != 2)]
    epochs, values = explored(Run(**{**vars(run), "epochs": gap}))["curves"][0]
    assert 2 not in epochs and len(epochs) == len(values)


def test_of_too_many_trials_the_best_are_taken_and_all_are_counted(runs, monkeypatch):
    run = runs["write_autoencoders"]
    monkeypatch.setattr("analysis.measure.explore.MOST", 5)
    found = explored(run)
    numbers = [row[0] for row in found["rows"]]
    best = run.trials.assign(value=run.best()).nsmallest(5, "value")["number"]
    assert numbers == sorted(best) and found["trials"] == 14 and len(found["curves"]) == 5


def test_winners_and_the_trials_that_lead_nothing_are_named(runs):
    run = runs["write_autoencoders"]
    numbers = run.trials.set_index("id")["number"]
    found = explored(run)
    assert found["winners"] == sorted(numbers[each.trial] for each in winners(run).values())
    assert set(found["failed"]) == {"diverged", "error"}


def test_data_in_the_page_are_json_without_markup_or_nan(runs):
    words = data_of(runs.values())
    assert "<" not in words and words == data_of(runs.values())
    assert [run["name"] for run in json.loads(words)["runs"]] == [*runs]
    json.loads(words, parse_constant=lambda word: pytest.fail(word))
    odd = Run(**{**vars(runs["write_classifiers"]), "folder": Path("a <b>")})
    assert "<" not in data_of([odd])
    assert json.loads(data_of([odd]))["runs"][0]["name"] == "a <b>"


def test_the_command_of_a_trial_keeps_the_data_and_the_budget_and_drops_the_search(runs):
    run = runs["write_probes"]
    argv = "--num-samples 9 --seed=3 --name x --probes knn lda --time-budget-s 5 --final-seeds 2"
    info = {**run.info, "argv": [*argv.split(), "--set", "a=1", "b=2"], "budget": "quick"}
    words = base_command(Run(**{**vars(run), "info": info})).split()
    assert words[:3] == ["python", "-m", "search.latent_probes"]
    assert not {"--num-samples", "--name", "--probes", "knn", "--time-budget-s", "--set", "a=1"} & {
        *words
    }
    assert {"--seed=3", "--dataset", "--final-seeds"} <= {*words}
    epochs = float(words[words.index("--max-epochs") + 1])
    assert epochs == run.max_epochs and not math.isnan(epochs)
