"""Templates: how the sentences of a section, with its tables and pictures, become blocks.

`analysis/page/__init__.py` says how a section is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextvars import ContextVar
from inspect import isfunction
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from analysis.page.blocks import COMMANDS, Block, Picture
from analysis.read.commands import repeat_command, resume_command, resumed
from analysis.read.runs import Skipped
from analysis.read.values import number, text
from analysis.tables.best import run_words
from analysis.tables.writing import formats
from analysis.tables.writing.configurations import parameter_words
from analysis.tables.writing.groups import group_name
from analysis.tables.writing.table import Table

TEMPLATES = Path(__file__).parent / "templates"

_MARK = "\x00"  # around the number of a table or picture; no text file holds it
_HEADING = re.compile(r"^#+ .*$", re.MULTILINE)
_TAG = re.compile(r"\{[%#].*?[%#]\}")
_NOTHING = "\x01"  # an empty value, whose line must not look like a blank one
_ATTACHED = tuple(",.;:)")  # no space before a line that begins with one of these
_placed: ContextVar[list[Block]] = ContextVar("placed")


def render(template: str, **context: Any) -> Iterator[Block]:
    """The blocks of a template: headings and paragraphs, tables and pictures, as they come.

    Lines of a paragraph are joined, so a template's line breaks are free.
    """
    placed: list[Block] = []
    token = _placed.set(placed)
    try:
        rendered = _environment.get_template(template).render(context)
    finally:
        _placed.reset(token)
    for paragraph in paragraphs(rendered):
        for index, words in enumerate(paragraph.split(_MARK)):
            if index % 2:
                yield placed[int(words)]
            elif words.strip():
                yield words.strip()


def paragraphs(text: str) -> Iterator[str]:
    """Markdown with each paragraph, list and fenced command as one string; a paragraph and an entry
    of a list are one line each.

    >>> list(paragraphs("One\\nline\\n, joined.\\n\\n- a\\n  b\\n\\n- c\\n\\n\\n```\\nx\\n```"))
    ['One line, joined.', '- a b\\n- c', '```\\nx\\n```']
    """
    entries: list[str] = []
    for part in re.split(r"\n\s*\n", _HEADING.sub(r"\n\g<0>\n", text).strip()):
        if part.lstrip().startswith("```"):
            words = [part.strip()]
        else:
            words = _joined(part)
        if words and all(line.startswith("- ") for line in words):
            entries += words
            continue
        if entries:
            yield "\n".join(entries)
            entries = []
        yield from ["\n".join(words)] * bool(words)
    if entries:
        yield "\n".join(entries)


def _joined(part: str) -> list[str]:
    """Headings, entries of a list and other lines, each whole; empty entries are dropped."""
    lines: list[str] = []
    for line in (" ".join(line.split()) for line in part.replace(_NOTHING, "").splitlines()):
        if line and (not lines or line == "-" or line.startswith("- ")):
            lines.append(line)
        elif line:
            lines[-1] += line if line.startswith(_ATTACHED) else f" {line}"
    return [line for line in lines if line != "-"]


def _mark(value: Any) -> Any:
    """A mark where a table or picture goes; anything else as it is, but for line breaks at the ends
    of words, which macros leave."""
    if isinstance(value, str):
        return value if _MARK in value else value.strip("\n") or _NOTHING
    if not isinstance(value, (Table, Picture, Skipped)):
        return value
    placed = _placed.get()
    placed.append(value)
    return f"\n\n{_MARK}{len(placed) - 1}{_MARK}\n\n"


def figure(drawn: Figure | Skipped | None, name: str, caption: str) -> Picture | Skipped:
    """A drawn figure as a picture, named like its file; a note where there is nothing to draw."""
    if isinstance(drawn, Skipped):
        return drawn
    if drawn is None:
        return Skipped(f"{name}.png", "the run holds nothing to draw yet")
    return Picture(name, drawn, caption)


class _Loader(FileSystemLoader):
    """Reads templates so that `trim_blocks` takes the line break of a line of tags alone and leaves
    it where a line of words ends with a tag."""

    def get_source(self, environment: Environment, template: str) -> Any:
        source, path, fresh = super().get_source(environment, template)
        return "".join(map(_with_break, source.splitlines(keepends=True))), path, fresh


def _with_break(line: str) -> str:
    ends_with_tag = line.rstrip().endswith(("%}", "#}"))
    return f"{line}\n" if ends_with_tag and _TAG.sub("", line).strip(" \n") else line


_environment = Environment(
    loader=_Loader(TEMPLATES),
    finalize=_mark,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    name: member for name, member in vars(formats).items() if isfunction(member)
} | {
    "figure": figure,
    "group_name": group_name,
    "number": number,
    "parameter_words": parameter_words,
    "repeat_command": repeat_command,
    "resume_command": resume_command,
    "resumed": resumed,
    "run_words": run_words,
    "text": text,
    "where": lambda run: formats.data_words(run.data["name"], text(run.data.get("split"))),
}
_environment.tests["known"] = formats.is_known
_environment.globals["commands"] = COMMANDS
