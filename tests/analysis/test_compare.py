"""Runs side by side, on made-up run folders."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from analysis.page.blocks import Heading, Picture
from analysis.page.sections import compare
from analysis.page.sections.compare import (
    Progress,
    best_table,
    compare_blocks,
    settings_table,
    short_names,
)
from analysis.read.runs import Run, Skipped, read_run
from analysis.tables.frames import Table
from tests.analysis.test_analysis import _change, write_classifiers, write_run
from tests.analysis.test_latent_probe_report import write_probes

NAMES = ("first", "second")


@pytest.fixture
def folders(tmp_path) -> list[Path]:
    """Two autoencoder runs that differ in their number of trials."""
    found = [
        write_run(tmp_path / name, trials=trials, seed=seed)
        for name, trials, seed in zip(NAMES, (12, 20), (0, 1), strict=True)
    ]
    for folder in found:
        _change(folder, lambda final: [one.update(state="complete") for one in final["winners"]])
    return found


def read(folders: list[Path]) -> list[Run]:
    return [read_run(folder) for folder in folders]


def change_info(folder: Path, **changes) -> None:
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | changes))


def rows(table: Table) -> dict[str, list[str]]:
    """Cells of each Markdown row by its first cell."""
    found = [line.strip("|").split("|") for line in table.markdown().splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in found}


def words(groups) -> str:
    return "\n".join(block for block in compare_blocks(groups) if isinstance(block, str))


def reach(folder: Path, size: int, mean: float, std: float | None) -> None:
    """Set the test figure of the winner of a code size."""

    def change(final):
        winner = next(one for one in final["winners"] if one["latent_size"] == size)
        winner["mean"]["test_mse"], winner["std"]["test_mse"] = mean, std

    _change(folder, change)


def test_only_settings_that_differ_are_listed_and_who_a_run_is_always(folders):
    change_info(folders[1], seed=7, git_commit="f" * 40)
    table = rows(settings_table(read(folders)))
    assert table[""] == list(NAMES)
    assert table["`--num-samples`"] == ["12", "20"]
    assert "`--max-epochs`" not in table
    assert table["search seed"] == ["0", "7"] and table["budget"] == ["quick", "quick"]
    assert table["commit"] == ["0123456789ab", "f" * 12]
    counts = [run.counts for run in read(folders)]
    assert table["trials complete"] == [str(one["complete"]) for one in counts]
    assert "search space" not in table and "data and split, sha256" not in table


def test_another_search_space_and_other_data_are_told(folders):
    change_info(folders[1], space={"distributions": {"depth": "{}"}})
    info = json.loads((folders[1] / "run.json").read_text())
    info["data"] |= {"sha256": "cd" * 32, "train": 800}
    (folders[1] / "run.json").write_text(json.dumps(info))
    table = rows(settings_table(read(folders)))
    assert table["search space"] == ["of the first run", "differs in depth"]
    assert table["train images"] == ["4000", "800"]
    assert "do not have the same images" in words([read(folders)])


def test_a_difference_is_beyond_the_deviations_or_within(folders):
    for size, (mean, std) in {1024: (0.004, 3e-4), 128: (0.004, 3e-4), 32: (0.01, 0.0)}.items():
        reach(folders[0], size, mean, std)
    reach(folders[1], 1024, 0.0046, 4e-4)  # 0.0006 is more than 0.0005
    reach(folders[1], 128, 0.0036, 4e-4)
    reach(folders[1], 32, 0.02, None)
    table = rows(best_table(read(folders)))
    assert table["1024"] == ["0.00400 ± 0.00030", "0.00460 ± 0.00040 (+0.00060, beyond)"]
    assert table["128"][1] == "0.00360 ± 0.00040 (-0.00040, within)"
    assert table["32"][1] == "0.02000 (+0.01000)"  # no deviation, no verdict


def test_a_figure_of_a_search_is_set_beside_other_figures_of_a_search_only(folders):
    (folders[1] / "final.json").unlink()
    searched = rows(best_table(read(folders)))["1024"][1]
    assert searched.endswith("(search)") and "+" not in searched
    assert "(search) marks" in words([read(folders)])
    (folders[0] / "final.json").unlink()
    both = rows(best_table(read(folders)))["1024"]
    assert "(search)" in both[0] and both[1].startswith(both[1].split()[0] + " (search)")
    assert "beyond" not in both[1] and ("+" in both[1] or "-" in both[1])


def test_the_csv_has_a_row_per_group_and_run(folders):
    runs = read(folders)
    frame = best_table(runs).frame
    assert len(frame) == 6 and set(frame["run"]) == set(NAMES)
    for run in runs:
        for winner in run.final.winners:
            mine = frame[(frame["run"] == run.name) & (frame["group"] == winner.group)].iloc[0]
            assert mine["value"] == winner.mean["test_mse"] and mine["metric"] == "test_mse"


def test_a_winner_short_of_the_budget_is_marked(folders):
    assert "†" not in str(rows(best_table(read(folders)))["1024"])
    _change(folders[1], lambda final: final["winners"][0].update(state="pruned"))
    table = rows(best_table(read(folders)))
    marked = [size for size, cells in table.items() if "†" in cells[1]]
    assert str(read(folders)[1].final.winners[0].group) in marked
    assert "† marks a winner" in words([read(folders)])


def test_runs_chosen_by_probe_accuracy_are_compared_by_it(folders):
    for place, folder in enumerate(folders):
        change_info(folder, metric="probe_accuracy", mode="max")

        def add(final, value=0.5 + place / 10):
            for winner in final["winners"]:
                winner["mean"]["test_probe_accuracy"] = value
                winner["std"]["test_probe_accuracy"] = 0.01

        _change(folder, add)
    table = rows(best_table(read(folders)))
    assert table["32"] == ["0.5000 ± 0.0100", "0.6000 ± 0.0100 (+10.00 points, beyond)"]


def test_of_many_runs_the_newest_are_shown(tmp_path):
    runs = [
        read_run(write_run(tmp_path / f"run-{place}", trials=2, seed=place)) for place in range(7)
    ]
    found = list(compare_blocks([runs]))
    assert "The 5 newest of 7 runs." in found
    tables = [block for block in found if isinstance(block, Table)]
    assert all(list(rows(table).values())[0] == [r.name for r in runs[2:]] for table in tables)


def test_a_heading_tables_and_a_picture_for_each_group(folders, tmp_path):
    others = [read_run(write_classifiers(tmp_path / name)) for name in ("c1", "c2")]
    found = list(compare_blocks([read(folders), others, others[:1]]))
    headings = [block.words for block in found if isinstance(block, Heading)]
    assert headings == [
        "### Autoencoders on mnist5k (split stratified), by validation MSE",
        "### Classifiers on mnist5k (split stratified), by validation accuracy",
    ]
    kinds = [block.name for block in found if isinstance(block, (Table, Picture))]
    assert kinds == ["settings", "best", "progress"] * 2
    assert rows(best_table(others))["classifier"][1].endswith("(+0.00 points, within)")


def test_nothing_to_compare_is_said(folders):
    assert "nothing to compare" in words([])
    assert "nothing to compare" in words([read(folders)[:1]])


def test_long_names_are_shortened_and_stay_distinct():
    names = [f"autoencoders-mnist5k-2026112{day}-120000-{end}" for day in "34" for end in "ab"]
    short = short_names(["brief", *names, *names[:1]])
    assert short[0] == "brief" and len(set(short)) == len(short)
    assert all(len(name) <= 24 for name in short)
    assert all(name.startswith("autoenc") and "…" in name for name in short[1:])


def test_titles_are_escaped_in_markdown(tmp_path):
    runs = [read_run(write_run(tmp_path / name, trials=2)) for name in ("a_b|c", "*d*")]
    head = best_table(runs).markdown().splitlines()[0]
    assert head == "| code size | a\\_b\\|c | \\*d\\* |"


def test_progress_is_the_best_so_far_over_all_epochs_trained(folders):
    (folders[0] / "trials.csv").write_text(
        "id,number,state,latent_size,epochs,best_validation_mse\n"
        "t3,3,complete,32,9,0.02\n"
        "t0,0,pruned,32,1,0.05\n"
        "t1,1,diverged,32,2,0.001\n"
        "t2,2,complete,32,9,0.03\n"
        "t4,4,complete,32,9,0.04\n"
        "t5,5,error,32,,\n"
        "t6,6,complete,128,9,0.01\n"
    )
    found = compare.progress(read_run(folders[0]), 32, "run")
    assert found.epochs.tolist() == [1, 3, 12, 21, 30, 30]
    assert found.best.tolist() == [0.05, 0.05, 0.03, 0.02, 0.02, 0.02]
    assert compare.progress(read_run(folders[0]), 1024, "run") is None


def test_progress_goes_up_where_more_is_better(tmp_path):
    run = read_run(write_classifiers(tmp_path / "run", trials=8))
    best = compare.progress(run, "classifier", "run").best
    assert (np.diff(best) >= 0).all() and best[-1] == run.trials["best_validation_accuracy"].max()


def test_the_picture_has_a_panel_per_group_and_a_line_per_run(folders):
    found = list(compare_blocks([read(folders)]))
    figure = next(block for block in found if isinstance(block, Picture)).figure
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["code 1024", "code 128", "code 32"]
    assert all(len(axes.lines) <= 2 for axes in shown)
    looks = {(line.get_linestyle(), line.get_marker()) for line in shown[0].lines}
    assert len(looks) == len(shown[0].lines)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES)


def test_of_many_groups_the_best_six_have_a_panel(tmp_path):
    runs = [read_run(write_probes(tmp_path / name, (128, 32))) for name in NAMES]
    found = next(block for block in compare_blocks([runs]) if isinstance(block, Picture))
    titles = [axes.get_title() for axes in found.figure.axes if axes.get_visible()]
    assert len(titles) == 6 and "mlp, code 128" in titles and "random-forest, code 32" not in titles
    assert "The 6 that lead in the newest run, of 16." in found.caption


def test_one_line_of_one_trial_is_drawn():
    line = Progress("run", np.array([3.0]), np.array([0.5]))
    axes = compare.progress_figure({"code 32": [line], "code 1": []}, "validation_mse").axes
    assert len(axes) == 1 and math.isfinite(sum(axes[0].get_ylim()))
    assert compare.progress_figure({"code 32": []}, "validation_mse") is None


def test_runs_without_trials_or_numbers_are_compared(folders):
    (folders[0] / "final.json").unlink()
    for name in ("trials.csv", "epochs.csv"):
        (folders[0] / name).write_text("")
    bare = {"command": "autoencoders", "start": "2026-03-01", "data": {"name": "mnist5k"}}
    (folders[0] / "run.json").write_text(json.dumps(bare))
    found = list(compare_blocks([read(folders)]))
    assert any(isinstance(block, Picture) for block in found)  # of the other run
    assert rows(found[-2])["1024"][0] == "-"
    assert "**first is not finished** (it is unknown)" in words([read(folders)])
    for name in ("trials.csv", "epochs.csv"):
        (folders[1] / name).write_text("")
    (folders[1] / "final.json").unlink()
    assert isinstance(list(compare_blocks([read(folders)]))[-1], Skipped)
