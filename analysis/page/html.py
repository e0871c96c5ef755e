"""The Markdown report as one HTML page that needs nothing else: pictures, CSV and LaTeX are
inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from analysis.page.document import TITLE
from analysis.page.rendering import TEMPLATES

_KINDS = {".csv": "text/csv", ".tex": "application/x-tex", ".png": "image/png"}
_LONG_NUMBER, _LONG_TEXT, _SHORT_TEXT = 20, 48, 14  # characters of a cell
_SHOWN = 0.8  # of a picture's pixels on a page as wide as a desk's screen
_WIDE = 640  # pixels of a picture that is wider than a telephone
_NUMBER = re.compile(r"(?:± )?[-+]?[\d.,]*\d(?:e[-+]?\d+)?")
_MEASURED = re.compile(rf"{_NUMBER.pattern}(?: ± {_NUMBER.pattern})?")
_SEEDS = re.compile(r"\(<span><span>(\d+)</span></span>( seeds?)\)")


class _Renderer(RendererHTML):
    """A cell of numbers is broken between numbers only."""

    unbroken = False

    def td_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        words = tokens[index + 1].content
        self.unbroken = "number" in str(tokens[index].attrs.get("class")) and (
            "±" in words or "e-" in words
        )
        return self.renderToken(tokens, index, options, env)

    def td_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        self.unbroken = False
        return self.renderToken(tokens, index, options, env)

    def text(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        words = super().text(tokens, index, options, env)
        return _in_spans(words) if self.unbroken else words

    def table_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return '<div class="scroll">' + self.renderToken(tokens, index, options, env)

    def table_close(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return self.renderToken(tokens, index, options, env).rstrip() + "</div>\n"


def render(markdown: str, files: Mapping[str, bytes]) -> str:
    """The page of a report in Markdown. `files` are those that it links to, by path."""
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    tokens = parser.parse(markdown)
    contents = _contents(tokens)
    for index, token in enumerate(tokens):
        if token.type in ("th_open", "td_open"):
            _set_look(token, tokens[index + 1].content)
        elif token.type == "inline":
            _put_inside(tokens, index, files)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    body = Markup(parser.renderer.render(tokens, parser.options, {}))
    return environment.get_template("report.html").render(title=TITLE, parts=contents, body=body)


def _contents(tokens: Sequence[Token]) -> list[dict[str, Any]]:
    """The parts, each with its headings of the highest level; every heading becomes an anchor."""
    parts: list[dict[str, Any]] = []
    found: list[tuple[Token, dict[str, str]]] = []
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag != "h1":
            words = "".join(child.content for child in tokens[index + 1].children or ())
            entry = {"anchor": f"part-{len(found) + 1}", "words": words}
            token.attrSet("id", entry["anchor"])
            found.append((token, entry))
            if token.tag == "h2":
                parts.append({**entry, "contents": []})
                highest = ""
            elif not highest or token.tag == highest:
                highest = token.tag
                parts[-1]["contents"].append(entry)
    return parts


def _set_look(token: Token, words: str) -> None:
    """Classes of a cell: a short number is never broken, a text never squeezed below what its
    length needs."""
    right = "right" in str(token.attrs.pop("style", ""))
    long = len(words) > (_LONG_NUMBER if right else _LONG_TEXT)
    some = not (right or long) and len(words) > _SHORT_TEXT
    if token.type == "th_open":
        long = some = False
    if look := " ".join(["number"] * right + ["long"] * long + ["some"] * some):
        token.attrSet("class", look)


def _put_inside(tokens: Sequence[Token], index: int, files: Mapping[str, bytes]) -> None:
    """Put the content of files in the place of links to them; the paragraphs of a picture, of its
    caption, and of a table's files get classes."""
    paragraph, children = tokens[index - 1], tokens[index].children or []
    for child in children:
        target = unquote(str(child.attrGet("src") or child.attrGet("href") or ""))
        if target not in files:
            continue
        if child.type == "image":
            width = round(_SHOWN * int.from_bytes(files[target][16:20]))  # as a PNG's header says
            child.attrSet("src", _data(target, files))
            child.attrSet("style", f"--wide: {width}")
            paragraph.attrSet("class", "picture wide" if width > _WIDE else "picture")
        elif target.endswith(".svg"):
            paragraph.attrSet("class", "caption")
            tokens[index].children = children[: children.index(child) - 1]  # without the link
        else:
            child.attrSet("href", _data(target, files))
            child.attrSet("download", target.replace("/", "-"))
            paragraph.attrSet("class", "files")


def _data(path: str, files: Mapping[str, bytes]) -> str:
    content = base64.b64encode(files[path]).decode()
    return f"data:{_KINDS[path[path.rindex('.') :]]};base64,{content}"


def _in_spans(words: str) -> str:
    """Words of a cell with what no line ends in marked: on a screen a number with its deviation,
    and in print, where room is short, each of the two; a browser breaks 4.7e-05 after its
    hyphen."""
    marked = _MEASURED.sub(lambda found: f"<span>{_spans(found[0])}</span>", words)
    return _SEEDS.sub(r"<span>(\1\2)</span>", marked)


def _spans(words: str) -> str:
    return _NUMBER.sub(lambda found: f"<span>{found[0]}</span>", words)
