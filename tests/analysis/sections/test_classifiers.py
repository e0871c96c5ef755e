"""Classifiers of images in the report: tables, what the best one mistakes, the section."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures.curves import ACCURACY
from analysis.figures.mistakes import confusions
from analysis.measure.mistakes import Confused, mistakes
from analysis.page.blocks import Picture, Skipped
from analysis.page.sections.classifiers import classifier_blocks
from analysis.page.sections.mistakes import mistake_blocks
from analysis.read.runs import Result, Run, read_run, winners
from analysis.tables.classifiers import best_classifier, classifiers_beside_report
from analysis.tables.mistakes import accuracy_table
from analysis.tables.writing.table import Table
from search.record.schema import SEARCH_INTERRUPTED
from tests.analysis.run_folders import write_classifiers


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    return read_run(write_classifiers(tmp_path_factory.mktemp("runs") / "digits", trials=6))


def winner(run: Run) -> Result:
    return next(iter(winners(run).values()))


def test_the_best_stands_beside_the_floors_and_the_seed_report(run):
    (row,) = best_classifier(run).rows
    assert (row["trial"], row["seeds"]) == (winner(run).trial, 3)
    assert row["test_accuracy"] == winner(run).mean["test_accuracy"]
    assert row["seed_report_lowest"] == row["seed_report_highest"] == 0.995
    floors = [row[f"{name}_test_accuracy"] for name in ("most_frequent", "nearest_mean", "1_nn")]
    assert floors == [0.1, 0.782, 0.8965]


@pytest.mark.parametrize(
    "data, theirs", [("mnist", "0.995"), ("omniglot", "0.60-0.65"), ("kmnist", "-")]
)
def test_only_numbers_of_the_same_data_stand_side_by_side(tmp_path, data, theirs):
    run = read_run(write_classifiers(tmp_path / "run", trials=3, data=data))
    assert best_classifier(run).markdown().splitlines()[2].split(" | ")[3] == theirs


def test_the_reports_classifiers_stand_beside_their_rows(run):
    rows = {row["model"]: row for row in classifiers_beside_report(run).rows}
    assert [*rows] == ["naive", "another-naive", "corrected-naive"]
    presets = {preset.preset: preset for preset in run.final.presets}
    for name, row in rows.items():
        assert row["test_accuracy"] == presets[name].own("test_accuracy")
    assert [row["seeds"] for row in rows.values()] == [3, 0, 3]  # trained again, or not
    assert math.isnan(rows["another-naive"]["retrained_test_accuracy"])


def test_classes_are_listed_from_worst_to_best(run):
    values = [value for _, value in mistakes(run, winner(run)).by_kind]
    assert len(values) == 10 and values == sorted(values)


def test_of_many_classes_the_worst_are_shown_and_the_csv_has_all(tmp_path):
    names = tuple(f"glyph{place:03}" for place in range(100))
    run = read_run(write_classifiers(tmp_path / "many", trials=4, data="glyphs", names=names))
    table = accuracy_table(mistakes(run, winner(run)))
    assert table.markdown().count("\n") == 1 + 60 and len(table.csv().splitlines()) == 101


def test_characters_are_told_apart_by_their_alphabet(tmp_path):
    names = ("Greek/character01", "Japanese_(hiragana)/character02", "Greek/character03")
    run = read_run(write_classifiers(tmp_path / "run", trials=3, data="omniglot", names=names))
    found = mistakes(run, winner(run))
    assert found.kind == "alphabet" and {name for name, _ in found.by_kind} == {
        "Greek",
        "Japanese_(hiragana)",
    }


@pytest.mark.parametrize("pairs", [0, 2])
def test_unusable_pictures_of_confusions_are_left_out_and_named(tmp_path, pairs):
    folder = write_classifiers(tmp_path / "run", trials=4)
    path = folder / "best/classifier/confusions.npz"
    path.unlink()
    if pairs:  # fewer than final.json has
        keys = ("mistaken", "class", "taken_for")
        np.savez(path, **dict.fromkeys(keys, np.zeros((pairs, 28, 28), np.uint8)))
    run = read_run(folder)
    blocks = [*mistake_blocks(run, winner(run))]
    (left_out,) = [block for block in blocks if isinstance(block, Skipped)]
    assert left_out.name == "confusions.png" and "confusions.npz" in left_out.reason
    tables = [block for block in blocks if isinstance(block, Table)]
    assert [table.name for table in tables] == ["accuracy", "confused"]
    assert tables[1].rows[0]["times"] == 9


def test_a_perfect_classifier_has_no_confused_pairs(tmp_path):
    run = read_run(write_classifiers(tmp_path / "perfect", trials=4, pairs=0))
    found = mistakes(run, winner(run))
    assert found.confused == () and not found.images
    names = [block.name for block in mistake_blocks(run, winner(run)) if isinstance(block, Picture)]
    assert names == ["accuracy-by-class"]


def test_the_section_has_its_tables_and_pictures(run):
    blocks = [*classifier_blocks(run)]
    tables = [block.name for block in blocks if isinstance(block, Table)]
    assert tables == ["best", "presets", "accuracy", "confused"]
    pictures = [block.name for block in blocks if isinstance(block, Picture)]
    assert pictures == ["curves-presets", "accuracy-by-class", "confusions"]


def test_an_interrupted_search_is_reported_from_its_trials(tmp_path):
    run = read_run(write_classifiers(tmp_path / "cut", state=SEARCH_INTERRUPTED))
    (row,) = best_classifier(run).rows
    assert row["seeds"] == 0 and row["validation_accuracy"] > 0.9
    assert math.isnan(row["test_accuracy"])
    found = mistakes(run, winner(run))
    assert found.by_kind == () and found.confused is None
    tables = [block.name for block in classifier_blocks(run) if isinstance(block, Table)]
    assert tables == ["best", "presets"]


LONG = (
    "Blackfoot_(Canadian_Aboriginal_Syllabics)/character14",
    "Old_Church_Slavonic_(Cyrillic)/character32",
    "Japanese_(hiragana)/character06",
    "Alphabet_of_the_Magi/character03",
    "one_word_without_any_space_that_could_break_it",
    "T-shirt/top",
)


@pytest.mark.parametrize("count", [1, 12])
def test_words_in_the_picture_of_confusions_do_not_overlap(count):
    draws = np.random.default_rng(0)
    pairs = [Confused(LONG[n % 6], LONG[(n + 1) % 6], 12, 100) for n in range(count)]
    figure = confusions([draws.random((count, 28, 28))] * 3, pairs)
    renderer = FigureCanvasAgg(figure).get_renderer()
    words = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels())]
    boxes = [text.get_window_extent(renderer) for text in words if text.get_text()]
    assert len(boxes) == 3 * count + 3 * len(figure.axes)
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    width, height = figure.canvas.get_width_height()
    assert all(0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height for box in boxes)


def test_floors_far_below_the_accuracies_leave_them_their_room():
    low, high = ACCURACY.limits([0.95, 0.99], [0.96, 0.1, math.nan])
    assert 0.9 < low < 0.95 and 0.99 < high < 1.0
    assert ACCURACY.limits([0.1, 0.2], [0.5])[1] > 0.5  # a floor not reached is shown
