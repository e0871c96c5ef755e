"""The report of a folder of runs as Markdown; its figures are drawn, their files are not."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from analysis.page import document
from analysis.page.parts import parts
from analysis.report import read_study


def report_page(runs: Path, compare: bool = False) -> str:
    with mock.patch.object(document, "Encoder", mock.MagicMock()):
        return document.written(parts(read_study(runs, compare)))[0]
