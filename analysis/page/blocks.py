"""What a section of the report is made of."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.read.runs import Skipped
from analysis.tables.writing.table import Table

COMMANDS = {
    "autoencoders": "Autoencoders",
    "classifiers": "Classifiers",
    "latent_probes": "Classifiers of codes",
}
"""The heading of each command that a run folder may come from, in the report's order."""


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its file and a sentence that says what it shows."""

    name: str
    figure: Figure
    caption: str


Block = str | Table | Picture | Skipped
"""Markdown, a table, a picture, or something that had to be left out."""
