"""Searches of the user's own images: a folder in colour without labels, from end to end."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from analysis.report import main as report
from tests.search.session.test_command import command, refused

SIDE = 20


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A tiny search of a flat folder: its run folder, and what was printed."""
    home = tmp_path_factory.mktemp("own")
    (home / "photos").mkdir()
    for number in range(60):
        small = np.random.RandomState(number).randint(0, 256, (3, 3, 3)).astype(np.uint8)
        Image.fromarray(small).resize((SIDE, SIDE)).save(home / "photos" / f"{number}.png")
    (home / "photos" / "notes.txt").write_text("of a person")
    options = "--num-samples 2 --max-epochs 1 --final-seeds 1 --latent-sizes 8 --name own"
    done = command(
        *("--dataset", home / "photos", "--storage-path", home / "runs", "--data-dir", home),
        *options.split(),
    )
    assert done.returncode == 0, done.stderr
    return home / "runs" / "own", done.stdout


def test_a_search_of_own_images_ends_with_its_results(found):
    run, printed = found
    data = json.loads((run / "run.json").read_text())["data"]
    assert (data["side"], data["channels"], data["classes"]) == (SIDE, 3, 0)
    assert [data[part] for part in ("train", "validation", "test")] == [48, 6, 6]
    assert printed.count("no labels") == 1 and printed.count("notes.txt") == 1
    (winner,) = json.loads((run / "final.json").read_text())["winners"]
    assert 0 < winner["mean"]["test_mse"] < 0.2
    assert json.loads((run / "best/8/config.json").read_text())["model"]["image_channels"] == 3


def test_without_labels_there_is_no_column_of_probes(found):
    run, _ = found
    for table in ("trials.csv", "epochs.csv"):
        with open(run / table) as file:
            rows = list(csv.DictReader(file))
        assert rows and not any("probe" in name for name in rows[0])
    assert not any("probe" in key for key in json.loads((run / "final.json").read_text())["floors"])


def test_the_report_shows_colours_and_leaves_out_what_needs_labels(found, tmp_path):
    run, _ = found
    assert report(["--runs", str(run), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.md").read_text()
    assert "map of the codes" not in page.replace("no map of the codes", "")
    assert "nan" not in page.lower().split() and "better codes" not in page
    picture = Image.open(next(tmp_path.rglob("reconstructions-8.png"))).convert("RGB")
    assert (np.ptp(np.asarray(picture).astype(int), axis=2) > 30).mean() > 0.1


@pytest.mark.parametrize("module", ["search.classifiers", "search.latent_probes"])
def test_classifiers_need_labels(found, module, capsys, tmp_path):
    photos = found[0].parents[1] / "photos"
    options = ("--storage-path", tmp_path / "runs", "--data-dir", tmp_path)
    done = refused("--dataset", photos, *options, module=module, capsys=capsys)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "labels" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dataset", "mnits"),
        ("--dataset", "/nowhere/own.npz"),
        ("--dataset", "mnist5k", "--image-size", "200"),
        ("--dataset", "mnist5k", "--image-size", "8"),
        ("--dataset", __file__),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line(arguments, capsys, tmp_path):
    done = refused(*arguments, "--storage-path", tmp_path / "runs", capsys=capsys)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
