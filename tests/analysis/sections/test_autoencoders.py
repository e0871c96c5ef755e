"""The seed report's autoencoders in the report: their table, their section and the running loss."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures.running_loss import sae_by_step
from analysis.measure.running_loss import running_loss
from analysis.page.blocks import Picture
from analysis.page.sections.autoencoders import autoencoder_blocks
from analysis.read.runs import Run, read_run
from analysis.read.seed_report import MODELS
from analysis.tables.autoencoders import autoencoders_beside_report
from analysis.tables.writing.table import Table
from search.record.schema import SEARCH_INTERRUPTED
from tests.analysis.run_folders import change_csv, change_json, write_autoencoders

NAMES = [model.preset for model in MODELS]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return read_run(write_autoencoders(folder, trials=12, pictures=False))


def test_each_model_stands_beside_its_row_and_the_floors_below(run):
    rows = {row["model"]: row for row in autoencoders_beside_report(run).rows}
    pca = [f"PCA, {components} components" for components in (784, 128, 32)]
    assert [*rows] == [*NAMES, "mean image", *pca]
    tested = {preset.preset: preset for preset in run.final.presets}
    for name in NAMES:
        row = rows[name]
        assert row["test_mse"] == tested[name].own("test_mse")
        assert row["gap"] == row["test_mse"] - row["train_loss"]
    assert rows["sae"]["seed_report_test_loss"] == 0.02097
    assert math.isnan(rows["dae-l1"]["seed_report_gap"])  # the report prints no number for it
    assert rows["mean image"]["test_mse"] == 0.0668 and math.isnan(rows["mean image"]["train_mse"])


def test_models_that_were_not_tested_come_from_the_trials(tmp_path):
    folder = write_autoencoders(tmp_path / "cut", 3, state=SEARCH_INTERRUPTED, pictures=False)
    rows = autoencoders_beside_report(read_run(folder)).rows
    assert [row["trial"] != "" for row in rows] == [True] * 3 + [False] * 3 + [False]
    assert math.isnan(rows[0]["test_mse"]) and rows[0]["train_loss"] > 0


def test_the_section_has_its_tables_and_pictures(run):
    blocks = [*autoencoder_blocks(run)]
    assert [block.name for block in blocks if isinstance(block, Table)] == ["best", "presets"]
    pictures = [block.name for block in blocks if isinstance(block, Picture)]
    assert pictures == ["overview", "curves-presets", "sae-by-step"]


def test_a_search_without_the_reports_models_has_nothing_of_them(tmp_path):
    """As one that was given other presets, or that a changed space left without them."""
    folder = write_autoencoders(tmp_path / "codes", trials=9, pictures=False)
    change_csv(
        folder / "trials.csv",
        lambda row: row.update(preset="sampled") if row["preset"] in NAMES else None,
    )
    change_json(folder / "final.json", lambda final: final.update(presets=[]))
    blocks = [*autoencoder_blocks(read_run(folder))]
    assert [block.name for block in blocks if isinstance(block, Table)] == ["best"]
    assert any("--resume --num-samples 6`" in block for block in blocks if isinstance(block, str))


# The running loss


def configured(folder: Path, content: str) -> Path:
    place = folder / "best" / "sae"
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(content)
    return folder


def drawn(figure) -> dict[str, list[float]]:
    lines = figure.axes[0].get_lines()
    return {line.get_label(): list(line.get_xdata()) for line in lines}


def test_steps_are_epochs_times_the_batches_of_one(run):
    configured(run.folder, json.dumps({"training": {"batch_size": 64}}))
    found = running_loss(run)
    assert found.steps == 63  # of 4,000 images
    ours = [x for label, x in drawn(sae_by_step(found)).items() if label.startswith("our ")]
    assert ours == [[63 * epoch for epoch in range(1, 10)]] * 2


@pytest.mark.parametrize("content", ["", "[]", '{"training": 3}', '{"training": {}}'])
def test_without_a_batch_size_the_axis_is_of_epochs(run, content):
    configured(run.folder, content)
    found = running_loss(run)
    assert math.isnan(found.steps) and [*range(1, 10)] in drawn(sae_by_step(found)).values()


def test_a_run_without_the_sparse_models_draws_nothing(tmp_path):
    folder = write_autoencoders(tmp_path / "run", trials=2, pictures=False)
    assert sae_by_step(running_loss(read_run(folder))) is None


@pytest.mark.parametrize("trials, epochs", [(5, 1), (6, 2), (6, 81)])
def test_the_plot_has_no_overlapping_words(tmp_path, trials, epochs):
    folder = write_autoencoders(tmp_path / "run", trials, epochs, pictures=False)
    found = running_loss(read_run(folder))
    figure = sae_by_step(found)
    FigureCanvasAgg(figure).draw()
    labels = [label for label in figure.axes[0].get_xticklabels() if label.get_visible()]
    boxes = sorted((e.get_window_extent() for e in labels if e.get_text()), key=lambda b: b.x0)
    assert boxes and all(a.x1 <= b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
