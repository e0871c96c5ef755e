"""What a user put in the place of the default space, as the report shows it."""

from __future__ import annotations

import math

import pytest

from analysis.measure.course.own_space import Start, own_space
from analysis.page.sections.autoencoders import autoencoder_blocks
from analysis.page.sections.claims import claim_blocks
from analysis.page.sections.course import course_blocks
from analysis.read.runs import read_run, winners
from analysis.read.seed_report import MODELS
from analysis.tables.course import change_table, start_table
from analysis.tables.writing.table import Table
from tests.analysis.run_folders import change_json, write_search

OWN = {
    "changes": [{"name": "mlp.blocks", "searched": "1..3", "default": "1..6"}],
    "left_out": {"deeper-dae": ["depth", "dropout"]},
    "starts": [
        {"run": "small", "group": 32, "name": "small-32", "moved": [["depth", 9, 4]]},
        {"run": "small", "group": "svm-32", "name": "", "moved": []},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_search(tmp_path_factory.mktemp("runs") / "own", trials=9, presets=1)


def blocks(run) -> list:
    return list(course_blocks(run, winners(run)))


def with_info(folder, **values):
    change_json(folder / "run.json", lambda info: info.update(values))
    return read_run(folder)


def test_a_run_of_the_default_space_says_nothing_about_it(folder):
    run = with_info(folder, changes=[], left_out={}, starts=[])
    assert not own_space(run).any
    tables = {block.name for block in blocks(run) if isinstance(block, Table)}
    assert not tables & {"own-ranges", "starts"}


def test_changes_presets_left_out_and_starts_are_shown(folder):
    run = read_run(folder)
    preset = run.trials.loc[~run.sampled, "preset"].iloc[0]
    starts = [{**OWN["starts"][0], "name": preset}, OWN["starts"][1]]
    run = with_info(folder, **{**OWN, "starts": starts})
    first, second = own_space(run).starts
    best = run.best()[run.trials["preset"] == preset].iloc[0]
    assert first == Start("small", "32", preset, (("depth", 9, 4),), best)
    assert second.preset == "" and math.isnan(second.value)
    found = blocks(run)
    tables = {block.name: block for block in found if isinstance(block, Table)}
    assert tables["own-ranges"].rows[0]["searched"] == "1..3"
    printed = tables["starts"].markdown()
    assert "depth 9 to 4" in printed and "left out" in printed
    words = " ".join(block for block in found if isinstance(block, str))
    assert "deeper-dae (depth, dropout)" in words


def test_no_command_is_named_for_presets_that_lie_outside(folder):
    left_out = {model.preset: ["depth"] for model in MODELS}
    run = with_info(folder, changes=[], left_out=left_out, starts=[], state="finished")
    words = " ".join(b for b in autoencoder_blocks(run) if isinstance(b, str))
    assert "outside the ranges" in words and "--num-samples" not in words
    words = " ".join(b for b in claim_blocks(run) if isinstance(b, str))
    assert "outside the ranges" in words and "--num-samples" not in words


@pytest.mark.parametrize("value", [None, 3, "x", [3], [{}], {"a": 3}, [{"moved": [[1], 2]}]])
def test_what_cannot_be_read_is_passed_over(folder, value):
    run = with_info(folder, changes=value, left_out=value, starts=value)
    found = own_space(run)
    change_table(found.changes)
    start_table(run, found.starts)
