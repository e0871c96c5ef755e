"""`--start-from`: winners of the study's runs as first trials."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from search.autoencoders.task import AutoencoderTask
from search.latent_probes.task import ProbeTask
from search.session.starts import Start, find_starts
from search.store.storage import open_storage
from search.task.changes import differences
from search.task.own import OwnSpace
from search.task.ranges import read_wanted
from search.task.settings import UsageError

RUNS = Path(__file__).parents[3] / "docs" / "study" / "runs"
MNIST = AutoencoderTask((1024, 128, 32), 9, "quick")
PROBES = ProbeTask(("knn", "mlp"), (128,), 9, "quick")


def own(task, *texts):
    return replace(task, own=OwnSpace(read_wanted(texts)))


def starts(*names, task=MNIST, command="autoencoders") -> list[Start]:
    return find_starts(names, command, task, open_storage(str(RUNS)))


def parameters_of(run, group) -> dict:
    config = RUNS / run / "best" / str(group) / "config.json"
    return json.loads(config.read_text())["parameters"]


def test_the_winner_of_each_group_is_a_start_and_one_that_fits_is_as_it_was():
    found = starts("presets-mnist")
    assert [start.group for start in found] == [1024, 128, 32]
    for start in found:
        before = parameters_of("presets-mnist", start.group)
        assert before.items() <= start.parameters.items()
        assert all(old is None for _, old, _ in start.moved)  # the run is older than these
        assert start.name == f"linear-path-{start.group}"


def test_starts_come_first_and_a_preset_that_is_a_start_comes_once():
    begun = tuple(start.preset for start in starts("presets-mnist"))
    presets = replace(MNIST, own=OwnSpace({}, begun)).presets()
    assert presets[:3] == begun
    assert sorted(p.name for p in presets) == sorted(p.name for p in MNIST.presets())


def test_winners_of_several_runs_follow_each_other_and_equal_ones_are_tried_once():
    runs = ("presets-mnist", "codes-unwarping", "presets-omniglot")
    found = starts(*runs)
    assert [start.run for start in found] == [run for run in runs for _ in range(3)]
    assert [bool(start.parameters) for start in found] == [True] * 6 + [False] * 3
    assert [start.name for start in found[6:]] == [start.name for start in found[:3]]
    assert len({start.name for start in found}) == 6


def test_what_does_not_fit_is_moved_to_the_nearest_value_and_told():
    task = own(MNIST, "depth=5..8", "width=16", "activation=relu,gelu", "l1=1e-6..1e-3")
    by_group = {start.group: start for start in starts("presets-mnist", task=task)}
    here = by_group[128]
    assert here.name == "presets-mnist-128"
    told = {name: after for name, old, after in here.moved if old is not None}
    assert told == {"depth": 5, "width": 16, "activation": "relu", "l1": 1e-6}
    before = parameters_of("presets-mnist", 128)
    assert {**before, **told}.items() <= here.parameters.items()
    assert all(old in (None, before.get(name)) for name, old, _ in here.moved)


def test_a_winner_of_another_code_size_goes_to_the_nearest_one():
    task = AutoencoderTask((256, 48, 16), 9, "quick")
    found = {start.group: start for start in starts("codes-unwarping", task=task)}
    assert found[1024].parameters["latent_size"] == 256
    assert found[32].parameters["latent_size"] == 48
    assert found[128].name == found[1024].name and not found[128].parameters  # the same here


def test_a_winning_probe_goes_to_its_own_kind_and_one_of_another_kind_has_no_place():
    found = starts("probes-omniglot", task=PROBES, command="latent_probes")
    used = [start for start in found if start.parameters]
    assert {bool(start.name) for start in found} == {True, False}
    assert {start.group.rpartition("-")[0] for start in used} == {"knn", "mlp"}
    assert {start.parameters["model"] for start in used} == {"knn-128", "mlp-128"}
    assert all(s.group.rpartition("-")[0] == s.parameters["probe"] for s in used)
    task = replace(PROBES, own=OwnSpace({}, tuple(start.preset for start in used)))
    assert {p.parameters["model"] for p in task.presets()} == {"knn-128", "mlp-128"}


def test_a_hyperparameter_that_the_run_did_not_have_takes_a_preset_s_value(tmp_path):
    config = {"parameters": parameters_of("presets-mnist", 32) | {"gone": 3}}
    del config["parameters"]["affine"]
    (tmp_path / "old/best/32").mkdir(parents=True)
    (tmp_path / "old/best/32/config.json").write_text(json.dumps(config))
    about = {"command": "autoencoders", "groups": [32]}
    (tmp_path / "old/run.json").write_text(json.dumps(about))
    (found,) = starts(str(tmp_path / "old"))
    assert ("affine", None, 0.0) in found.moved and ("gone", 3, None) in found.moved
    assert "gone" not in found.parameters and found.parameters["affine"] == 0.0


def test_starts_survive_json_as_the_ledger_keeps_them():
    for start in starts("presets-mnist", task=own(MNIST, "depth=5..8")):
        assert Start(**json.loads(json.dumps(vars(start)))).preset == start.preset


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "nowhere is no folder"),
        ("probes-omniglot", "a search of latent_probes"),
        ("autopsy", "autopsy is no folder"),
    ],
)
def test_a_run_that_cannot_be_a_start_is_refused_in_one_line(name, message):
    with pytest.raises(UsageError, match=message) as error:
        starts(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("info", ["", "{}", '{"command": "autoencoders", "groups": [32]}'])
def test_a_run_without_winners_is_refused_in_one_line(info, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text(info)
    with pytest.raises(UsageError) as error:
        starts(str(tmp_path / "run"))
    assert "\n" not in str(error.value)


def test_the_default_space_has_no_differences():
    assert not list(differences(MNIST.default_space(), MNIST.space()))
