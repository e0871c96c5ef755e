"""The report's first part, on made-up run folders."""

from __future__ import annotations

import argparse
import json
import math
import shlex
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.figures import answer as answer_figures
from analysis.figures import style as figures
from analysis.figures.answer import Dot, Point
from analysis.page.blocks import Picture
from analysis.page.sections.answer import answer_blocks, answer_table, answers, repeat_command
from analysis.read.runs import Run, read_run
from analysis.tables.frames import Table
from tests.analysis.test_analysis import _change, write_classifiers, write_run
from tests.analysis.test_latent_probe_report import write_probes


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Runs of every command, one of them chosen for its codes, one cut short."""
    home = tmp_path_factory.mktemp("runs")
    write_run(home / "images", trials=20, data="mnist")
    write_run(home / "young", trials=2, data="omniglot", state="interrupted")
    by_probe(write_run(home / "codes", trials=20, data="omniglot", seed=3))
    write_classifiers(home / "digits", data="mnist5k")
    write_classifiers(home / "drawers", data="omniglot", split="drawers")
    write_probes(home / "probes")
    return home


def by_probe(folder: Path) -> Path:
    """Make it a run that was chosen by the accuracy of a probe."""
    info = json.loads((folder / "run.json").read_text())
    info |= {"metric": "probe_accuracy", "mode": "max"}
    (folder / "run.json").write_text(json.dumps(info))

    def add(final):
        for winner in final["winners"]:
            winner["mean"]["test_probe_accuracy"] = 0.5512
            winner["std"]["test_probe_accuracy"] = 0.0123

    _change(folder, add)
    return folder


def change_info(folder: Path, **changes) -> Run:
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | changes))
    return read_run(folder)


def read(home: Path, *names: str) -> list[Run]:
    return [read_run(home / name) for name in names]


def lines(runs: list[Run]) -> list[list[str]]:
    """Cells of the Markdown table, a list per row, without its head."""
    table = next(block for block in answer_blocks(runs) if isinstance(block, Table))
    return [line.strip("| ").split(" | ") for line in table.markdown().splitlines()[2:]]


def words(runs: list[Run]) -> str:
    """All paragraphs."""
    return "\n".join(block for block in answer_blocks(runs) if isinstance(block, str))


def test_an_autoencoder_has_a_row_per_code_size_with_the_numbers_of_final_json(folders):
    rows = {row[2]: row for row in lines(read(folders, "images"))}
    final = json.loads((folders / "images/final.json").read_text())
    assert list(rows) == ["1024", "128", "32"]
    for winner in final["winners"]:
        row, mean = rows[str(winner["latent_size"])], winner["mean"]["test_mse"]
        assert row[:2] == ["autoencoder", "mnist"]
        assert row[3].startswith(f"{mean:.5f} ± ") and "(3 seeds)" in row[3]
        pca = final["floors"]["pca"][str(winner["latent_size"])]["test_mse"]
        ratio = f"{mean / pca:.3g}" if pca else "-"
        assert row[6] == ratio
    assert rows["1024"][4:6] == ["0.02097", "PCA 0 (exact), mean image 0.06680"]
    assert rows["128"][4:6] == ["-", "PCA 0.00462, mean image 0.06680"]


def test_classifiers_have_a_row_each_beside_the_report_and_the_neighbour(folders):
    digits, drawers = lines(read(folders, "drawers", "digits"))
    assert digits[:3] == ["classifier", "mnist5k", "-"]
    assert drawers[1] == "omniglot, drawers"
    assert [digits[4], drawers[4]] == ["0.995", "0.60-0.65"]
    assert digits[3].startswith("0.9732 ± 0.0019 (3 seeds)") and digits[5] == "1-NN 0.8965"


def test_of_probes_the_best_on_validation_has_the_row_though_another_tests_higher(tmp_path):
    folder = write_probes(tmp_path / "run", (128, 32), ("mlp", "knn"))

    def raise_knn(final):
        for winner in final["winners"]:
            if winner["probe"] == "knn":
                winner["mean"]["test_accuracy"] = 0.9

    _change(folder, raise_knn)
    rows = lines([read_run(folder)])
    assert [row[2] for row in rows] == ["128", "32"]
    assert all(row[7].startswith("mlp, `mlp-default-") and "0.9000" not in row[3] for row in rows)
    assert all(row[4:6] == ["0.45", "1-NN 0.4344"] for row in rows)


def test_rows_are_in_the_order_of_tasks_and_codes_come_after_reconstructions(folders):
    found = lines(read(folders, "digits", "codes", "images"))
    tasks = list(dict.fromkeys(row[0] for row in found))
    assert tasks == ["autoencoder", "autoencoder, by probe accuracy", "classifier"]
    chosen = next(row for row in found if row[0].endswith("by probe accuracy"))
    assert "probe 0.5512 ± 0.0123" in chosen[3]


def test_what_was_not_tested_not_finished_or_not_trained_to_the_end_is_marked(folders, tmp_path):
    run = read_run(folders / "young")
    rows = {row[2]: row for row in lines([run])}
    assert rows["128"][3].endswith("(search) ‡") and rows["128"][6] == "-"
    assert [rows["32"][place] for place in (3, 7)] == ["-", "-"]
    told = words([run])
    assert "the search is not finished" in told and "2 of 2 trials begun" in told
    assert "Autoencoder on omniglot, code 32: nothing has been measured yet." in told
    folder = write_run(tmp_path / "short", trials=12)
    _change(folder, lambda final: final["winners"][0].update(state="pruned", epochs=3))
    size = json.loads((folder / "final.json").read_text())["winners"][0]["latent_size"]
    row = next(row for row in lines([read_run(folder)]) if row[2] == str(size))
    assert row[3].endswith("†")
    assert f"† Autoencoder on mnist5k, code {size}: the chosen trial" in words([read_run(folder)])


def test_a_stand_in_data_set_is_named(tmp_path):
    note = "mnist could not be had, mnist5k is used instead"
    run = read_run(write_run(tmp_path / "run", note=note))
    assert lines([run])[0][1] == "mnist5k (a stand-in)"
    assert f"**Autoencoder on mnist5k: {note}.**" in words([run])


def test_the_answer_in_words_has_the_numbers_and_only_of_runs_that_exist(folders):
    def answered(*names):
        return next(iter(answer_blocks(read(folders, *names))))

    final = json.loads((folders / "images/final.json").read_text())
    best = next(w for w in final["winners"] if w["latent_size"] == 1024)["mean"]["test_mse"]
    alone = answered("images")
    assert f"{best:.5f} at code 1024" in alone and f"({0.02097 / best:.1f} times" in alone
    assert "lassifier" not in alone and "codes alone" not in alone
    both = answered("digits", "probes")
    assert "0.9732 on mnist5k (seed report 0.995, 1-NN on pixels 0.8965)" in both
    assert "omniglot, drawers at code 128 (seed report 0.45" in both and "Autoencoder" not in both
    assert answered("codes", "images") == alone  # chosen for their codes: the table alone says


def test_the_reports_number_from_codes_is_not_compared_with_other_data(tmp_path):
    run = read_run(write_probes(tmp_path / "run", (32,), ("knn",), data="glyphs"))
    assert "0.45 from codes is of Omniglot, not of glyphs" in words([run])


def test_a_command_repeats_what_its_run_left_to_the_machine(tmp_path):
    folder = write_run(tmp_path / "run", trials=5)
    argv = ["--num-samples", "5", "--seed=4", "--name", "a run"]
    typed = "python -m search.autoencoders --num-samples 5 --seed=4 --name 'a run'"
    run = change_info(folder, argv=argv)
    assert repeat_command(run) == f"{typed} --dataset mnist5k --budget quick"
    said = [*argv, "--budget", "full", "--dataset=mnist5k"]
    assert repeat_command(change_info(folder, argv=said)).endswith(
        "--budget full --dataset=mnist5k"
    )
    settings = {"num_samples": 8, "final_seeds": 3, "resume": True}
    grown = repeat_command(change_info(folder, argv=argv, settings=settings))
    assert grown.startswith(typed.replace("--num-samples 5", "--num-samples 8"))
    parsed = _parsed(shlex.split(grown)[3:])
    assert (parsed.num_samples, parsed.final_seeds, parsed.dataset) == (8, 3, "mnist5k")
    assert repeat_command(change_info(folder, argv=None)) == ""
    assert "Its command is not recorded." in words([read_run(folder)])


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for flag in ("--name", "--dataset", "--budget"):
        parser.add_argument(flag)
    for flag in ("--num-samples", "--final-seeds", "--seed"):
        parser.add_argument(flag, type=int)
    return parser.parse_args(argv)


def test_probes_name_the_run_that_made_their_codes(tmp_path):
    folder = write_probes(tmp_path / "run", (32,), ("knn",))
    run = change_info(folder, settings={"autoencoders": "/elsewhere/runs/ae-run"})
    assert "--autoencoders ae-run" in repeat_command(run)


def test_each_run_has_its_command_in_a_fence_with_time_and_device(folders):
    runs = read(folders, "images", "digits", "probes")
    fenced = [block for block in answer_blocks(runs) if isinstance(block, str) and "```" in block]
    assert len(fenced) == 3
    for run, block in zip(runs, fenced, strict=True):
        assert f"\n```\n{repeat_command(run)}\n```" in block
        assert "8 min 32 s on cpu" in block


@pytest.mark.parametrize(
    "final",
    [
        "{}",
        '{"winners": [{"latent_size": 32, "runs": [{"seed": 1}], "mean": {"test_mse": NaN}}], '
        '"floors": {"pca": 3, "mean_image": null}}',
    ],
)
def test_runs_with_holes_are_answered(tmp_path, final):
    folder = write_run(tmp_path / "holes", trials=3)
    info = {"command": "autoencoders", "start": "2026-03-01", "data": {"name": "mnist"}}
    (folder / "run.json").write_text(json.dumps(info))
    (folder / "trials.csv").write_text("id,state,latent_size\nt0,running,32\nt1,error,\n")
    (folder / "epochs.csv").write_text("id,epoch\n")
    (folder / "final.json").write_text(final)
    run = read_run(folder)
    assert [row[2] for row in lines([run])] == ["32"]
    assert "Nothing has been measured yet." in words([run])
    assert not any(isinstance(block, Picture) for block in answer_blocks([run]))


def test_runs_without_any_trial_are_answered(tmp_path):
    folder = write_probes(tmp_path / "young", (32,), ("mlp",), state="running")
    for name in ("trials.csv", "epochs.csv"):
        (folder / name).write_text("")
    assert "code 32: nothing has been measured yet." in words([read_run(folder)])
    assert "No search has a run to report yet" in words([])


def test_the_csv_holds_the_numbers_in_full(folders):
    run = read_run(folders / "images")
    frame = answer_table(answers(run)).frame
    for winner in json.loads((folders / "images/final.json").read_text())["winners"]:
        row = frame[frame["latent_size"] == winner["latent_size"]].iloc[0]
        assert row["value"] == winner["mean"]["test_mse"] and row["metric"] == "test_mse"
        assert json.loads(row["parameters"]) == winner["parameters"]


def test_the_picture_leaves_out_a_side_without_data(folders):
    def panels(*names):
        blocks = answer_blocks(read(folders, *names))
        picture = next(block for block in blocks if isinstance(block, Picture))
        return [axes.get_xlabel() for axes in picture.figure.axes]

    assert panels("images") == ["code size"]
    assert panels("digits", "probes") == ["accuracy"]
    assert panels("images", "codes", "probes") == ["code size", "accuracy"]
    assert answer_figures.answer_figure([], []) is None


def test_the_picture_shows_errors_floors_and_the_report():
    points = [
        Point("mnist", "mnist", 1024, 0.004, 0.001, True, False, math.nan, 0.07, 0.02097),
        Point("mnist", "mnist", 32, 0.01, math.nan, True, False, 0.018, 0.07, math.nan),
    ]
    axes = answer_figures.answer_figure(points, []).axes[0]
    dots = [container[0].get_xydata()[0].tolist() for container in axes.containers]
    assert dots == [[0, 0.004], [1, 0.01]]
    ends = [line.get_segments()[0] for line in axes.collections]
    levels = sorted(start[1] for start, end in ends if start[1] == end[1])
    assert levels == pytest.approx([0.018, 0.07, 0.07])
    diamond = next(line for line in axes.lines if line.get_marker() == "D")
    assert diamond.get_xydata().tolist() == [[0, 0.02097]]
    assert axes.get_yscale() == "log"


def test_the_picture_of_accuracies_has_a_row_each_under_its_kind():
    dots = [
        Dot("mnist", "mnist", 0.99, 0.001, True, (0.995, 0.995), 0.95, False),
        Dot("omniglot", "omniglot, code 32", 0.6, math.nan, False, (0.45, 0.45), math.nan, True),
    ]
    axes = answer_figures.answer_figure([], dots).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["of images", "mnist", "of codes", "omniglot, code 32"]
    drawn = [container[0].get_xydata()[0].tolist() for container in axes.containers]
    assert drawn == [[0.99, 1.0], [0.6, 3.0]]
    assert [text.get_text() for text in axes.texts] == ["0.990", "0.600"]
    faces = [container[0].get_markerfacecolor() for container in axes.containers]
    assert faces[0] != "white" and faces[1] == "white"  # hollow: not tested


def test_no_labels_overlap_in_the_picture_of_many_runs():
    points = [
        Point(f"set{s}", f"set{s}", size, 0.002 * (s + 1), 0.0, True, False, 0.01, 0.07, math.nan)
        for s in range(4)
        for size in (1024, 128, 32)
    ]
    dots = [
        Dot(f"set{s}", f"set{s}, drawers {s}", 0.9, 0.0, True, (0.6, 0.65), 0.5, s > 2)
        for s in range(8)
    ]
    figure = answer_figures.answer_figure(points, dots)
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


def test_same_runs_give_the_same_bytes(folders):
    def drawn():
        runs = read(folders, "images", "codes", "digits", "probes")
        return [
            figures.png(block.figure) if isinstance(block, Picture) else str(block)
            for block in answer_blocks(runs)
            if not isinstance(block, Table)
        ]

    assert drawn() == drawn()


def test_an_autoencoder_for_codes_has_a_row_only_until_its_codes_are_classified(folders):
    def tasks(runs):
        (table,) = [one for one in answer_blocks(runs) if isinstance(one, Table)]
        return {row["task"] for row in table.rows}

    alone = read(folders, "images", "codes")
    assert tasks(alone) == {"autoencoder", "autoencoder, by probe accuracy"}
    assert tasks([*alone, *read(folders, "probes")]) == {"autoencoder", "classifier of codes"}
