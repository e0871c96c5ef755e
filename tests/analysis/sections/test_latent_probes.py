"""Classifiers of codes in the report: numbers, tables and figures of run folders."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import latent_probes as figures
from analysis.measure.latent_probes.few_shot import few_shot, published
from analysis.measure.latent_probes.perceptrons import BLOCKS, L2, TWO_STAGE
from analysis.measure.latent_probes.probes import (
    PROBES,
    Probe,
    best_on_test,
    l2_sweep,
    limited,
    perceptrons,
    probes,
    stops,
)
from analysis.page.sections.latent_probes import (
    latent_probe_blocks,
    limit_blocks,
    perceptron_blocks,
)
from analysis.read.runs import Result, Run, read_run
from analysis.tables.latent_probes import (
    code_table,
    few_shot_table,
    perceptron_table,
    probe_table,
    state_table,
)
from probes.codes.published import PUBLISHED, SETTINGS
from search.record.schema import (
    COMPLETE,
    ERROR,
    PRUNED,
    REASON_MEMORY,
    REASON_SCHEDULER,
    REASON_TIME,
    SEARCH_INTERRUPTED,
)
from tests.analysis.run_folders import SIZES, change_csv, change_json, write_probes

STUDY = Path(__file__).resolve().parents[3] / "docs/study/runs/probes-unwarping"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return write_probes(tmp_path_factory.mktemp("runs") / "probes")


@pytest.fixture(scope="module")
def run(good) -> Run:
    return read_run(good)


@pytest.fixture(scope="module")
def final(good) -> dict:
    return json.loads((good / "final.json").read_text())


@pytest.fixture
def small(tmp_path) -> Callable[[Callable[[dict], object]], Run]:
    """A run of two probes on one code, its final.json changed."""

    def changed(change: Callable[[dict], object]) -> Run:
        folder = write_probes(tmp_path / "run", (32,), ("mlp", "knn"))
        change_json(folder / "final.json", change)
        return read_run(folder)

    return changed


def words(run: Run) -> str:
    blocks = [*perceptron_blocks(run), *limit_blocks(run), *latent_probe_blocks(run)]
    shown = (b.markdown() if hasattr(b, "markdown") else getattr(b, "words", b) for b in blocks)
    return "\n\n".join(block for block in shown if isinstance(block, str))


def winner_of(final: dict, group: str) -> dict:
    return next(winner for winner in final["winners"] if winner["model"] == group)


# The best of each probe


def test_probes_are_in_their_order_with_the_figures_of_final_json(run, final):
    found = probes(run)
    assert [(each.name, each.size) for each in found] == [(p, s) for p in PROBES for s in SIZES]
    missing = [each.group for each in found if not each.measured]
    assert missing == ["random-forest-1024"]  # refused for its memory
    for each in found:
        if each.measured:
            winner = winner_of(final, each.group)
            assert each.test == pytest.approx(winner["mean"]["test_accuracy"])
            assert [each.low, each.high] == pytest.approx(winner["test_accuracy_interval"])
            assert each.validation == winner["searched"]["validation_accuracy"]
    highest = max(found, key=lambda each: each.validation if each.measured else 0)
    assert [each.group for each in found if each.best] == [highest.group] == ["mlp-128"]


def test_the_table_has_a_column_per_code_size_and_the_csv_a_row_per_pair(run, final):
    table = probe_table(run, probes(run))
    assert [row["probe"] for row in table.rows] == [*PROBES]
    assert [column.title for column in table.columns[1:4]] == [f"code {size}" for size in SIZES]
    (line,) = [line for line in table.markdown().splitlines() if line.startswith("| mlp |")]
    mean, std = (winner_of(final, "mlp-128")[part]["test_accuracy"] for part in ("mean", "std"))
    assert f"| **{mean:.4f} ± {std:.4f}** |" in line and "| 0.45 |" in line
    lines = {(row["probe"], row["latent_size"]): row for row in csv.DictReader(_csv(table))}
    assert len(lines) == len(PROBES) * len(SIZES)
    assert (
        json.loads(lines["mlp", "128"]["parameters"]) == winner_of(final, "mlp-128")["parameters"]
    )
    assert lines["random-forest", "1024"]["test_accuracy"] == ""


def _csv(table) -> io.StringIO:
    return io.StringIO(table.csv())


def test_the_pixels_stand_beside_the_probes_of_their_kind(run):
    pixels = {each.name: each.on_pixels for each in probes(run) if not math.isnan(each.on_pixels)}
    assert pixels == {"nearest-mean": 0.31, "knn": 0.4344}


def test_the_best_is_chosen_on_validation_though_another_tests_higher(small, run):
    def raise_knn(final):
        winner_of(final, "knn-32")["mean"]["test_accuracy"] = 0.9

    found = probes(small(raise_knn))
    assert [each.group for each in found if each.best] == ["mlp-32"]
    assert best_on_test(found).group == "knn-32" and best_on_test(probes(run)) is None


@pytest.mark.parametrize("interval", [None, [0.1], ["a", "b"]])
def test_an_odd_interval_is_no_interval(small, interval):
    def spoil(final):
        winner_of(final, "mlp-32")["test_accuracy_interval"] = interval

    (found,) = [each for each in probes(small(spoil)) if each.name == "mlp"]
    assert math.isnan(found.low) and math.isnan(found.high)


def test_the_autoencoder_behind_each_code_is_told(run):
    rows = code_table(run).rows
    assert [row["latent_size"] for row in rows] == [*SIZES]
    assert (rows[1]["source"], rows[1]["epoch"], rows[1]["probe_accuracy"]) == ("ae-run", 40, 0.41)
    assert rows[1]["validation_mse"] == pytest.approx(0.004 + 128 / 1e6)


# Limits


def test_trials_are_counted_by_probe_state_and_limit(run):
    ended = stops(run)
    rows = {row["probe"]: row for row in state_table(run, ended).rows}
    assert [*rows] == [*PROBES]
    assert rows["mlp"]["trials"] == rows["mlp"][COMPLETE]
    assert rows["catboost"][PRUNED] == rows["catboost"][REASON_TIME] == 3
    forest = rows["random-forest"]
    assert [forest[key] for key in (COMPLETE, ERROR, REASON_MEMORY, REASON_TIME)] == [2, 1, 1, 0]
    assert {stop.group for stop in limited(ended)} == {"random-forest-1024"} | {
        f"catboost-{size}" for size in SIZES
    }


def test_a_trial_that_others_beat_is_not_counted_as_stopped_by_a_limit(tmp_path):
    folder = write_probes(tmp_path / "run", (32,), ("catboost",))
    change_csv(folder / "trials.csv", lambda row: row.update(reason=REASON_SCHEDULER))
    found = stops(read_run(folder))
    assert [stop.code for stop in found] == [REASON_SCHEDULER] and not limited(found)


# The report's perceptrons


def test_perceptrons_are_those_of_the_presets(run, final):
    found = perceptrons(run)
    assert [*found] == [*dict.fromkeys((*BLOCKS, *L2, TWO_STAGE))]
    for preset in final["presets"]:
        if preset["preset"] in found:
            ours = found[preset["preset"]]
            for metric in ("train_loss", "train_accuracy", "test_accuracy"):
                assert getattr(ours, metric) == preset[metric]
    trials = run.trials.set_index("preset")
    for name, each in found.items():
        assert (each.blocks, each.l2) == tuple(trials.loc[name, ["blocks", "l2"]])
    assert "| 0.0001, then 5e-05 |" in perceptron_table(found).markdown()


# Characters never seen


def test_few_shot_stands_beside_what_was_published(run, final):
    found = few_shot(run)
    reached = {(each.features, each.ways, each.shots): each.accuracy for each in found}
    assert reached == {(e["code"], e["ways"], e["shots"]): e["accuracy"] for e in final["few_shot"]}
    rows = few_shot_table([*found, *published()]).rows
    names = [f"code {size}" for size in SIZES] + ["pixels"]
    assert [row["features"] for row in rows] == names + [
        f"{each.method} ({each.source})" for each in PUBLISHED
    ]
    assert all(len(row["cells"]) == len(SETTINGS) for row in rows)


def test_without_few_shot_figures_there_is_none(small, tmp_path):
    assert few_shot(small(lambda final: final.update(few_shot=[]))) == []
    cut = write_probes(tmp_path / "cut", (32,), ("knn",), state=SEARCH_INTERRUPTED)
    assert few_shot(read_run(cut)) is None


# Figures


def test_the_picture_of_probes_has_dots_intervals_and_levels(run):
    def probe(name: str, size: int, value: float, half: float = 0.01) -> Probe:
        result = Result(group=f"{name}-{size}", searched={"test_accuracy": value})
        return Probe(result.group, name, size, result, value - half, value + half)

    found = [probe("knn", 128, 0.5), probe("knn", 32, 0.6), probe("mlp", 128, 0.7, math.nan)]
    axes = figures.accuracies(run, found).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["knn", "mlp"]
    of_128, of_32 = axes.containers
    assert list(of_128[0].get_xdata()) == [0.5, 0.7] and list(of_32[0].get_xdata()) == [0.6]
    ends = [segment[:, 0] for segment in of_128[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.49, 0.51], [0.7, 0.7]])
    assert [line.get_xdata()[0] for line in axes.lines[:2]] == [0.45, 0.4344]
    assert [text.get_text() for text in axes.texts] == ["0.700", "0.600"]  # best of each probe
    knn, mlp = of_128[0].get_ydata()
    assert knn < of_32[0].get_ydata()[0] < mlp  # larger codes above, rows apart
    assert figures.accuracies(run, [replace(found[0], result=Result())]) is None


def test_the_picture_of_l2_has_a_place_for_none(run):
    found = l2_sweep(perceptrons(run))
    train, test = figures.against_l2(found).axes[0].lines
    assert list(train.get_xdata()) == list(test.get_xdata()) == [0, 1, 2, 3, 4]
    assert list(test.get_ydata()) == [each.test_accuracy for each in found]
    ticks = figures.against_l2(found).axes[0].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["0", "1e-05", "0.0001", "0.001", "0.01"]
    assert figures.against_l2([]) is None


# Runs with holes


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Path:
    """Two probes on one code, interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "cut"
    return write_probes(folder, (32,), ("mlp", "knn"), state=SEARCH_INTERRUPTED)


def test_an_interrupted_run_has_validation_figures_alone(cut):
    run = read_run(cut)
    (best,) = [each for each in probes(run) if each.best]
    assert best.group == "mlp-32" and best.validation == pytest.approx(0.66, abs=0.02)
    assert math.isnan(best.test) and l2_sweep(perceptrons(run)) == []
    assert figures.accuracies(run, probes(run)) is None
    assert not re.search(r"\bnan\b", words(run))


# The study


def test_the_probes_of_the_study():
    run = read_run(STUDY)
    found = probes(run)
    (best,) = [each for each in found if each.best]
    assert (best.group, round(best.test, 4)) == ("lda-1024", 0.8003)
    assert best_on_test(found).group == "mlp-1024"
    assert [stop.code for stop in limited(stops(run))] == [REASON_TIME] * 3
