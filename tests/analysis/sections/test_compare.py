"""Runs side by side."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis.figures.drawing.encoding import png
from analysis.measure.compare import Comparison, compare
from analysis.page.blocks import Picture
from analysis.page.sections.compare import compare_blocks
from analysis.read.runs import read_run
from analysis.tables.compare import best_table, settings_table, short_names
from analysis.tables.writing.table import Table
from tests.analysis.run_folders import (
    change_json,
    empty_tables,
    write_autoencoders,
    write_probes,
    write_search,
)

NAMES = ("first", "second")


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    """Two autoencoder runs that differ in their number of trials and their seed."""
    return [
        write_autoencoders(tmp_path / name, trials=trials, epochs=3, seed=seed, pictures=False)
        for name, trials, seed in zip(NAMES, (12, 20), (0, 1), strict=True)
    ]


def compared(folders: list[Path]) -> Comparison:
    return compare([read_run(folder) for folder in folders])


def best(folders: list[Path]) -> dict:
    """By code size, what the second run is beside the first."""
    return {each.group: each for each in compared(folders).best if each.run == NAMES[1]}


def change_winner(folder: Path, size: int, **metrics: tuple[float, float | None]) -> None:
    """Set mean and deviation of test figures of the winner of a code size."""

    def change(final: dict) -> None:
        winner = next(each for each in final["winners"] if each["latent_size"] == size)
        for name, (mean, std) in metrics.items():
            winner["mean"][name], winner["std"][name] = mean, std

    change_json(folder / "final.json", change)


def test_only_settings_that_differ_are_listed(folders):
    found = compared(folders)
    assert found.settings == {"num_samples": [12, 20]}
    assert found.identity["seed"] == [0, 1] and found.identity["budget"] == ["quick", "quick"]
    assert found.counts["complete"] == [read_run(folder).counts["complete"] for folder in folders]
    assert found.same_images and not any(found.space) and not found.data
    frame = settings_table(found).frame.set_index("what")
    assert list(frame.loc["`--num-samples`"]) == ["12", "20"]


def test_another_search_space_and_other_data_are_found(folders):
    def change(info: dict) -> None:
        info["space"]["distributions"]["depth"] = "{}"
        info["data"] |= {"sha256": "cd" * 32, "train": 800}

    change_json(folders[1] / "run.json", change)
    found = compared(folders)
    assert found.space == [[], ["depth"]]
    assert found.data["train"] == [4000, 800] and not found.same_images


def test_a_difference_is_beyond_the_deviations_or_within(folders):
    first = {1024: (0.004, 3e-4), 128: (0.004, 3e-4), 32: (0.01, 0.0)}
    second = {1024: (0.0046, 4e-4), 128: (0.0036, 4e-4), 32: (0.02, None)}
    for folder, values in zip(folders, (first, second), strict=True):
        for size, reached in values.items():
            change_winner(folder, size, test_mse=reached)
    found = best(folders)
    assert found[1024].difference == pytest.approx(0.0006)
    assert found[1024].deviations == pytest.approx(0.0005)
    assert (found[1024].beyond, found[128].beyond, found[32].beyond) == (True, False, None)
    assert found[32].difference == pytest.approx(0.01)  # no deviation, no verdict


def test_a_figure_of_a_search_is_set_beside_other_figures_of_a_search_only(folders):
    (folders[1] / "final.json").unlink()
    found = best(folders)[1024]
    assert found.metric == "validation_mse" and math.isnan(found.difference)
    assert compared(folders).any_searched
    (folders[0] / "final.json").unlink()
    found = best(folders)[1024]
    assert math.isfinite(found.difference) and found.beyond is None


def test_the_csv_has_a_row_per_group_and_run(folders):
    frame = best_table(compared(folders)).frame
    assert len(frame) == 6 and set(frame["run"]) == set(NAMES)
    for run in map(read_run, folders):
        for winner in run.final.winners:
            mine = frame[(frame["run"] == run.name) & (frame["group"] == winner.group)].iloc[0]
            assert mine["value"] == winner.mean["test_mse"] and mine["metric"] == "test_mse"


def test_a_winner_short_of_the_budget_is_known(folders):
    assert not compared(folders).any_short
    change_json(folders[1] / "final.json", lambda final: final["winners"][0].update(state="pruned"))
    assert compared(folders).any_short


def test_runs_chosen_by_probe_accuracy_are_compared_by_it(tmp_path):
    folders = [
        write_autoencoders(
            tmp_path / name, 12, 3, metric="probe_accuracy", seed=seed, pictures=False
        )
        for seed, name in enumerate(NAMES)
    ]
    for turn, folder in enumerate(folders):
        change_winner(folder, 32, test_probe_accuracy=(0.5 + turn / 10, 0.01))
    found = best(folders)[32]
    assert found.metric == "test_probe_accuracy" and found.beyond
    assert found.difference == pytest.approx(0.1)


def test_of_many_runs_the_newest_are_shown(tmp_path):
    runs = [read_run(write_search(tmp_path / f"run-{n}", 3, epochs=1)) for n in range(7)]
    found = compare(runs)
    assert found.found == 7 and list(found.runs) == runs[2:]


def test_every_question_with_two_runs_has_its_tables_and_picture(folders, tmp_path):
    others = [read_run(write_search(tmp_path / n, 6, ("a",), "max")) for n in ("c1", "c2")]
    runs = [read_run(folder) for folder in folders]
    found = [
        block for block in compare_blocks([runs, others, others[:1]]) if hasattr(block, "name")
    ]
    assert [block.name for block in found] == ["settings", "best", "progress"] * 2
    assert all(png(block.figure) for block in found if isinstance(block, Picture))
    assert not any(isinstance(block, Table) for block in compare_blocks([runs[:1]]))


def test_long_names_are_shortened_and_stay_distinct():
    names = [f"autoencoders-mnist5k-2026112{day}-120000-{end}" for day in "34" for end in "ab"]
    short = short_names(["brief", *names, *names[:1]])
    assert short[0] == "brief" and len(set(short)) == len(short)
    assert all(len(name) <= 24 for name in short)


def test_titles_are_escaped_in_markdown(tmp_path):
    folders = [write_search(tmp_path / name, 2, epochs=1) for name in ("a_b|c", "*d*")]
    head = best_table(compared(folders)).markdown().splitlines()[0]
    assert head == "| code size | a\\_b\\|c | \\*d\\* |"


def test_of_many_groups_the_best_six_have_a_panel(tmp_path):
    runs = [read_run(write_probes(tmp_path / n, (128, 32), epochs=3)) for n in NAMES]
    found = compare(runs)
    assert len(found.drawn) == 6 and len(found.groups) == 16
    assert "mlp-128" in found.drawn and "random-forest-32" not in found.drawn


def test_runs_without_trials_or_numbers_are_compared(folders):
    (folders[0] / "final.json").unlink()
    empty_tables(folders[0])
    keep = ("command", "start", "data")
    change_json(
        folders[0] / "run.json",
        lambda info: [info.pop(key) for key in [*info] if key not in keep],
    )
    runs = [read_run(folder) for folder in folders]
    assert all(math.isnan(each.value) for each in compare(runs).best if each.run == "first")
    assert any(isinstance(block, Table) for block in compare_blocks([runs]))
