"""What the report says of a search's settings, on made-up run folders with a journal of Optuna."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from matplotlib import pyplot
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from analysis.figures import style as figures
from analysis.page.blocks import Picture
from analysis.page.sections import study
from analysis.read.runs import Skipped, read_run, winners
from analysis.tables.frames import Table
from search.task.space import Space

EPOCHS = 9
SPACE = {
    "depth": IntDistribution(2, 14),
    "width": IntDistribution(16, 96, step=8),
    "dropout": FloatDistribution(0.0, 0.3, step=0.05),
    "noise": CategoricalDistribution(("none", "dropout", "gaussian", "block-of-many-pixels")),
    "l1": FloatDistribution(1e-8, 1e-2, log=True),
    "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
    "linear_path": CategoricalDistribution((False, True)),
}
STATE = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "running": TrialState.RUNNING,
}


def write_study(
    folder: Path,
    trials: int = 45,
    groups: tuple = (1024, 128, 32),
    group: str = "latent_size",
    mode: str = "min",
    space: dict = SPACE,
    presets: tuple[tuple[str, dict], ...] = (),
    seed: int = 0,
) -> Path:
    """A made-up run folder, its study in `study.log` as the search mirrors it: the groups in turn,
    the error set by the learning rate, and at the largest group by the depth alone."""
    folder.mkdir(parents=True)
    draws = np.random.default_rng(seed)
    planned = [(name, {**_sample(space, draws), **values}) for name, values in presets]
    planned += [("sampled", _sample(space, draws)) for _ in range(trials - len(planned))]
    metric = "validation_mse" if mode == "min" else "validation_accuracy"
    rows = [
        _row(number, name, parameters, groups[number % len(groups)], groups, draws)
        for number, (name, parameters) in enumerate(planned)
    ]
    storage = JournalStorage(JournalFileBackend(str(folder / "study.log")))
    kept = optuna.create_study(
        storage=storage,
        study_name="search",
        direction="minimize" if mode == "min" else "maximize",
    )
    every = {group: CategoricalDistribution(groups), **space}
    for row in rows:
        row["values"] = [value if mode == "min" else 1 - value for value in row["values"]]
        kept.add_trial(_trial(row, every, group))
    _write_csv(folder / "trials.csv", [_line(row, group, metric) for row in rows])
    _write_csv(folder / "epochs.csv", [{"id": "trial_00000", "number": 0, "epoch": 1}])
    info = {
        "command": "autoencoders" if group == "latent_size" else "classifiers",
        "data": {"name": "mnist5k"},
        "start": "2026-03-01T10:00:00+00:00",
        "state": "finished",
        "metric": metric,
        "mode": mode,
        "group": group,
        "groups": [*groups],
    }
    (folder / "run.json").write_text(json.dumps(info))
    return folder


def _write_csv(path: Path, rows: list[dict]) -> None:
    pd.DataFrame(rows).to_csv(path, index=False)


def _line(row: dict, group: str, metric: str) -> dict:
    return {
        **{key: row[key] for key in ("id", "number", "state", "preset")},
        group: row["group"],
        **row["parameters"],
        "epochs": len(row["values"]),
        f"best_{metric}": row["values"][-1] if row["values"] else "",
    }


def _sample(space: dict, draws: np.random.Generator) -> dict:
    found = {}
    for name, each in space.items():
        if isinstance(each, CategoricalDistribution):
            found[name] = each.choices[draws.integers(len(each.choices))]
        elif each.log:
            found[name] = float(math.exp(draws.uniform(math.log(each.low), math.log(each.high))))
        elif each.step:
            steps = draws.integers(round((each.high - each.low) / each.step) + 1)
            value = each.low + steps * each.step
            found[name] = int(value) if isinstance(each, IntDistribution) else float(value)
        else:
            found[name] = float(draws.uniform(each.low, each.high))
    return found


def _row(
    number: int,
    preset: str,
    parameters: dict,
    group: object,
    groups: tuple,
    draws: np.random.Generator,
) -> dict:
    state = (
        "complete" if preset != "sampled" else "pruned" if number % 3 < number % 4 else "complete"
    )
    state = {13: "diverged", 14: "running"}.get(number, state)
    if group == groups[0]:
        error = 0.02 * math.exp(0.5 * (parameters.get("depth", 5) - 5))
    else:
        error = 0.02 * math.exp(abs(math.log(parameters.get("learning_rate", 2e-3) / 2e-3)))
    error *= math.exp(0.05 * draws.standard_normal())
    error = error / (1 + error)
    epochs = {"complete": EPOCHS, "pruned": 1, "diverged": 0, "running": 2}[state]
    return {
        "id": f"trial_{number:05d}",
        "number": number,
        "state": state,
        "preset": preset,
        "group": group,
        "parameters": parameters,
        "values": [error ** ((epoch + 3) / (EPOCHS + 3)) for epoch in range(1, epochs + 1)],
    }


def _trial(row: dict, every: dict, group: str) -> optuna.trial.FrozenTrial:
    space = Space({name: each for name, each in every.items() if name != group}, group, (), {})
    params = {group: row["group"], **space.nearest(row["parameters"])}
    return optuna.trial.create_trial(
        state=STATE[row["state"]],
        value=min(row["values"]) if row["state"] == "complete" else None,
        params=params,
        distributions={name: every[name] for name in params},
        user_attrs={
            "id": row["id"],
            "preset": row["preset"],
            "parameters": {**row["parameters"], group: row["group"]},
        },
        intermediate_values=dict(enumerate(row["values"], 1)),
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("good") / "run", 90)


@pytest.fixture(scope="module")
def shown(good) -> list:
    return _blocks(good)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """One group, and too few complete trials for a contour: quick to draw."""
    return write_study(tmp_path_factory.mktemp("small") / "run", 14, (128,))


def _blocks(folder: Path) -> list:
    run = read_run(folder)
    return list(study.study_blocks(run, winners(run)))


def _words(found: list) -> str:
    return "\n".join(one for one in found if isinstance(one, str))


def _names(found: list) -> list[str]:
    return [one.name for one in found if isinstance(one, Picture)]


def _table(found: list) -> Table:
    (table,) = (one for one in found if isinstance(one, Table))
    return table


def _shares(table: Table, group: object, column: str = "latent_size") -> dict[str, float]:
    mine = table.frame[table.frame[column] == group]
    return dict(zip(mine["parameter"], mine["importance"], strict=True))


def _contents(folder: Path) -> dict[str, tuple[bytes, float]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def test_the_parameter_that_sets_the_error_matters_most_in_its_group(shown):
    table = _table(shown)
    of_1024, of_32 = _shares(table, 1024), _shares(table, 32)
    assert max(of_1024, key=of_1024.get) == "depth"
    assert max(of_32, key=of_32.get) == "learning rate"
    assert math.isclose(sum(of_1024.values()), 1) and math.isclose(sum(of_32.values()), 1)
    assert set(of_32) == {name.replace("_", " ").replace("l1", "L1") for name in SPACE}


def test_every_group_has_its_pictures(shown):
    kinds = ("parallel", "slices", "contour")
    assert _names(shown) == [
        "importances",
        *(f"{kind}-{size}" for size in (1024, 128, 32) for kind in kinds),
    ]
    assert all(
        figures.png(one.figure) and max(one.figure.get_size_inches()) <= 8
        for one in shown
        if isinstance(one, Picture)
    )
    assert not pyplot.get_fignums()


def test_what_importances_rest_on_is_counted(good, shown):
    trials = pd.read_csv(good / "trials.csv")
    mine = trials[trials["latent_size"] == 128]["state"].value_counts()
    used = mine["complete"] + mine["pruned"]
    assert (
        f"Code 128: {used} trials ({mine['complete']} complete, {mine['pruned']} stopped early), "
        "the best 5 against all"
    ) in _words(shown)
    assert "left out: 1 diverged or failed" in _words(shown)
    assert "left out: 1 not finished" in _words(shown)
    row = _table(shown).frame.query("latent_size == 128").iloc[0]
    assert (row["trials"], row["complete"], row["best"]) == (used, mine["complete"], 5)


def test_values_are_of_the_best_epoch_and_the_worst_comes_first(good):
    (first, *_) = study.read_groups(read_run(good), {})
    values = [trial.value for trial in first.searched.trials]
    best = pd.read_csv(good / "trials.csv").set_index("number")["best_validation_mse"]
    assert values == sorted(values, reverse=True)
    assert np.allclose(10 ** np.array(values), best[list(first.searched.numbers)])


def test_a_highest_metric_has_its_best_last_and_no_logarithm(tmp_path):
    folder = write_study(tmp_path / "run", 30, ("mlp",), "model", "max")
    (group,) = study.read_groups(read_run(folder), {})
    values = [trial.value for trial in group.searched.trials]
    assert values == sorted(values) and values[-1] > 0.5 and not group.searched.log
    assert max(group.searched.importances, key=group.searched.importances.get) == "depth"


def test_presets_outside_the_ranges_are_left_out_and_named(tmp_path):
    presets = (("inside", {"l1": 0.0, "depth": 3}), ("too-deep", {"depth": 40}))
    folder = write_study(tmp_path / "run", 30, (128,), presets=presets)
    (group,) = study.read_groups(read_run(folder), {})
    assert group.outside == ("too-deep",)
    assert 0 in group.searched.numbers and 1 not in group.searched.numbers
    assert "1 preset with a parameter outside the searched ranges (`too-deep`)" in _words(
        _blocks(folder)
    )


def test_a_winner_that_is_not_drawn_is_said(tmp_path):
    folder = write_study(tmp_path / "run", 30, (128,), presets=(("too-deep", {"depth": 40}),))
    run = read_run(folder)
    led = {128: next(iter(winners(run).values()))}
    out = {128: type(led[128])(trial="trial_00000", group=128)}
    drawn = [one.caption for one in study.study_blocks(run, led) if isinstance(one, Picture)]
    absent = [one.caption for one in study.study_blocks(run, out) if isinstance(one, Picture)]
    assert not any("winner is none" in caption for caption in drawn)
    assert sum("winner is none" in caption for caption in absent) == 2


@pytest.mark.parametrize("trials", [0, 1, 2, 9])
def test_few_trials_have_a_sentence_and_no_importances(tmp_path, trials):
    folder = write_study(tmp_path / "run", max(trials, 1), (128,))
    if not trials:
        (folder / "trials.csv").write_text("id,number,state,preset,latent_size\n")
    found = _blocks(folder)
    assert not _names(found) and not any(isinstance(one, Table) for one in found)
    assert "importances take at least 10" in _words(found)


def test_a_group_of_few_trials_is_a_dash_beside_the_others(tmp_path):
    folder = write_study(tmp_path / "run", 24, (128, 128, 32))
    found = _blocks(folder)
    assert {line.split(" | ")[-1] for line in _table(found).markdown().splitlines()[2:]} == {"- |"}
    assert not [name for name in _names(found) if name.endswith("-32")]
    assert "Code 32: 7 trials" in _words(found)


def test_of_many_groups_the_three_with_most_sampled_trials_are_shown(tmp_path):
    groups = ("a", "b", "b", "c", "c", "c", "d", "d")
    words = _words(_blocks(write_study(tmp_path / "run", 24, groups, "model")))
    assert "Of 4 groups only the 3 with most sampled trials are shown: b, c, d." in words
    assert "- c: " in words and "- a: " not in words


def test_a_name_of_a_group_is_no_path(tmp_path):
    found = _blocks(write_study(tmp_path / "run", 13, ("../up",), "model"))
    assert "slices----up" in _names(found)


@pytest.mark.parametrize(
    "content, reason",
    [
        (None, "missing"),
        (b"", "holds no study"),
        (b"no journal\n", "cannot be read"),
        (b"\xff\xfe\n", "cannot be read"),
        (b"[1, 2]\n", "cannot be read"),
        (b'{"op_code": 77, "worker_id": "w"}\n', "cannot be read"),
        (b'{"op_code": 4, "study_id": 0, "worker_id": "w"}\n', "holds no study"),
        (b'{"op_code": 0, "study_name": "s", "directions": [1, 1]}\n', "cannot be read"),
        (b"[" * 100_000 + b"\n", "cannot be read"),
    ],
)
def test_an_unusable_journal_is_skipped_with_the_reason(tmp_path, content, reason):
    folder = write_study(tmp_path / "run", 12, (128,))
    (folder / "study.log").unlink()
    if content is not None:
        (folder / "study.log").write_bytes(content)
    (skipped,) = (one for one in _blocks(folder) if isinstance(one, Skipped))
    assert skipped.name == "study.log" and reason in skipped.reason


def test_a_torn_last_line_is_left_out(small, tmp_path):
    torn = tmp_path / "run"
    shutil.copytree(small, torn)
    with (torn / "study.log").open("ab") as stream:
        stream.write(b'{"op_code":4,"worker_id":"x","stu')
    runs = read_run(small), read_run(torn)
    tables = [study.importances(run, study.read_groups(run, {})) for run in runs]
    assert tables[0].csv() == tables[1].csv() and len(tables[0].frame) == len(SPACE)


def test_reading_leaves_the_run_folder_as_it_was(small):
    before, names = _contents(small), os.stat(small).st_mtime_ns
    (small / "study.log").chmod(0o444)
    small.chmod(0o555)
    try:
        assert _names(_blocks(small))
    finally:
        small.chmod(0o755)
    assert _contents(small) == before and os.stat(small).st_mtime_ns == names


def test_nothing_is_printed_and_no_setting_of_optuna_stays(small, capfd, recwarn):
    level = optuna.logging.get_verbosity()
    assert _names(_blocks(small))
    assert capfd.readouterr() == ("", "") and not recwarn.list
    assert optuna.logging.get_verbosity() == level


def test_parallel_coordinates_of_many_trials_are_thinned_and_say_so(tmp_path):
    run = read_run(write_study(tmp_path / "run", 250, (128,)))
    chosen = winners(run)
    (group,) = study.read_groups(run, chosen)
    whole, thin = group.searched, group.searched.thinned()
    assert whole.one_line_in == 4 and len(thin.numbers) <= 63
    assert thin.numbers[-1] == whole.numbers[-1]
    assert thin.numbers[thin.winner] == whole.numbers[whole.winner]
    assert thin.trials[thin.winner].params == whole.trials[whole.winner].params
    pictures = (one for one in study.study_blocks(run, chosen) if isinstance(one, Picture))
    assert "one trial in 4" in next(one.caption for one in pictures if "parallel" in one.name)


def test_trials_of_one_value_have_no_contour(tmp_path):
    folder = write_study(tmp_path / "run", 30, (128,))
    lines = [json.loads(line) for line in (folder / "study.log").read_text().splitlines()]
    for line in lines[1:]:
        line |= {"value": line["value"] and 0.5, "intermediate_values": {"1": 0.5}}
    (folder / "study.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = _blocks(folder)
    assert _names(found) == ["importances", "parallel-128", "slices-128"]
    (skipped,) = (one for one in found if isinstance(one, Skipped))
    assert skipped.name == "contour-128.png"


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for block in _blocks(folder):
        if isinstance(block, Picture):
            found.update(figures.png(block.figure) + figures.svg(block.figure))
        else:
            found.update((block.csv() if isinstance(block, Table) else repr(block)).encode())
    return found.hexdigest()


def test_same_folder_gives_the_same_bytes_in_any_process(tmp_path):
    folder = write_study(tmp_path / "run", 20, (128,))
    script = "import sys, pathlib, tests.test_study_report as t\n"
    other = subprocess.run(
        [sys.executable, "-c", script + "print(t.digest(pathlib.Path(sys.argv[1])))", str(folder)],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == digest(folder)
