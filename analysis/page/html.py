"""The report as one HTML page that needs nothing else: pictures, CSV and LaTeX are inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from analysis.page import document
from analysis.page.blocks import Heading, Picture
from analysis.page.document import INLINE, Part, Placed, plain
from analysis.page.markdown import TITLE
from analysis.read.runs import Skipped
from analysis.tables.frames import Table

_TEMPLATES = Path(__file__).parent / "templates"
_LONG_NUMBER, _LONG_TEXT, _SHORT_TEXT = 20, 48, 14  # characters of a cell
_SHOWN = 0.8  # of a picture's pixels on a page as wide as a desk's screen
_NUMBER = re.compile(r"(?:± )?[-+]?[\d.,]*\d(?:e[-+]?\d+)?")
_MEASURED = re.compile(rf"{_NUMBER.pattern}(?: ± {_NUMBER.pattern})?")
_SEEDS = re.compile(r"\(<span><span>(\d+)</span></span>( seeds?)\)")
_PARAGRAPHS = MarkdownIt("commonmark", {"html": False})


def render(parts: Sequence[Part], files: Mapping[str, bytes]) -> str:
    """All parts as a page. `files` holds the PNG, CSV and LaTeX file of each stem."""
    anchors = document.anchors(parts)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=TITLE,
        parts=[
            {
                "anchor": f"part-{number}",
                "title": f"{number}. {part.title}",
                "contents": _contents(part, anchors),
                "blocks": [_block(placed, files, anchors) for placed in part.blocks],
            }
            for number, part in enumerate(parts, 1)
        ],
    )


def _contents(part: Part, anchors: Mapping[int, str]) -> list[dict[str, str]]:
    """What the list of contents says below a part: its headings of the highest level."""
    headings = [one.block for one in part.blocks if isinstance(one.block, Heading)]
    highest = min((document.level(heading) for heading in headings), default=0)
    return [
        {"anchor": anchors[id(heading)], "words": plain(_words(heading))}
        for heading in headings
        if document.level(heading) == highest
    ]


def _block(
    placed: Placed, files: Mapping[str, bytes], anchors: Mapping[int, str]
) -> dict[str, Any]:
    block = placed.block
    if isinstance(block, Heading):
        words = {"words": _inline(_words(block)), "anchor": anchors[id(block)]}
        return {"kind": "heading", "level": document.level(block), **words}
    if isinstance(block, Table):
        return _table(block, placed.stem, files)
    if isinstance(block, Picture):
        image = files[f"{placed.stem}.png"]
        return {
            "kind": "picture",
            "source": _data("image/png", image),
            "width": round(_SHOWN * int.from_bytes(image[16:20])),  # as a PNG's header says
            "caption": _inline(block.caption),
            "words": plain(block.caption),
        }
    if isinstance(block, Skipped):
        return {"kind": "skipped", "name": block.name, "reason": block.reason}
    return {"kind": "text", "html": Markup(_PARAGRAPHS.render(block))}


def _table(table: Table, stem: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Each file of a table as a link that carries it."""
    numeric = [column.numeric for column in table.columns]
    endings = {"CSV": ("csv", "text/csv"), "LaTeX": ("tex", "application/x-tex")}
    return {
        "kind": "table",
        "head": list(zip([column.title for column in table.columns], numeric, strict=True)),
        "rows": [
            [
                (_cell(shown, right), _look(shown, right))
                for shown, right in zip(row, numeric, strict=True)
            ]
            for row in document.shown_rows(table)
        ],
        "left_out": document.left_out(table),
        "links": [
            {
                "label": label,
                "name": f"{stem.replace('/', '-')}.{ending}",
                "data": _data(kind, files[f"{stem}.{ending}"]),
            }
            for label, (ending, kind) in endings.items()
        ],
    }


def _cell(shown: str, right: bool) -> Markup:
    cell = _inline(shown)
    return _unbroken(cell) if right and ("±" in cell or "e-" in cell) else cell


def _look(shown: str, right: bool) -> str:
    """Classes of a cell: a short number is never broken, a text never squeezed below what its
    length needs."""
    long = len(shown) > (_LONG_NUMBER if right else _LONG_TEXT)
    some = not (right or long) and len(shown) > _SHORT_TEXT
    return " ".join(["number"] * right + ["long"] * long + ["some"] * some)


def _unbroken(cell: Markup) -> Markup:
    """A cell without tags, with what no line ends in marked: on a screen a number with its
    deviation, and in print, where room is short, each of the two; a browser breaks 4.7e-05 after
    its hyphen."""
    if "<" in cell:
        return cell
    marked = _MEASURED.sub(lambda found: f"<span>{_spans(found[0])}</span>", cell)
    return Markup(_SEEDS.sub(r"<span>(\1\2)</span>", marked))


def _spans(words: str) -> str:
    return _NUMBER.sub(lambda found: f"<span>{found[0]}</span>", words)


def _words(heading: Heading) -> str:
    return heading.words.lstrip("#").strip()


def _inline(markdown: str) -> Markup:
    return Markup(INLINE.renderInline(markdown))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
