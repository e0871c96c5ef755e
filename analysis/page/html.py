"""The Markdown report as one HTML page that needs nothing else: pictures, CSV and LaTeX are
inside. Its part "Explore" works with a script; all else needs none."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from analysis.page.document import TITLE
from analysis.page.explore import STILL
from analysis.page.explore import TITLE as EXPLORE
from analysis.page.rendering import TEMPLATES

_KINDS = {"csv": "text/csv", "tex": "application/x-tex", "png": "image/png"}
_LONG = 48  # characters of a cell that must not be squeezed
_SHOWN = 0.8  # of a picture's pixels on a page as wide as a desk's screen
_WIDE = 640  # pixels of a picture that is wider than a telephone


def render(markdown: str, files: Mapping[str, bytes], trials: str = "", every: float = 0) -> str:
    """The page of a report in Markdown. `files` are those that it links to, by path; `trials` is
    the JSON that the part "Explore" reads. A page that is written again every `every` seconds says
    how old it is; any other page has no time in it, so that equal runs give equal bytes."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    contents = _contents(tokens)
    for index, token in enumerate(tokens):
        if token.type in ("th_open", "td_open"):
            number = token.attrs.pop("style", None) == "text-align:right"
            long = len(tokens[index + 1].content) > _LONG
            token.attrs |= {"class": "number" if number else "long"} if number or long else {}
        elif token.type == "inline":
            _put_inside(tokens, index, files)
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace("<table>", '<div class="scroll"><table>')
    body = body.replace("</table>", "</table></div>")
    body = body.replace(" ± ", " ±\N{NO-BREAK SPACE}")  # in a narrow column a line begins with ±
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html")
    own = {
        name: Markup((TEMPLATES / f"explore.{name}").read_text("utf-8")) for name in ("css", "js")
    }
    return page.render(
        title=TITLE,
        parts=contents,
        body=Markup(body),
        trials=Markup(trials),
        explore=own,
        every=every,
        written=datetime.now(UTC).isoformat(timespec="seconds") if every else "",
    )


def _contents(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    """The parts, each with its headings of the highest level; every heading becomes an anchor."""
    parts: list[dict[str, Any]] = []
    highest = ""
    headings = [index for index, token in enumerate(tokens) if token.type == "heading_open"]
    for number, index in enumerate(headings):
        heading, anchor = tokens[index], f"part-{number}"
        heading.attrSet("id", anchor)
        words = "".join(child.content for child in tokens[index + 1].children or ())
        entry = {"anchor": anchor, "words": words, "contents": []}
        if words.endswith(f". {EXPLORE}") and heading.tag == "h2":
            tokens[index + 3].attrSet("id", "explore")  # the script puts its tools after this
        if heading.tag == "h2":
            parts.append(entry)
            highest = ""
        elif parts and heading.tag == (highest := highest or heading.tag):
            parts[-1]["contents"].append(entry)
    return parts


def _put_inside(tokens: Sequence[Token], place: int, files: Mapping[str, bytes]) -> None:
    """Put the content of files in the place of links to them, in the paragraph whose words are the
    token at `place`; the paragraphs of a picture, of its caption, and of a table's files get
    classes."""
    paragraph, inline = tokens[place - 1], tokens[place]
    for child in inline.children or []:
        target = unquote(str(child.attrGet("src") or child.attrGet("href") or ""))
        if target not in files:
            continue
        content, ending = files[target], target.rpartition(".")[2]
        if ending == "svg":  # the page holds no link to it
            inline.children = inline.children[: inline.children.index(child) - 1]
            return
        data = f"data:{_KINDS[ending]};base64,{base64.b64encode(content).decode()}"
        if ending == "png":
            width = round(_SHOWN * int.from_bytes(content[16:20]))  # as a PNG's header says
            style = f"--wide: {width}; max-width: 100%"  # a mail program may drop the style sheet
            child.attrs |= {"src": data, "width": width, "style": style}
            still = " still" if target.rpartition("/")[2].startswith(STILL) else ""
            paragraph.attrSet("class", f"picture{' wide' * (width > _WIDE)}{still}")
            tokens[place + 2].attrSet("class", f"caption{still}")
        else:
            child.attrs |= {"href": data, "download": target.replace("/", "-")}
            paragraph.attrSet("class", "files")
