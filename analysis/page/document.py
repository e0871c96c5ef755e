"""The report as one Markdown text, and the files that it links to: each table as CSV and LaTeX,
each picture as PNG, and as SVG if asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import pandas as pd
from markdown_it import MarkdownIt
from markdown_it.token import Token

from analysis.figures.drawing.encoding import Encoder
from analysis.figures.drawing.style import own_style
from analysis.page.blocks import Block, Picture
from analysis.read.runs import Skipped
from analysis.tables.writing.formats import escape
from analysis.tables.writing.table import Table

TITLE = "Autoencoders, searched: a report"
Content = Iterable[tuple[str, Block]]
"""Blocks, each with the folder that its files go to."""

_LATEX_HEAD = "% needs \\usepackage{booktabs}\n"
_INLINE = MarkdownIt("commonmark", {"html": False})


def written(
    parts: Iterable[tuple[str, Content]], with_svg: bool = False
) -> tuple[str, dict[str, bytes]]:
    """The Markdown of parts (title, content), numbered as they come, and the content of each file
    by its path. A file whose name is taken gets a number."""
    with own_style():
        return _written(parts, with_svg)


def _written(parts: Iterable[tuple[str, Content]], with_svg: bool) -> tuple[str, dict[str, bytes]]:
    paragraphs, tables, figures = [f"# {TITLE}"], dict[str, bytes](), Encoder(with_svg)
    seen: Counter[tuple[type, str]] = Counter()
    for number, (title, content) in enumerate(parts, 1):
        paragraphs.append(f"## {number}. {title}")
        for folder, block in content:
            if isinstance(block, (Table, Picture)):
                stem = f"{folder}/{block.name}"
                seen[type(block), stem] += 1  # a table's files have other endings than a picture's
                if (times := seen[type(block), stem]) > 1:
                    stem = f"{stem}-{times}"
                if isinstance(block, Picture):
                    figures.add(stem, block.figure)
                else:
                    tables |= _files(block, stem)
                paragraphs += _placed(block, quote(stem), with_svg)
            elif isinstance(block, Skipped):
                reason = escape(block.reason)
                paragraphs.append(f"> {escape(block.name)} is left out: {reason}.")
            else:
                paragraphs.append(block)
    return "\n\n".join(paragraphs) + "\n", tables | figures.files()


def latex(table: Table) -> str:
    """A table as LaTeX's `tabular` of the package booktabs, with what the Markdown prints."""
    titles = [plain(column.title) for column in table.columns]
    rows = [[plain(column.show(row)) for column in table.columns] for row in table.printed_rows]
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    frame = pd.DataFrame(rows, columns=pd.Index(titles), dtype=str)
    return _LATEX_HEAD + frame.to_latex(index=False, escape=True, column_format=alignment)


def plain(markdown: str) -> str:
    """Inline Markdown without its marks.

    >>> plain("**bold**, `code` and a \\\\_")
    'bold, code and a _'
    """
    return "".join(_words(_INLINE.parseInline(markdown)))


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        space = " " if token.type in ("softbreak", "hardbreak") else ""
        yield from _words(token.children) if token.children else [token.content or space]


def _files(table: Table, stem: str) -> dict[str, bytes]:
    return {f"{stem}.csv": table.csv().encode(), f"{stem}.tex": latex(table).encode()}


def _placed(block: Table | Picture, path: str, with_svg: bool) -> tuple[str, str]:
    """A table or picture, and the paragraph below it with the links to its files."""
    if isinstance(block, Picture):
        link = f" ([as SVG]({path}.svg))" if with_svg else ""
        return f"![{block.name}]({path}.png)", f"*{block.caption}*{link}"
    links = f"([as CSV]({path}.csv), [as LaTeX]({path}.tex))"
    shown, rows = len(block.printed_rows), len(block.rows)
    if shown < rows:
        links = f"The first {shown} of {rows} rows; the CSV has all. {links}"
    return block.markdown(), links
