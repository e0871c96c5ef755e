"""README and the committed report say what the run folders of docs/study say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.measure.best import bests
from analysis.read.runs import find_runs, newest
from analysis.tables.best import answer_table
from analysis.tables.writing.formats import mse, short
from tests.analysis.report_page import report_page

ROOT = Path(__file__).resolve().parents[3]
RUNS = ROOT / "docs/study/runs"
README = (ROOT / "README.md").read_text()


def test_every_run_folder_of_the_study_can_be_read():
    runs, skipped = find_runs(RUNS)
    assert len(runs) >= 3 and [entry.name for entry in skipped] == ["autopsy"]


@pytest.mark.parametrize("data, name", [("mnist", "MNIST"), ("omniglot", "Omniglot")])
def test_the_table_on_the_first_screen_is_of_the_study(data, name):
    runs, _ = find_runs(RUNS)
    wanted = (data, "validation_mse")
    (run,) = [one for one in newest(runs)[0] if (one.data["name"], one.metric) == wanted]
    rows = answer_table(bests(run)).rows
    assert [row["latent_size"] for row in rows] == [1024, 128, 32]
    for row in rows:
        assert row["seeds"] == 3 and row["metric"] == "mse"
        begin = f"| {name} | {row['latent_size']} | {mse(row['test'])} ± {mse(row['test_std'])} | "
        (line,) = [line for line in README.splitlines() if line.startswith(begin)]
        assert f"| {mse(row['mean_image_test_mse'])} |" in line
        if row["latent_size"] < 784:
            assert f"| {mse(row['pca_test_mse'])} | {short(row['test_over_pca'])} |" in line


def test_the_committed_report_is_the_one_that_the_command_writes():
    """The golden page: `python -m analysis.report --runs docs/study/runs --out docs/study/report`
    makes it anew."""
    assert report_page(RUNS) == (ROOT / "docs/study/report/report.md").read_text()


def test_the_committed_report_has_no_file_that_its_page_does_not_show():
    folder = ROOT / "docs/study/report"
    page = (folder / "report.md").read_text()
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    shown = re.findall(r"\]\(([^)#:]+)\)", page)
    assert set(files) - set(shown) == {"report.md", "report.html"}


def test_readme_links_to_nothing_that_is_missing():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 8
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_study_names_no_folder_of_the_machine_it_ran_on():
    files = [path for path in RUNS.rglob("*") if path.suffix in (".json", ".csv", ".log")]
    assert len(files) > 10
    absolute = re.compile(r'"/(?:tmp|home|root|work|Users)/')
    assert not [path for path in files if absolute.search(path.read_text())]
