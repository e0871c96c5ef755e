"""Which settings of a search mattered, from the Optuna journal that the search itself writes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from analysis.figures.drawing.encoding import png
from analysis.measure.study import FEWEST, most_sampled, read_groups
from analysis.page.blocks import Picture
from analysis.page.sections.study import study_blocks
from analysis.read.runs import Skipped, read_run, winners
from analysis.read.values import RunError
from analysis.tables.study import importance_table
from analysis.tables.writing.table import Table
from search.task.space import Preset
from tests.analysis.run_folders import write_search

SPACE = {
    "depth": IntDistribution(2, 14),
    "width": IntDistribution(16, 96, step=8),
    "noise": CategoricalDistribution(("none", "dropout", "block-of-many-pixels")),
    "l1": FloatDistribution(1e-8, 1e-2, log=True),
    "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
    "linear_path": CategoricalDistribution((False, True)),
}
INSIDE = {"depth": 5, "width": 32, "noise": "none", "l1": 0.0, "learning_rate": 2e-3}
INSIDE |= {"linear_path": False}


def write_study(folder: Path, trials=45, groups: tuple = (1024, 128, 32), mode="min", **options):
    """The learning rate sets the error, and at the largest group the depth alone does."""
    metric = "validation_mse" if mode == "min" else "validation_accuracy"
    group = "latent_size" if isinstance(groups[0], int) else "model"

    def curve(trial, draws):
        chosen = trial.parameters
        far = 0.5 * (chosen["depth"] - 5)
        if chosen[group] != groups[0]:
            far = abs(math.log(chosen["learning_rate"] / 2e-3))
        error = 0.02 * math.exp(far + 0.05 * draws.normal())
        error /= 1 + error
        values = [error ** ((epoch + 3) / 12) for epoch in range(1, 10)]
        values = [math.nan] if trial.number == 13 else values
        return [{"train_loss": v, metric: v if mode == "min" else 1 - v} for v in values]

    given = {"distributions": SPACE, "curve": curve, "presets": 0, "unfinished": (14,), **options}
    return write_search(folder, trials, groups, mode, **given)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("good") / "run", 90)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A group, and too few complete trials for a contour: quick to draw."""
    return write_study(tmp_path_factory.mktemp("small") / "run", 14, (128,))


def blocks(folder: Path) -> list:
    run = read_run(folder)
    return list(study_blocks(run, winners(run)))


def names(found: list) -> list[str]:
    return [block.name for block in found if isinstance(block, Picture)]


def groups_of(folder: Path) -> dict:
    run = read_run(folder)
    return {each.group: each for each in read_groups(run, winners(run))}


def test_the_parameter_that_sets_the_error_matters_most_in_its_group(good):
    found = groups_of(good)
    shares = {group: each.importances for group, each in found.items()}
    assert next(iter(shares[1024])) == "depth"
    assert next(iter(shares[32])) == "learning rate"
    assert all(math.isclose(sum(each.values()), 1) for each in shares.values())
    assert set(shares[32]) == {name.replace("_", " ").replace("l1", "L1") for name in SPACE}
    frame = importance_table(read_run(good), list(found.values())).frame
    assert len(frame) == len(SPACE) * 3


def test_every_group_has_its_pictures(good):
    found = blocks(good)
    kinds = ("parallel", "slices", "contour")
    assert names(found) == [
        "importances",
        *(f"{kind}-{size}" for size in (1024, 128, 32) for kind in kinds),
    ]
    drawn = [block.figure for block in found if isinstance(block, Picture)]
    assert all(png(figure) and max(figure.get_size_inches()) <= 8 for figure in drawn)


def test_what_importances_rest_on_is_counted(good):
    run = read_run(good)
    for group, found in groups_of(good).items():
        states = run.trials.loc[run.trials["latent_size"] == group, "state"].value_counts()
        assert len(found.numbers) == states["complete"] + states["pruned"]
        assert sum(found.complete) == states["complete"]
        assert (found.failed, found.unfinished) == (
            states.get("diverged", 0),
            states.get("running", 0),
        )
        assert found.best == 5 and 0 <= found.best_stopped <= 5


