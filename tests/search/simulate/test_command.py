"""`python -m search.simulate`: what it writes, and what it refuses."""

from __future__ import annotations

import gzip
import json

import pytest

from search.simulate.command import main
from search.simulate.curves import (
    PROJECT_CURVES,
)


def test_the_command_prints_and_writes_the_comparison(tmp_path, capsys):
    given = ["--curves", str(PROJECT_CURVES), "--seeds", "2", "--budget-epochs", "40", "--json"]
    names = ["--searchers", "ours", "stock"]
    assert main([*given, str(tmp_path / "found.json"), *names]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["epochs"] == [10, 20, 30, 40] and set(found["regret_percent"]) == set(names[1:])
    assert f"{found['regret_percent']['stock'][0]['median']:.1f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given",
    [
        ["--curves", "nowhere.csv.gz"],
        ["--curves", "{junk}"],
        ["--curves", "{other}"],
        ["--record", "nowhere"],
        ["--record", "nowhere", "--out", "x.csv.gz"],
        ["--curves", str(PROJECT_CURVES), "--grace-epochs", "99"],
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
