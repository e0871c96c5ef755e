"""A report as parts of placed blocks, and the files that its tables and figures are also given as.

Every format renders the same parts: `analysis.markdown`, `analysis.html`, and here CSV, LaTeX, PNG
and SVG.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd
from markdown_it import MarkdownIt
from markdown_it.token import Token

from analysis.figures import style as figures
from analysis.page.blocks import Block, Heading, Picture
from analysis.tables.frames import Table

INLINE = MarkdownIt("commonmark", {"html": False})

_LATEX_HEAD = "% needs \\usepackage{booktabs}\n"


@dataclass(frozen=True)
class Placed:
    """A block, and what its files are called, without their endings; empty if it has none."""

    block: Block
    stem: str = ""


@dataclass(frozen=True)
class Part:
    """One of the report's questions and what answers it."""

    title: str
    blocks: tuple[Placed, ...]


def place(parts: Iterable[tuple[str, Iterable[tuple[str, Block]]]]) -> tuple[Part, ...]:
    """Parts of a title and (folder, block) pairs, each table and picture with a stem of its own in
    its folder."""
    seen: Counter[tuple[bool, str]] = Counter()
    return tuple(
        Part(title, tuple(_placed(folder, block, seen) for folder, block in blocks))
        for title, blocks in parts
    )


def files(parts: Iterable[Part]) -> Iterator[tuple[str, bytes]]:
    """Path and content of the file of each table (CSV, LaTeX) and each figure (PNG, SVG)."""
    for part in parts:
        for placed in part.blocks:
            yield from _files(placed)


def latex(table: Table) -> str:
    """A table as LaTeX's `tabular` of the package booktabs, with what the Markdown prints."""
    titles = [plain(column.title) for column in table.columns]
    rows = [[plain(shown) for shown in row] for row in shown_rows(table)]
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    frame = pd.DataFrame(rows, columns=pd.Index(titles), dtype=str)
    return _LATEX_HEAD + frame.to_latex(index=False, escape=True, column_format=alignment)


def shown_rows(table: Table) -> list[list[str]]:
    """The printed cells of a table, in Markdown."""
    return [[column.show(row) for column in table.columns] for row in table.rows[: table.printed]]


def left_out(table: Table) -> str:
    """What a table says of the rows that it does not print; empty if it prints all."""
    rows = len(table.rows)
    if table.printed is None or rows <= table.printed:
        return ""
    return f"The first {table.printed} of {rows} rows; the CSV has all."


def plain(markdown: str) -> str:
    """Inline Markdown without its marks.

    >>> plain("**bold**, `code` and a \\\\_")
    'bold, code and a _'
    """
    return "".join(_words(INLINE.parseInline(markdown)))


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        yield from _words(token.children) if token.children else [token.content or _break(token)]


def _break(token: Token) -> str:
    return " " if token.type in ("softbreak", "hardbreak") else ""


def _placed(folder: str, block: Block, seen: Counter[tuple[bool, str]]) -> Placed:
    """A table and a picture may share a name, for their files have other endings."""
    if not isinstance(block, (Table, Picture)):
        return Placed(block)
    stem = f"{folder}/{block.name}"
    key = isinstance(block, Table), stem
    seen[key] += 1
    return Placed(block, stem if seen[key] == 1 else f"{stem}-{seen[key]}")


def _files(placed: Placed) -> Iterator[tuple[str, bytes]]:
    block, stem = placed.block, placed.stem
    if isinstance(block, Table):
        yield f"{stem}.csv", block.csv().encode()
        yield f"{stem}.tex", latex(block).encode()
    elif isinstance(block, Picture):
        yield f"{stem}.png", figures.png(block.figure)
        yield f"{stem}.svg", figures.svg(block.figure)


def level(heading: Heading) -> int:
    """Depth of a heading: 2 for a part of the report."""
    return len(heading.words) - len(heading.words.lstrip("#"))


def anchors(parts: Iterable[Part]) -> Mapping[int, str]:
    """Of each heading inside a part, by its identity, the name that a link leads to."""
    return {
        id(placed.block): f"part-{number}-{place}"
        for number, part in enumerate(parts, 1)
        for place, placed in enumerate(part.blocks)
        if isinstance(placed.block, Heading)
    }
