"""The report's first part, on made-up run folders."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures.answer import answer_figure
from analysis.measure.best import answer, bests
from analysis.page.blocks import Picture
from analysis.page.sections.answer import answer_blocks
from analysis.read.commands import repeat_command
from analysis.read.results import Floor
from analysis.read.runs import Result, Run, read_run
from analysis.tables.best import answer_table, best_table
from search.record.schema import SEARCH_INTERRUPTED
from tests.analysis.run_folders import (
    write_autoencoders,
    write_classifiers,
    write_probes,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Run]:
    """Runs of every command, one of them chosen for its codes, one cut short."""
    home = tmp_path_factory.mktemp("runs")
    small = {"pictures": False, "trials": 12}
    folders = [
        write_autoencoders(home / "images", data="mnist", **small),
        write_autoencoders(
            home / "young", pictures=False, trials=2, data="omniglot", state=SEARCH_INTERRUPTED
        ),
        write_autoencoders(home / "codes", data="omniglot", metric="probe_accuracy", **small),
        write_classifiers(home / "digits"),
        write_classifiers(home / "drawers", data="omniglot", trials=6),
        write_probes(home / "probes"),
    ]
    return {folder.name: read_run(folder) for folder in folders}


def test_an_autoencoder_has_a_row_per_code_size_with_the_numbers_of_final_json(runs):
    run = runs["images"]
    rows = answer_table(bests(run)).rows
    assert [row["latent_size"] for row in rows] == [1024, 128, 32]
    for row, winner in zip(rows, sorted_winners(run), strict=True):
        assert (row["test"], row["test_std"]) == (winner.mean["test_mse"], winner.std["test_mse"])
        assert row["validation"] == winner.mean["validation_mse"]
        assert row["mean_image_test_mse"] == run.floor("mean_image").value("test_mse")
        assert json.loads(row["parameters"]) == winner.parameters
    pca = run.floor("pca", "128").value("test_mse")
    assert rows[1]["test_over_pca"] == pytest.approx(rows[1]["test"] / pca)
    assert math.isnan(rows[0]["test_over_pca"])  # PCA with 784 components is exact
    assert rows[0]["seed_report_lowest"] == 0.02097
    assert best_table(bests(run)).frame.equals(answer_table(bests(run)).frame)


def sorted_winners(run: Run) -> list[Result]:
    return sorted(run.final.winners, key=lambda winner: -winner.group)


def test_classifiers_stand_beside_the_report_and_the_nearest_neighbour(runs):
    digits, drawers = answer([runs["drawers"], runs["digits"]]).classifiers
    assert (digits.theirs, drawers.theirs) == ((0.995, 0.995), (0.60, 0.65))
    assert digits.nearest == 0.8965 and digits.size is None
    assert digits.value == runs["digits"].final.winners[0].mean["test_accuracy"]


def test_of_probes_the_best_on_validation_has_the_row_though_another_tests_higher(runs):
    run = runs["probes"]
    winners = [
        replace(winner, mean={**winner.mean, "test_accuracy": 0.9})
        if str(winner.group).startswith("knn")
        else winner
        for winner in run.final.winners
    ]
    found = bests(replace(run, final=replace(run.final, winners=tuple(winners))))
    assert [best.size for best in found] == [1024, 128, 32]
    for best in found:
        of_size = [each for each in winners if str(each.group).endswith(f"-{best.size}")]
        assert best.winner == max(of_size, key=lambda each: each.own("validation_accuracy"))
        assert best.value < 0.9 and best.theirs == (0.45, 0.45) and best.nearest == 0.4344


def test_rows_are_in_the_order_of_tasks_and_codes_come_after_reconstructions(runs):
    found = answer([runs["digits"], runs["codes"], runs["images"]])
    assert [run.name for run in found.runs] == ["images", "codes", "digits"]
    tasks = list(dict.fromkeys(row["task"] for row in answer_table(found.found).rows))
    assert tasks == ["autoencoder", "autoencoder, by probe accuracy", "classifier"]


def test_an_autoencoder_for_codes_has_a_row_only_until_its_codes_are_classified(runs):
    alone = [runs["images"], runs["codes"]]
    assert any(best.by_probe for best in answer(alone).found)
    assert not any(best.by_probe for best in answer([*alone, runs["probes"]]).found)


def test_the_answer_speaks_of_what_is_measured(runs):
    found = answer([runs["codes"], runs["images"], runs["probes"]])
    assert [best.run.name for best in found.errors[0]] == ["images"] * 3 and len(found.errors) == 1
    assert found.beside_report.size == 1024 and found.beside_report.run.name == "images"
    (code,) = found.codes
    assert code.winner.own("validation_accuracy") == max(
        best.winner.own("validation_accuracy") for best in bests(runs["probes"])
    )
    assert answer([runs["codes"]]).errors  # where there are no others


def test_what_was_not_tested_or_not_trained_to_the_end_is_marked(runs):
    found = {best.size: best for best in bests(runs["young"])}
    rows = {row["latent_size"]: row for row in answer_table(found.values()).rows}
    assert not found[1024].tested and not rows[1024]["ended"] and rows[1024]["seeds"] == 0
    assert not found[32].measured and rows[32]["configuration"] == ""
    cells = [line.split(" | ")[3] for line in answer_table(found.values()).markdown().split("\n")]
    assert cells[2].endswith("(search) ‡") and cells[4] == "-"
    cut = replace(found[1024], winner=replace(found[1024].winner, state="pruned"))
    assert cut.short_of_budget and not found[32].short_of_budget


def test_a_command_repeats_what_its_run_left_to_the_machine(runs):
    def repeated(argv, **settings) -> list[str]:
        info = {**runs["images"].info, "argv": argv, "budget": "quick", "settings": settings}
        return shlex.split(repeat_command(replace(runs["images"], info=info)))[3:]

    argv = ["--num-samples", "5", "--seed=4", "--name", "a run"]
    assert repeated(argv) == [*argv, "--dataset", "mnist", "--budget", "quick"]
    given = [*argv, "--budget", "full", "--dataset=mnist5k"]
    assert repeated(given) == given
    grown = repeated(argv, num_samples=8, final_seeds=3, resume=True)
    assert grown[:4] == ["--num-samples", "8", "--seed=4", "--name"]
    assert grown[-2:] == ["--final-seeds", "3"]
    assert repeated(argv, autoencoders="/elsewhere/runs/ae")[-2:] == ["--autoencoders", "ae"]
    assert repeated(None) == []


@pytest.mark.parametrize("names", [["images", "codes", "digits", "drawers", "probes"], ["young"]])
def test_each_run_has_its_command_and_the_table_and_the_picture_come_once(runs, names):
    blocks = list(answer_blocks([runs[name] for name in names]))
    assert sum(isinstance(block, str) and block.startswith("```") for block in blocks) == len(names)
    assert sum(isinstance(block, Picture) for block in blocks) == 1


def test_the_picture_leaves_out_a_side_without_data(runs):
    def panels(*names):
        figure = answer_figure(answer([runs[name] for name in names]).found)
        return [axes.get_xlabel() for axes in figure.axes]

    assert panels("images") == ["code size"]
    assert panels("digits", "probes") == ["accuracy"]
    assert panels("images", "codes", "probes") == ["code size", "accuracy"]
    assert answer_figure([]) is None


def test_the_picture_shows_errors_floors_and_the_report(runs):
    found = bests(runs["images"])[:2]
    axes = answer_figure(found).axes[0]
    dots = [container[0].get_xydata()[0].tolist() for container in axes.containers]
    assert dots == [[place, best.value] for place, best in enumerate(found)]
    ends = [line.get_segments()[0] for line in axes.collections]
    levels = sorted(start[1] for start, end in ends if start[1] == end[1])
    assert levels == pytest.approx([0.00462, 0.0668, 0.0668])
    diamond = next(line for line in axes.lines if line.get_marker() == "D")
    assert diamond.get_xydata().tolist() == [[0, 0.02097]]
    assert axes.get_yscale() == "log"


def test_the_picture_of_accuracies_has_a_row_each_under_its_kind(runs):
    found = [bests(runs["digits"])[0], bests(runs["probes"])[2]]
    untested = replace(found[1], winner=replace(found[1].winner, runs=()))
    axes = answer_figure([found[0], untested]).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["of images", "mnist5k", "of codes", "omniglot, code 32"]
    drawn = [container[0].get_xydata()[0].tolist() for container in axes.containers]
    assert drawn == [[found[0].value, 1.0], [untested.value, 3.0]]
    faces = [container[0].get_markerfacecolor() for container in axes.containers]
    assert faces[0] != "white" and faces[1] == "white"  # hollow: not tested


def test_no_labels_overlap_in_the_picture_of_many_runs(runs):
    def of_set(best, number):
        info = {**best.run.info, "data": {**best.run.data, "name": f"set{number}"}}
        return replace(best, run=replace(best.run, info=info))

    floor = Floor({"test_mse": 0.01}, 32)
    points = [
        replace(of_set(best, n), pca=floor) for n in range(4) for best in bests(runs["images"])
    ]
    dots = [of_set(bests(runs["drawers"])[0], n) for n in range(6)]
    dots += [of_set(best, n) for n in range(2) for best in bests(runs["probes"])]
    figure = answer_figure([*points, *dots])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [
        label.get_window_extent(canvas.get_renderer())
        for axes in figure.axes
        for label in [*_within(axes.xaxis), *_within(axes.yaxis), *axes.texts]
    ]
    boxes += [text.get_window_extent() for text in figure.legends[0].get_texts()]
    assert len(boxes) > 30
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def _within(axis) -> list:
    """Labels of ticks in the axis' range; others are not drawn."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [
        tick.label1 for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()
    ]
