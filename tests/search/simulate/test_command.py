"""`python -m search.simulate`: what it writes, and what it refuses."""

from __future__ import annotations

import gzip
import json

import pytest

from search.simulate.command import main
from search.simulate.policies import choices
from search.simulate.policies.choices import KINDS, OURS, POLICIES, named
from search.simulate.recording import record
from tests.search.simulate.test_recording import run_folder


def test_the_command_prints_and_writes_the_comparison_of_every_task(tmp_path, capsys):
    states = ("complete",) * 13
    run_folder(tmp_path / "run", states=states, metric="validation_accuracy", mode="max")
    record(tmp_path / "run", tmp_path / "made.csv.gz")
    out = tmp_path / "found.json"
    tasks = ["autoencoders-mnist5k", str(tmp_path / "made.csv.gz")]
    given = ["--seeds", "2", "--trials", "4", "2", "--json", str(out), "--searchers", "stock"]
    assert main(["--tasks", *tasks, *given]) == 0
    found, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert list(found) == ["autoencoders-mnist5k", "made"]
    assert found["autoencoders-mnist5k"]["epochs"] == [18, 36] and found["made"]["epochs"] == [
        6,
        12,
    ]
    for each in found.values():
        assert set(each["regret_percent"]) == {OURS, "stock"}
        assert f"{each['regret_percent']['stock'][0]['median']:.1f}" in printed


def test_a_kind_names_its_policies_and_ours_comes_first():
    assert named(["stock"]) == [OURS, "stock"]
    for kind in KINDS:
        assert set(named([kind])) == {OURS} | {n for n, p in POLICIES.items() if p.kind == kind}


@pytest.mark.parametrize(
    "given",
    [
        ["--tasks", "nowhere.csv.gz"],
        ["--tasks", "nowhere"],
        ["--tasks", "{junk}"],
        ["--tasks", "{other}"],
        ["--record", "nowhere"],
        ["--record", "nowhere", "--out", "x.csv.gz"],
        ["--tasks", "all", "--grace-epochs", "99"],
        ["--seeds", "0"],
        ["--searchers", "grid"],
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path, given, capsys):
    junk, other = tmp_path / "junk.csv.gz", tmp_path / "other.csv.gz"
    junk.write_bytes(b"no gzip")
    other.write_bytes(gzip.compress(b"number,latent_size,epoch\n1,32,1\n"))
    try:
        status = main([word.format(junk=junk, other=other) for word in given])
    except SystemExit as error:
        status = error.code
    assert status == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_policy_whose_package_is_missing_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(choices, "find_spec", lambda name: None)
    assert main(["--searchers", "libraries"]) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error and "rivals" in error
