"""The report of a folder of runs as Markdown, its figures drawn but not written."""

from __future__ import annotations

from pathlib import Path

from analysis.page import document, markdown
from analysis.page.parts import parts
from analysis.report import read_study


def report_page(runs: Path) -> str:
    return markdown.render(document.place(parts(read_study(runs))))
