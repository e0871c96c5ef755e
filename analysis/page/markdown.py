"""The report as Markdown, its pictures and tables beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from analysis.page.blocks import Heading, Picture
from analysis.page.document import Part, Placed, left_out
from analysis.read.runs import Skipped
from analysis.tables.frames import Table, escape

TITLE = "Autoencoders, searched: a report"


def render(parts: Iterable[Part]) -> str:
    """All parts, numbered as they come."""
    lines = [f"# {TITLE}\n"]
    for number, part in enumerate(parts, 1):
        lines.append(f"## {number}. {part.title}\n")
        lines += [text for placed in part.blocks for text in _block(placed)]
    return "\n".join(lines)


def _block(placed: Placed) -> Iterator[str]:
    block, path = placed.block, quote(placed.stem)
    if isinstance(block, Heading):
        yield f"{block.words}\n"
    elif isinstance(block, Table):
        rest = f"{more} " if (more := left_out(block)) else ""
        yield f"{block.markdown()}\n\n{rest}([as CSV]({path}.csv), [as LaTeX]({path}.tex))\n"
    elif isinstance(block, Picture):
        yield f"![{block.caption}]({path}.png)\n"
        yield f"*{block.caption}* ([as SVG]({path}.svg))\n"
    elif isinstance(block, Skipped):
        yield f"({escape(block.name)} is left out: {escape(block.reason)}.)\n"
    else:
        yield f"{block}\n"
