"""The report as one HTML page, as Markdown, CSV, LaTeX, PNG and SVG: all of them say the same."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis import report
from analysis.figures.drawing import encoding
from analysis.figures.drawing.encoding import Encoder, png
from analysis.page import document, html
from analysis.tables.writing.table import Column, Table
from tests.analysis.report_page import report_page
from tests.analysis.run_folders import write_autoencoders, write_classifiers

ROOT = Path(__file__).resolve().parents[3]
PARTS = (
    "The answer",
    "Explore",
    "The seed report reproduced",
    "The search",
    "What the autoencoder learned",
    "Probes and the autopsy",
    "Frechet classifier distance",
    "Provenance",
)


class Page(HTMLParser):
    """What a page refers to."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.images: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.tags.append(tag)
        for name, found in (("id", self.anchors), ("href", self.links), ("src", self.images)):
            found += [known[name]] if name in known else []


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_autoencoders(folder / "digits & <script>alert(1)</script>_a", trials=12)
    write_classifiers(folder / "classes", trials=4)
    return folder


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report")
    assert report.main(["--runs", str(runs), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def page(written) -> Page:
    return Page((written / "report.html").read_text())


def test_the_page_needs_nothing_beside_it(written, page):
    assert page.images and all(
        source.startswith("data:image/png;base64,") for source in page.images
    )
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not {*page.tags} & {"link", "iframe", "object"} and page.tags.count("script") == 2
    assert (written / "report.html").stat().st_size < 15e6


def test_every_link_inside_the_page_leads_somewhere(page):
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert len(inside) > len(PARTS) and set(inside) <= set(page.anchors)
    assert len(set(page.anchors)) == len(page.anchors)


def test_the_parts_come_in_the_order_in_which_a_reader_asks(written):
    titles = [f"{number}. {title}" for number, title in enumerate(PARTS, 1)]
    text = (written / "report.md").read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == titles
    headings = re.findall(r"<h2[^>]*>(.*)</h2>", (written / "report.html").read_text())
    assert headings == titles


def test_page_and_markdown_hold_the_same_tables_and_pictures(written, page):
    text = (written / "report.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    tables = page.tags.count("table")
    assert tables == text.count("[as CSV]") and page.tags.count("tr") == len(rows) - tables
    pictures = re.findall(r"!\[.*\]\((.*)\)", text)
    inside = [base64.b64decode(source.partition(",")[2]) for source in page.images]
    files = {name: content for name, content in _files(written).items() if name.endswith(".png")}
    assert len(pictures) == len(inside) and sorted(inside) == sorted(files.values())


def test_every_table_is_csv_and_latex_and_every_figure_png(written, page):
    stems = {ending: set() for ending in (".csv", ".tex", ".png")}
    for name in _files(written):
        stem, ending = os.path.splitext(name)
        if ending in stems:
            stems[ending].add(stem)
    assert stems[".csv"] and stems[".csv"] == stems[".tex"]
    assert stems[".png"] and not [*written.rglob("*.svg")]
    carried = [link for link in page.links if link.startswith("data:text/csv")]
    contents = {base64.b64decode(link.partition(",")[2]) for link in carried}
    assert contents == {c for name, c in _files(written).items() if name.endswith(".csv")}


def encoded(figures: dict[str, Figure], with_svg: bool = False) -> dict[str, bytes]:
    encoder = Encoder(with_svg)
    for path, figure in figures.items():
        encoder.add(path, figure)
    return encoder.files()


def test_every_figure_is_an_svg_too_if_it_is_asked_for():
    figures = {}
    for name in ("a/one", "a/two"):
        figures[name] = Figure()
        figures[name].subplots().plot([1, 2], label="<&>")
    files = encoded(figures, with_svg=True)
    assert set(files) == {"a/one.png", "a/one.svg", "a/two.png", "a/two.svg"}
    ElementTree.fromstring(files["a/one.svg"])
    assert b"<dc:date>" not in files["a/one.svg"]


def test_figures_are_the_same_whichever_process_encodes_them():
    def drawn(number: int) -> Figure:
        figure = Figure(layout="constrained")
        figure.subplots().plot(range(number))
        return figure

    figures = {str(number): drawn(number) for number in range(2, 8)}
    alone = {f"{number}.png": png(drawn(number)) for number in range(2, 8)}
    assert encoded(figures) == alone and [*encoded({})] == []


def test_a_figure_whose_process_dies_is_encoded_all_the_same(monkeypatch):
    def dies(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(encoding, "_encode_into", dies)
    monkeypatch.setattr(encoding, "usable_cores", lambda: 2)
    figures = {str(number): Figure() for number in range(7)}
    assert encoded(figures) == {f"{number}.png": png(Figure()) for number in range(7)}


def test_words_of_a_run_folder_are_no_markup(written, page):
    text = (written / "report.html").read_text()
    assert page.tags.count("script") == text.count("<script") == text.count("</script>") == 2
    assert "&lt;script&gt;alert(1)" in text


def test_latex_escapes_what_latex_would_take_for_its_own():
    frame = pd.DataFrame({"name": ["`a_b` & 50 % of **#1**"], "value": [0.5]})
    columns = (
        Column("run_name", lambda row: row["name"], numeric=False),
        Column("value ±", lambda row: f"{row['value']:.1f}"),
    )
    text = document.latex(Table("t", frame, columns))
    assert r"a\_b \& 50 \% of \#1 & 0.5 \\" in text and r"run\_name & value ± \\" in text
    assert r"\begin{tabular}{lr}" in text


def test_a_long_table_says_how_many_rows_it_leaves_out():
    frame = pd.DataFrame({"value": range(100)})
    table = Table("t", frame, (Column("value", lambda row: str(row["value"])),), printed=7)
    markdown, files = document.written([("Part", [("folder", table)])])
    for text in (markdown, html.render(markdown, files)):
        assert "The first 7 of 100 rows" in text
    assert files["folder/t.csv"].count(b"\n") == 101


def test_compare_sets_runs_of_one_question_side_by_side(tmp_path):
    for name, start in {"first": "2026-03-01T10:00:00", "second": "2026-03-02T10:00:00"}.items():
        write_autoencoders(tmp_path / name, trials=7, start=start, pictures=False)
    write_classifiers(tmp_path / "no-other", trials=4)
    compared = report_page(tmp_path, compare=True).partition("## 9. Runs compared")[2]
    assert "first" in compared and "second" in compared and "no-other" not in compared
    assert "9. Runs compared" not in report_page(tmp_path)


def test_two_tables_of_one_name_are_two_files():
    tables = [
        Table("t", pd.DataFrame({"a": [n]}), (Column("a", lambda row: str(row["a"])),))
        for n in (1, 2)
    ]
    _, files = document.written([(str(n), [("f", table)]) for n, table in enumerate(tables)])
    contents = {name: content for name, content in files.items() if name.endswith("csv")}
    assert contents == {"f/t.csv": b"a\n1\n", "f/t-2.csv": b"a\n2\n"}


def test_same_folders_give_the_same_bytes_in_another_process(runs, written, tmp_path):
    """Under another hash seed, which orders sets otherwise."""
    command = [sys.executable, "-m", "analysis.report", "--runs", runs, "--out", tmp_path]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"}, check=True, stdout=-3
    )
    assert _files(tmp_path) == _files(written)


def test_a_report_leaves_the_run_folders_alone(runs, written, tmp_path):
    before = _files(shutil.copytree(runs, tmp_path / "runs"))
    report_page(tmp_path / "runs")
    assert _files(tmp_path / "runs") == before


def test_what_was_not_run_says_which_command_runs_it(tmp_path):
    write_autoencoders(tmp_path / "runs/only", trials=7, pictures=False)
    text = report_page(tmp_path / "runs")
    for command in ("search.classifiers --dataset omniglot", "search.latent_probes"):
        assert f"```\npython -m {command}\n```" in text
    assert "```\npython -m probes.autopsy\n```" in text
    assert "```\npython -m search.autoencoders --num-samples 50\n```" not in text
