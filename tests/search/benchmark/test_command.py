"""`python -m search.benchmark`: what it writes, and what it refuses."""

from __future__ import annotations

import json

import pytest

from models.machine import usable_cores
from search.benchmark import command, quality
from tests.search.simulate.made import made


def test_the_command_prints_and_writes_each_part(tmp_path, monkeypatch, capsys):
    small = quality.measure(made(), seeds=2, budget_epochs=40)
    monkeypatch.setattr(quality, "measure", lambda curves, seeds: small)
    out = tmp_path / "found.json"
    assert command.main(["--parts", "quality", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    took = {"took_s": found["parts"]["quality"]["took_s"]}
    assert found["parts"] == {"quality": {**json.loads(json.dumps(small)), **took}}
    assert found["machine"]["cores"] == usable_cores()
    assert {"torch", "ray", "optuna"} <= set(found["machine"]["versions"])
    assert "\n".join(quality.as_text(small)) in capsys.readouterr().out


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
        status = command.main(given)
    except SystemExit as error:
        status = error.code
    assert status == 2 and capsys.readouterr().err.count("\n") == 1
