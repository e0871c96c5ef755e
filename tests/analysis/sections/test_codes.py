"""What the report says of sparse codes and of the contrastive term."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from analysis.figures.codes import accuracy_by_epoch, error_by_units
from analysis.measure.codes.contrast import WITH, WITHOUT, contrasts
from analysis.measure.codes.sparse import COSTS, HELPS, NEITHER, ONE_SEED, Line, Sparse, sparse
from analysis.page.blocks import Picture
from analysis.page.sections.learned import learned_blocks
from analysis.read.runs import Run, read_run
from tests.analysis.run_folders import change_csv, change_json, write_autoencoders

STUDY = Path(__file__).resolve().parents[3] / "docs/study/runs"


def set_error(row: dict, error: float) -> None:
    row["best_validation_mse"] = str(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run whose three kinds of code have errors that are known."""
    folder = write_autoencoders(tmp_path_factory.mktemp("runs") / "run", 11, pictures=False)
    errors = {"sae": 0.004, "sae-relu": 0.005, "top-k": 0.003}

    def change(row: dict) -> None:
        if row["preset"] in errors:
            set_error(row, errors[row["preset"]])
        elif row["latent_size"] == "1024":
            set_error(row, 0.02)

    change_csv(folder / "trials.csv", change)
    curve = {"16": 0.02, "64": 0.012}
    change_json(
        folder / "final.json",
        lambda final: final["floors"].update(
            pca_curve={
                count: {"components": int(count), "validation_mse": error}
                for count, error in curve.items()
            }
        ),
    )
    return folder


def test_each_kind_has_a_line_of_its_lowest_errors_beside_pca(folder):
    found = sparse(read_run(folder))
    assert found.size == 1024
    lines = {line.name: dict(zip(line.units, line.errors, strict=True)) for line in found.lines}
    assert [*lines] == ["L1 and ReLU", "top-k", "PCA"]
    assert lines["top-k"] == {64: 0.003} and lines["L1 and ReLU"] == {0.3 * 1024: 0.005}
    assert {16: 0.02, 64: 0.012}.items() <= lines["PCA"].items()
    assert found.beside_pca == [("top-k", 0.003, 0.012)]
    assert (found.dense, found.best) == (0.004, 0.003) and found.verdict == HELPS


@pytest.mark.parametrize(
    "best, least, verdict",
    [
        (0.9, 0.02, HELPS),
        (0.99, 0.02, NEITHER),
        (1.5, 0.02, COSTS),
        (0.5, math.nan, ONE_SEED),
        (math.nan, 0.02, ""),
    ],
)
def test_the_verdict_is_larger_than_chance(best, least, verdict):
    assert Sparse(128, (), 1.0, best, least).verdict == verdict


def test_the_lowest_error_with_at_most_so_many_units():
    line = Line("top-k", (8.0, 40.0, 90.0), (0.3, 0.2, 0.1))
    assert line.at_most(64) == 0.2 and math.isnan(line.at_most(4))


@pytest.fixture(scope="module")
def for_probes(tmp_path_factory) -> Path:
    """A search for probes: with the term 0.9 at both sizes, without it 0.8, unwarped 0.85."""
    folder = write_autoencoders(
        tmp_path_factory.mktemp("runs") / "codes",
        6,
        sizes=(128, 32),
        metric="probe_accuracy",
        pictures=False,
    )

    def change(row: dict) -> None:
        row["best_probe_accuracy"] = "0.9" if float(row["contrastive_weight"]) else "0.8"
        set_error(row, 0.022 if float(row["contrastive_weight"]) else 0.02)
        if row["number"] == "4":  # the first preset of the report, as if it had the term
            row.update(contrastive_weight="0.2", best_probe_accuracy="0.85")

    change_csv(folder / "trials.csv", change)
    return folder


def test_the_term_is_compared_at_each_code_size(for_probes):
    run = read_run(for_probes)
    found = {each.size: each for each in contrasts(run)}
    assert [*found] == [128, 32]
    for each in found.values():
        assert each.gain == pytest.approx(0.1) and each.rise == pytest.approx(0.1)
        assert [*each.curves] == [WITH, WITHOUT]
        assert [*each.curves[WITH].index] == [*range(1, 10)]
    assert found[128].unwarped == 0.85 and math.isnan(found[32].unwarped)
    panels = [axes for axes in accuracy_by_epoch([*found.values()]).axes if axes.get_visible()]
    assert [len(axes.get_lines()) for axes in panels] == [2, 2]


def pictures(run: Run) -> list[str]:
    return [block.name for block in learned_blocks(run) if isinstance(block, Picture)]


def test_the_report_shows_both(folder, for_probes):
    assert "error-by-active-units" in pictures(read_run(folder))
    assert "contrastive-term" in pictures(read_run(for_probes))
    lines = error_by_units(sparse(read_run(folder))).axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["L1 and ReLU", "top-k", "PCA"]


@pytest.mark.parametrize("name", ["presets-mnist", "codes-unwarping"])
def test_a_run_of_an_older_version_has_neither(name):
    run = read_run(STUDY / name)
    assert "units_per_image" not in json.dumps([*run.trials])
    assert sparse(run) is None and contrasts(run) == []