def test_values_are_of_the_best_epoch_and_the_worst_comes_first(good):
    found = groups_of(good)[1024]
    best = pd.read_csv(good / "trials.csv").set_index("number")["best_validation_mse"]
    assert list(found.values) == sorted(found.values, reverse=True)
    assert np.allclose(found.values, best[list(found.numbers)])


def test_a_highest_metric_has_its_best_last(tmp_path):
    found = groups_of(write_study(tmp_path / "run", 30, ("mlp",), "max"))["mlp"]
    assert list(found.values) == sorted(found.values) and found.values[-1] > 0.5
    assert found.maximised and next(iter(found.importances)) == "depth"


def test_presets_outside_the_ranges_are_left_out_and_named(tmp_path):
    presets = (
        Preset("inside", {"latent_size": 128, **INSIDE}),
        Preset("too-deep", {"latent_size": 128, **INSIDE, "depth": 40}),
    )
    folder = write_study(tmp_path / "run", 30, (128,), named=presets)
    found = groups_of(folder)[128]
    assert found.outside == ("too-deep",)
    assert 0 in found.numbers and 1 not in found.numbers


@pytest.mark.parametrize("trials", [0, 1, FEWEST - 1])
def test_few_trials_have_no_importances(tmp_path, trials):
    folder = write_study(tmp_path / "run", max(trials, 1), (128,))
    if not trials:
        (folder / "trials.csv").write_text("id,number,state,preset,latent_size\n")
    found = blocks(folder)
    assert not names(found) and not any(isinstance(block, Table) for block in found)
    assert not any(each.importances for each in groups_of(folder).values())


def test_of_many_groups_the_three_with_most_sampled_trials_are_shown(tmp_path):
    folder = write_study(tmp_path / "run", 14, ("a", "b", "c", "d"))
    run = read_run(folder)
    shown = most_sampled(run, read_groups(run, {}))
    assert [each.group for each in shown] == ["a", "b", "c"]  # 4, 4, 3 and 3 trials


def test_a_name_of_a_group_is_no_path(tmp_path):
    found = blocks(write_study(tmp_path / "run", 13, ("..-up",)))
    assert "slices----up" in names(found)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"no journal\n",
        b"\xff\xfe\n",
        b"[1, 2]\n",
        b'{"op_code": 77, "worker_id": "w"}\n',
        b'{"op_code": 4, "study_id": 0, "worker_id": "w"}\n',
        b'{"op_code": 0, "study_name": "s", "directions": [1, 1]}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_an_unusable_journal_is_skipped(small, tmp_path, content):
    folder = tmp_path / "run"
    shutil.copytree(small, folder)
    (folder / "study.log").unlink()
    if content is not None:
        (folder / "study.log").write_bytes(content)
    with pytest.raises(RunError):
        read_groups(read_run(folder), {})
    (skipped,) = (block for block in blocks(folder) if isinstance(block, Skipped))
    assert skipped.name == "study.log"


def test_a_torn_last_line_is_left_out(small, tmp_path):
    torn = tmp_path / "run"
    shutil.copytree(small, torn)
    with (torn / "study.log").open("ab") as stream:
        stream.write(b'{"op_code":4,"worker_id":"x","stu')
    assert groups_of(small)[128].importances == groups_of(torn)[128].importances


def test_nothing_is_printed_and_no_setting_of_optuna_stays(small, capfd, recwarn):
    level = optuna.logging.get_verbosity()
    assert names(blocks(small))
    assert capfd.readouterr() == ("", "") and not recwarn.list
    assert optuna.logging.get_verbosity() == level


def test_parallel_coordinates_of_many_trials_are_thinned(tmp_path):
    found = groups_of(write_study(tmp_path / "run", 250, (128,)))[128]
    assert found.one_line_in == 4 and len(found.lines) <= 63
    assert found.lines[-1] == len(found.numbers) - 1 and found.winner in found.lines


def test_trials_of_one_value_have_no_contour(tmp_path):
    folder = write_study(tmp_path / "run", 30, (128,))
    lines = [json.loads(line) for line in (folder / "study.log").read_text().splitlines()]
    for line in lines:
        for name in ("values", "intermediate_values"):
            if line.get(name):
                line[name] = [0.5] if name == "values" else {"1": 0.5}
        if "intermediate_value" in line:
            line["intermediate_value"] = 0.5
    (folder / "study.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = groups_of(folder)[128]
    assert found.importances and not found.has_contour
