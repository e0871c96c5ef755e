"""The report's section of `search.latent_probes`, on made-up run folders."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from analysis.figures import latent_probes as latent_probe_figures
from analysis.figures import style as figures
from analysis.page.sections import few_shot, latent_probes, probe_perceptrons
from analysis.page.sections.probe_perceptrons import perceptrons_blocks
from analysis.read.runs import STATES, preset_results, read_run
from probes.codes.published import PUBLISHED, SETTINGS
from tests.analysis.report_page import report_page
from tests.analysis.test_analysis import PAGES, _change, _files, _info, _report, _write_csv

SIZES = (1024, 128, 32)
REACHED = {
    "nearest-mean": 0.55,
    "knn": 0.58,
    "lda": 0.61,
    "logistic": 0.63,
    "mlp": 0.66,
    "random-forest": 0.42,
    "extra-trees": 0.48,
    "catboost": 0.64,
}
STAGED = ("mlp", "random-forest", "extra-trees", "catboost")
OF_SIZE = {1024: -0.01, 128: 0.02, 32: 0.0}
BLOCKS = {f"mlp-{blocks}-blocks": blocks for blocks in range(1, 7)}
SWEEP = {"mlp-2-blocks": 0.0, **{f"mlp-l2-{l2:g}": l2 for l2 in (1e-5, 1e-4, 1e-3, 1e-2)}}
TOO_LARGE = (
    "probes.limits.ProbeTooLarge: random-forest on 13,496 rows of 1024 features and 964 classes "
    "needs about 5.1 GB of memory, and a trial may use 4.0: fewer views"
)
EPOCHS = 27


def write_probes(
    folder: Path,
    sizes: tuple[int, ...] = SIZES,
    probes: tuple[str, ...] = tuple(REACHED),
    state: str = "finished",
    data: str = "omniglot",
    pairs: int = 4,
) -> Path:
    """A made-up run folder of `search.latent_probes`: each probe at its default, and the report's
    perceptrons. Catboost is stopped for its time, a forest refused for its memory."""
    draws = np.random.default_rng(0)
    folder.mkdir(parents=True)
    rows = [_trial(number, *what) for number, what in enumerate(_what(sizes, probes))]
    curves = {row["id"]: _curve(row, draws) for row in rows}
    _write_csv(folder / "trials.csv", rows)
    records = [
        {"id": row["id"], "number": row["number"], **one}
        for row in rows
        for one in curves[row["id"]]
    ]
    _write_csv(folder / "epochs.csv", records)
    counts = {name: sum(row["state"] == name for row in rows) for name in STATES}
    start = "2026-03-01T10:00:00+00:00"
    info = _info(folder.name, len(rows), EPOCHS, state, data, start, counts, "")
    info |= {"command": "latent_probes", "metric": "validation_accuracy", "mode": "max"}
    info |= {"group": "model", "groups": [f"{probe}-{size}" for size in sizes for probe in probes]}
    info |= {"latent_sizes": [*sizes], "probes": [*probes]}
    info["data"] |= {"split": "drawers", "centred": True, "classes": 964}
    (folder / "run.json").write_text(json.dumps(info))
    if state == "finished":
        final = _final(rows, sizes, pairs, draws)
        (folder / "final.json").write_text(json.dumps(final))
        for winner in final["winners"]:
            place = folder / "best" / winner["model"]
            place.mkdir(parents=True)
            names = ("mistaken", "class", "taken_for")
            images = {
                name: draws.integers(0, 256, (pairs, 28, 28)).astype(np.uint8) for name in names
            }
            np.savez_compressed(place / "confusions.npz", **images)
    return folder


def _what(sizes: tuple[int, ...], probes: tuple[str, ...]) -> list[tuple[str, str, int, dict]]:
    """Name, probe, code size and parameters of each trial."""
    main = 128 if 128 in sizes else sizes[0]
    found = [(f"{probe}-default-{size}", probe, size, {}) for size in sizes for probe in probes]
    if "mlp" in probes:
        found += [(name, "mlp", main, {"blocks": blocks}) for name, blocks in BLOCKS.items()]
        found += [(name, "mlp", main, {"l2": l2}) for name, l2 in SWEEP.items() if l2]
        found.append(("report-two-stage", "mlp", main, {"l2": 1e-4, "l2_later": 5e-5}))
    return found


def _trial(number: int, preset: str, probe: str, size: int, parameters: dict) -> dict:
    slow, large = probe == "catboost", probe == "random-forest" and size == 1024
    default = preset.startswith(f"{probe}-default")
    reached = REACHED[probe] + OF_SIZE[size] - (0 if default else 0.1 + _harm(parameters))
    train = 0.9 - (0 if default else _harm(parameters))
    return {
        "id": f"trial_{number:05d}",
        "number": number,
        "state": "error" if large else "pruned" if slow else "complete",
        "preset": preset,
        "model": f"{probe}-{size}",
        "probe": probe,
        "latent_size": size,
        "views": 3 if default else 1,
        "scaling": default,
        "pca": 256,
        "lda": 0 if probe == "mlp" else 48,
        "shrinkage": 0.05,
        "neighbours": 10 if probe == "knn" else "",
        "blocks": parameters.get("blocks", 2) if probe == "mlp" else "",
        "input_norm": default if probe == "mlp" else "",
        "l2": parameters.get("l2", 0.0) if probe == "mlp" else "",
        "l2_kind": "coupled" if probe == "mlp" else "",
        "l2_later": parameters.get("l2_later", ""),
        "epochs": 0 if large else 3 if slow else EPOCHS,
        "failures": int(large),
        **{
            f"{end}_{name}": math.nan if large else value
            for end in ("best", "last")
            for name, value in {
                "train_loss": 1 - train,
                "train_accuracy": train,
                "validation_accuracy": reached,
            }.items()
        },
        "reason": TOO_LARGE if large else "it took 41 s of the 40 that a trial may take" * slow,
        "seconds": 12.5,
    }


def _harm(parameters: dict) -> float:
    return 2 * parameters.get("l2", 0) ** 0.5 + 0.01 * parameters.get("blocks", 2)


def _curve(row: dict, draws: np.random.Generator) -> list[dict]:
    """Probes without stages have one record, at the last epoch."""
    first = 1 if row["probe"] in STAGED else row["epochs"]
    return [
        {
            "epoch": epoch,
            "train_loss": (0.2 + 6 / epoch**1.5) * math.exp(0.03 * draws.normal()) + row["l2"] * 9
            if row["probe"] == "mlp"
            else 0.1,
            "train_accuracy": row["best_train_accuracy"] * (1 - 0.5 / epoch),
            "validation_accuracy": row["best_validation_accuracy"] * (1 - 0.5 / epoch),
        }
        for epoch in range(first, row["epochs"] + 1)
    ]


def _final(
    rows: list[dict], sizes: tuple[int, ...], pairs: int, draws: np.random.Generator
) -> dict:
    known = [row for row in rows if "-default-" in row["preset"] and row["state"] != "error"]
    names = ("views", "scaling", "pca", "lda", "shrinkage", "neighbours", "blocks", "input_norm")
    floors = {"most_frequent": 0.001, "nearest_mean": 0.31, "1-nn": 0.4344}
    return {
        "metric": "validation_accuracy",
        "seeds": [1, 2, 3],
        "refit_on": "train+validation",
        "floors": {name: {"test_accuracy": value} for name, value in floors.items()},
        "winners": [_winner(row, names, pairs, draws) for row in known],
        "presets": [
            {
                "preset": row["preset"],
                "trial": row["id"],
                "model": row["model"],
                "epochs": row["epochs"],
                "parameters": {},
                "train_loss": row["best_train_loss"],
                "train_accuracy": row["best_train_accuracy"],
                "validation_accuracy": row["best_validation_accuracy"],
                "test_accuracy": row["best_validation_accuracy"] - 0.02,
            }
            for row in rows
            if row["state"] == "complete"
        ],
        "autoencoders": {
            str(size): {
                "source": "ae-run",
                "preset": "sampled",
                "trial": "trial_00011",
                "epoch": 40,
                "validation_mse": 0.004 + size / 1e6,
                "probe_accuracy": 0.41,
                "parameters": {"latent_size": size, "depth": 6, "width": 32, "noise": "none"},
                "sha256": "cd" * 32,
            }
            for size in sizes
        },
        "few_shot": [
            {
                "code": code,
                "ways": ways,
                "shots": shots,
                "queries": 15,
                "episodes": 1000,
                "accuracy": round(base - ways / 100 + shots / 50, 4),
                "low": round(base - ways / 100 + shots / 50 - 0.006, 4),
                "high": round(base - ways / 100 + shots / 50 + 0.006, 4),
            }
            for code, base in {"pixels": 0.71, **{str(s): 0.8 + OF_SIZE[s] for s in sizes}}.items()
            for ways, shots in SETTINGS
        ],
    }


def _winner(row: dict, names: tuple[str, ...], pairs: int, draws: np.random.Generator) -> dict:
    test = row["best_validation_accuracy"] - 0.03
    runs = [
        {"seed": seed, "train_accuracy": 0.9, "test_accuracy": test + 0.004 * draws.normal()}
        for seed in (1, 2, 3)
    ]
    keys = ("train_accuracy", "test_accuracy")
    mean = {key: float(np.mean([run[key] for run in runs])) for key in keys}
    return {
        **{
            name: row[name]
            for name in ("model", "probe", "latent_size", "preset", "state", "epochs")
        },
        "trial": row["id"],
        "parameters": {name: row[name] for name in (*names, "latent_size") if row[name] != ""},
        "searched": {"validation_accuracy": row["best_validation_accuracy"]},
        "runs": runs,
        "mean": mean,
        "std": {key: float(np.std([run[key] for run in runs], ddof=1)) for key in keys},
        "test_accuracy_interval": [mean["test_accuracy"] - 0.013, mean["test_accuracy"] + 0.012],
        "accuracy_by": {f"Alphabet_{place}": 0.5 + place / 100 for place in range(30)},
        "confused": [
            {"class": f"Greek/character{place:02d}", "taken_for": "Latin/character01"}
            | {"times": 9 - place, "of": 12}
            for place in range(pairs)
        ],
    }


def _words(folder: Path) -> str:
    """The section as Markdown, its figures drawn but not written."""
    run = read_run(folder)
    section = (
        *perceptrons_blocks(run),
        *latent_probes.limit_blocks(run),
        *latent_probes.latent_probe_blocks(run),
    )
    return "\n".join(_block(block) for block in section)


def _block(block) -> str:
    if isinstance(block, str):
        return block
    return block.markdown() if hasattr(block, "markdown") else getattr(block, "words", "")


def _cells(table, first: str) -> list[str]:
    """The cells of the Markdown row that begins with `first`."""
    lines = [line.strip("| ").split(" | ") for line in table.markdown().splitlines()]
    return next(cells for cells in lines if cells[0] == first)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    return write_probes(tmp_path_factory.mktemp("runs") / "probes-run")


@pytest.fixture(scope="module")
def run(good):
    return read_run(good)


@pytest.fixture(scope="module")
def reported(good, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report")
    _report(good.parent, out)
    return out


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Two probes on one code, interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "cut"
    return write_probes(folder, (32,), ("mlp", "knn"), state="interrupted")


def test_report_links_to_every_file_it_writes(reported):
    page = (reported / "report.md").read_text()
    written = set(_files(reported)) - PAGES
    tables = ("autoencoders", "probes", "configurations", "perceptrons", "few-shot", "accuracy")
    tables += ("confused", "probe-states", "stops", "states")
    pictures = ("probes", "curves-blocks", "curves-l2", "l2", "accuracy-by-alphabet", "confusions")
    assert written >= {f"probes-run/{name}.csv" for name in tables} | {
        f"probes-run/{name}.png" for name in pictures
    }
    assert all(f"]({name})" in page for name in written)


def test_same_folders_give_the_same_bytes(good, reported, tmp_path):
    _report(good.parent, tmp_path)
    assert _files(tmp_path) == _files(reported)


def test_probes_are_in_their_order_with_a_column_per_code_size(good, run):
    table = latent_probes.probes(run)
    lines = [line.strip("| ").split(" | ") for line in table.markdown().splitlines()]
    assert lines[0] == ["probe", "code 1024", "code 128", "code 32", "seed report"] + [
        "the same on pixels"
    ]
    assert [cells[0] for cells in lines[2:]] == list(latent_probes.PROBES) == list(REACHED)
    winners = json.loads((good / "final.json").read_text())["winners"]
    for winner in winners:
        mean, std = (winner[part]["test_accuracy"] for part in ("mean", "std"))
        shown = _cells(table, winner["probe"])[1 + SIZES.index(winner["latent_size"])]
        assert shown.strip("*") == f"{mean:.4f} ± {std:.4f}"
    assert _cells(table, "random-forest")[1] == "-"  # refused for its memory


def test_the_seed_report_and_the_pixels_stand_beside_the_probes_they_are_of(run):
    table = latent_probes.probes(run)
    beside = {probe: _cells(table, probe)[-2:] for probe in REACHED}
    assert beside["mlp"] == ["0.45", "-"]
    assert beside["nearest-mean"] == ["-", "0.3100"] and beside["knn"] == ["-", "0.4344"]
    assert beside["catboost"] == beside["random-forest"] == ["no usable accuracy", "-"]


def test_csv_of_probes_has_a_row_per_probe_and_size(good, reported):
    with (reported / "probes-run/probes.csv").open() as stream:
        rows = {(row["probe"], int(row["latent_size"])): row for row in csv.DictReader(stream)}
    assert set(rows) == {(probe, size) for probe in REACHED for size in SIZES}
    for winner in json.loads((good / "final.json").read_text())["winners"]:
        row = rows[winner["probe"], winner["latent_size"]]
        ends = [float(row["test_low"]), float(row["test_high"])]
        assert ends == pytest.approx(winner["test_accuracy_interval"], rel=1e-6)
        assert float(row["test_accuracy"]) == pytest.approx(winner["mean"]["test_accuracy"])
        searched = winner["searched"]["validation_accuracy"]
        assert float(row["validation_accuracy"]) == pytest.approx(searched)
        assert (row["seeds"], row["search_seconds"]) == ("3", "12.5")
        assert json.loads(row["parameters"]) == winner["parameters"]
    assert rows["random-forest", 1024]["test_accuracy"] == ""


def test_the_best_is_chosen_on_validation_though_another_tests_higher(tmp_path):
    folder = write_probes(tmp_path / "run", (32,), ("mlp", "knn"))
    page = _words(folder)
    assert "**mlp at code 32**, validation accuracy 0.6600" in page and "is higher" not in page

    def raise_knn(final):
        knn = next(winner for winner in final["winners"] if winner["probe"] == "knn")
        knn["mean"]["test_accuracy"] = 0.9

    _change(folder, raise_knn)
    page = _words(folder)
    assert "**mlp at code 32**" in page
    assert "On the test split knn at code 32 is higher, 0.9000" in page
    assert _cells(latent_probes.probes(read_run(folder)), "mlp")[1].startswith("**")


def test_the_best_is_named_with_its_interval_and_configuration(good, run):
    winners = json.loads((good / "final.json").read_text())["winners"]
    best = next(winner for winner in winners if winner["model"] == "mlp-128")
    low, high = best["test_accuracy_interval"]
    sentence = latent_probes.best_sentence(run, {"mlp-128": _result(run, "mlp-128")})
    assert f"{best['mean']['test_accuracy']:.4f} ±" in sentence and "(3 seeds)" in sentence
    assert f"95 % interval [{low:.4f}, {high:.4f}] (characters resampled)" in sentence
    assert "`mlp-default-128`: views 3, units scaled, PCA 128, blocks 2" in sentence


def _result(run, group):
    return next(winner for winner in run.final.winners if winner.group == group)


def test_an_odd_interval_is_no_interval(tmp_path):
    folder = write_probes(tmp_path / "run", (32,), ("mlp", "knn", "lda"))

    def spoil(final):
        for winner, interval in zip(final["winners"], (None, [0.1], ["a", "b"]), strict=True):
            winner["test_accuracy_interval"] = interval

    _change(folder, spoil)
    frame = latent_probes.probes(read_run(folder)).frame
    assert frame[["test_low", "test_high"]].isna().all(axis=None)
    assert "95 % interval [" not in _words(folder)


def test_winners_short_of_the_budget_are_noted_with_the_reason(good):
    page = _words(good)
    assert (
        "catboost at code 32 (it took 41 s of the 40 that a trial may take): the chosen trial "
        "trial\\_00023 was not trained to the full budget in the search (state pruned, 3 of 27"
    ) in page
    assert "random-forest at code 1024 (random-forest on 13,496 rows" in page
    assert page.count("was not trained to the full budget") == 3


def test_trials_are_counted_by_probe_state_and_limit(run):
    table = latent_probes.probe_states(run)
    rows = {row["probe"]: row for row in table.rows}
    assert list(rows) == list(REACHED)
    assert (rows["mlp"]["trials"], rows["mlp"]["complete"]) == (14, 14)
    assert (rows["catboost"]["pruned"], rows["catboost"]["for_time"]) == (3, 3)
    forest = rows["random-forest"]
    assert [forest[key] for key in ("complete", "error", "for_memory", "for_time")] == [2, 1, 1, 0]
    reasons = {row["trial"]: row["reason"] for row in latent_probes.stops(run).rows}
    assert len(reasons) == 4 and reasons["trial_00005"].startswith("random-forest on 13,496 rows")


def test_a_trial_that_others_beat_is_not_counted_as_stopped_by_a_limit(tmp_path):
    folder = write_probes(tmp_path / "run", (32,), ("catboost",))
    text = (folder / "trials.csv").read_text()
    beaten = text.replace(
        "it took 41 s of the 40 that a trial may take", "others did better at the same epoch"
    )
    assert beaten != text
    (folder / "trials.csv").write_text(beaten)
    run = read_run(folder)
    assert latent_probes.stops(run).frame.empty
    assert [row["pruned"] for row in latent_probes.probe_states(run).rows] == [1]
    assert "No trial was stopped by a limit or an error." in _words(folder)


def test_autoencoders_are_told_with_their_origin(run):
    table = latent_probes.autoencoders(run)
    assert _cells(table, "128")[1:4] == ["ae-run", "40", "0.00413"]
    assert _cells(table, "128")[-1] == "sampled: depth 6, width 32"
    assert [row["latent_size"] for row in table.rows] == list(SIZES)


def test_perceptrons_are_those_of_the_presets(good, run):
    rows = {row["model"]: row for row in probe_perceptrons.perceptrons(run).rows}
    assert list(rows) == [*BLOCKS, *list(SWEEP)[1:], "report-two-stage"]
    final = json.loads((good / "final.json").read_text())
    for preset in final["presets"]:
        if preset["preset"] in rows:
            for metric in ("train_loss", "train_accuracy", "test_accuracy"):
                assert rows[preset["preset"]][metric] == preset[metric]
    trials = run.trials.set_index("preset")
    for name, row in rows.items():
        assert (row["blocks"], row["l2"]) == tuple(trials.loc[name, ["blocks", "l2"]])
    assert (
        _cells(probe_perceptrons.perceptrons(run), "`report-two-stage`")[2] == "0.0001, then 5e-05"
    )


@pytest.mark.parametrize(
    "test, train, told",
    [
        (
            [0.54, 0.53, 0.52, 0.5, 0.3],
            [0.9, 0.9, 0.8, 0.8, 0.7],
            [
                "test accuracy falls at every step, as the report saw (-24.00 points from L2 0 to "
                "0.01; highest at 0)",
                "Training accuracy falls, if not at every step (-20.00 points), so strong L2 "
                "under-fits.",
            ],
        ),
        (
            [0.5, 0.55, 0.56, 0.5, 0.4],
            [0.8, 0.8, 0.8, 0.8, 0.8],
            [
                "falls, if not at every step, as the report saw",
                "highest at 0.0001",
                "not the reason",
            ],
        ),
        (
            [0.5, 0.51, 0.52, 0.53, 0.54],
            [0.9, 0.8, 0.7, 0.6, 0.5],
            [
                "test accuracy does not fall (+4.00 points",
                "falls at every step (-40.00",
                "costs nothing",
            ],
        ),
        ([0.5] * 5, [0.5] * 5, ["test accuracy does not fall", "nothing is under-fitted"]),
    ],
)
def test_what_l2_does_is_computed(tmp_path, test, train, told):
    folder = write_probes(tmp_path / "run", (32,), ("mlp",))

    def reach(final):
        known = {preset["preset"]: preset for preset in final["presets"]}
        for name, tested, trained in zip(SWEEP, test, train, strict=True):
            known[name].update(test_accuracy=tested, train_accuracy=trained)

    _change(folder, reach)
    sentence = probe_perceptrons.l2_sentence(read_run(folder))
    assert all(words in sentence for words in told)


def test_few_shot_stands_beside_what_was_published(good, run):
    table = few_shot.few_shot(run)
    entries = json.loads((good / "final.json").read_text())["few_shot"]
    names = {"pixels": "pixels", **{str(size): f"code {size}" for size in SIZES}}
    for entry in entries:
        column = 1 + SETTINGS.index((entry["ways"], entry["shots"]))
        shown = _cells(table, names[entry["code"]])[column]
        assert shown == f"{entry['accuracy']:.4f} ± 0.0060"
    first = [line.strip("| ").split(" | ")[0] for line in table.markdown().splitlines()[2:]]
    assert first[:4] == ["code 1024", "code 128", "code 32", "pixels"]
    for published, name in zip(PUBLISHED, first[4:], strict=True):
        assert name == f"{published.method} ({published.source})"
        assert _cells(table, name)[1:] == [f"{value:g}" for value in published.accuracy.values()]
    assert "mean over 1,000 episodes with 15 queries of each class" in _words(good)


def test_without_few_shot_figures_nothing_published_is_shown(tmp_path):
    folder = write_probes(tmp_path / "run", (32,), ("knn",))
    _change(folder, lambda final: final.update(few_shot=[]))
    page = _words(folder)
    assert "Not measured: these data hold no characters" in page and "CACTUs" not in page


def test_numbers_of_other_data_are_said_not_to_compare(tmp_path):
    page = _words(write_probes(tmp_path / "run", (32,), ("knn",), data="glyphs"))
    assert "**Its numbers are of Omniglot and ours of glyphs: they do not compare.**" in page
    assert "Accuracy per class of the best: knn at code 32" in page


def test_accuracy_and_confusions_are_those_of_the_best_alone(tmp_path):
    folder = write_probes(tmp_path / "run", (32,), ("mlp", "knn"))

    def mark(final):
        for winner in final["winners"]:
            winner["accuracy_by"] = {f"Of-{winner['probe']}": 0.5}

    _change(folder, mark)
    page = _words(folder)
    assert "Of-mlp" in page and "Of-knn" not in page and "Greek/character00" in page


def test_interrupted_run_is_reported_with_holes(small):
    page = report_page(small.parent)
    assert "not finished (it is interrupted)" in page
    assert "python -m search.latent_probes --name cut --resume" in page
    assert "**mlp at code 32**, validation accuracy 0.6600, no test figure yet" in page
    assert "| mlp | - | 0.45 | - |" in page and "| mlp | 32 | 0.6600 |" in page
    assert "probes.png is left out" in page and "l2.png is left out" in page
    assert "0 of 5 perceptrons of the sweep have a test figure yet" in page
    assert "](cut/curves-blocks.png)" in page  # needs no test figure


def test_parameters_of_other_probes_are_no_words_of_a_configuration(small):
    """Columns that only some probes fill still hold truth values."""
    table = latent_probes.configurations(read_run(small))
    knn, mlp = (_cells(table, probe)[-1] for probe in ("knn", "mlp"))
    assert (
        knn
        == "`knn-default-32`: views 3, units scaled, PCA 32, LDA 32, shrinkage 0.05, neighbours 10"
    )
    assert mlp == "`mlp-default-32`: views 3, units scaled, PCA 32, blocks 2, norm of the input"
    for result in preset_results(read_run(small)):
        assert "reason" not in result.parameters


@pytest.mark.parametrize(
    "final",
    [
        "{}",
        '{"winners": [{"model": "lda-32"}], "few_shot": [3, {}, {"code": null}], "presets": [{}], '
        '"autoencoders": [1], "floors": null}',
        '{"winners": [{"model": "odd", "runs": [{"seed": 1}], "mean": {"test_accuracy": NaN}}], '
        '"few_shot": {"a": 1}, "autoencoders": {"x": {"epoch": "y"}, "32": 7}}',
    ],
)
def test_run_with_holes_is_reported(small, tmp_path, final):
    """Only the columns and keys that a run cannot do without, and oddities."""
    info = json.loads((small / "run.json").read_text())
    folder = tmp_path / "holes"
    folder.mkdir()
    bare = {key: info[key] for key in ("command", "start", "state", "group")}
    (folder / "run.json").write_text(json.dumps({**bare, "data": {"name": "omniglot"}}))
    (folder / "trials.csv").write_text(
        "id,state,model\ntrial_00000,running,knn-32\ntrial_1,error,\n"
    )
    (folder / "epochs.csv").write_text("id,epoch\n")
    (folder / "final.json").write_text(final)
    page = _words(folder)
    assert "No probe has been measured yet." in page and "| knn | - |" in page


def test_run_without_any_trial_is_reported(tmp_path):
    folder = write_probes(tmp_path / "runs/young", (32,), ("mlp", "knn"), state="running")
    for name in ("trials.csv", "epochs.csv"):
        (folder / name).write_text("")
    page = report_page(tmp_path / "runs")
    assert "mlp at code 32: no trial has been measured yet." in page


def _row(probe: str, size: int, value: float, half: float = 0.01) -> dict:
    ends = {"test_low": value - half, "test_high": value + half}
    return {"probe": probe, "latent_size": size, "test_accuracy": value, **ends}


def test_picture_of_probes_shows_dots_intervals_and_levels():
    rows = [_row("knn", 128, 0.5), _row("knn", 32, 0.6), _row("mlp", 128, 0.7, math.nan)]
    levels = [
        figures.Level("report", 0.45, figures.DASHED),
        figures.Level("pixels", 0.43, figures.DOTTED),
    ]
    axes = latent_probe_figures.accuracies(rows, (128, 32), levels).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["knn", "mlp"]
    of_128, of_32 = axes.containers
    assert list(of_128[0].get_xdata()) == [0.5, 0.7] and list(of_32[0].get_xdata()) == [0.6]
    ends = [segment[:, 0] for segment in of_128[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.49, 0.51], [0.7, 0.7]])
    dashed, dotted = axes.lines[:2]
    assert (dashed.get_xdata()[0], dashed.get_linestyle()) == (0.45, "--")
    assert (dotted.get_xdata()[0], dotted.get_linestyle()) == (0.43, ":")
    assert [text.get_text() for text in axes.texts] == ["0.700", "0.600"]  # best of each probe
    knn, mlp = of_128[0].get_ydata()
    assert knn < of_32[0].get_ydata()[0] < mlp  # larger codes above, rows apart
    assert latent_probe_figures.accuracies([], (128,), levels) is None


def test_picture_of_l2_has_a_place_for_none(run):
    rows = [
        {"l2": l2, "train_accuracy": 0.9 - l2, "test_accuracy": 0.5 - l2} for l2 in (0.0, 1e-3, 0.1)
    ]
    axes = latent_probe_figures.against_l2(rows).axes[0]
    train, test = axes.lines
    assert list(train.get_xdata()) == list(test.get_xdata()) == [0, 1, 2]
    assert list(test.get_ydata()) == [0.5, 0.499, 0.4]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.001", "0.1"]
    assert latent_probe_figures.against_l2([]) is None
