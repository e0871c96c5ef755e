"""The sections of the report, and the one Markdown text and page that they are written as.

A section has four pieces, each in its folder:

- `measure/<section>.py` computes numbers and verdicts, as frozen dataclasses or frames; tests
  assert these.
- `tables/<section>.py` makes a `Table` of them, `figures/<section>.py` a matplotlib figure.
- `page/templates/<section>.md` holds all its sentences, as Markdown with Jinja.
- `page/sections/<section>.py` calls the three and hands them over (example: `frechet`):
  `yield from render("frechet.md", run=run, found=found, table=table)`.

In a template `{{ table }}` puts a `Table` in its place, and `{{ drawn | figure("file-name",
"Caption.") }}` a picture; where `drawn` is None, a note says that there is nothing to draw.
Every function of `tables/writing/formats.py` is a filter: `{{ value | mse }}`,
`{{ sizes | enumerated }}`. Words from a run folder go through `escape` or `known`. `{% if value is
known %}` tells a number from nan. `shared.md` has macros for what several sections say.

Blank lines divide paragraphs. Within a paragraph line breaks and indents mean nothing: lines are
joined by a space, and by none before a line that begins with one of `,.;:)`. So each sentence, and
each `{% if %}`, can have a line of its own. Lines that begin with `- ` are a list, a line that
begins with `#### ` is a heading; a list may have blank lines or `{% for %}` between its entries,
and empty entries are left out.

`parts` puts the sections in order, `document` makes the Markdown and the files it links to, `html`
makes the page of both. `explore` puts the trials into the page as JSON, for the part "Explore",
whose script is `templates/explore.js`.
"""
