"""The sections of the report, and the files that it is written as.

A section has four pieces, each in its folder:

- `measure/<section>.py` computes numbers and verdicts, as frozen dataclasses; tests assert these.
- `tables/<section>.py` makes a `Table` of them, `figures/<section>.py` a matplotlib figure.
- `page/templates/<section>.md` holds all its sentences, as Markdown with Jinja.
- `page/sections/<section>.py` calls the three and hands them over (example: `frechet`):
  `yield from render("frechet.md", run=run, found=found, table=table)`.

In a template `{{ table }}` puts a `Table` in its place, and `{{ drawn | figure("file-name",
"Caption.") }}` a picture; where `drawn` is None, a note says that there is nothing to draw.
Numbers and names go through a filter of `tables/formats.py`: `{{ value | mse }}`,
`{{ sizes | enumerated }}`, `{{ run | resume_command | code }}`. Words from a run folder go through
`escape` or `known`. `{% if value is known %}` tells a number from nan.

Blank lines divide paragraphs. Within a paragraph line breaks and indents mean nothing: lines are
joined by a space, and by none before a line that begins with one of `,.;:)`. So each sentence, and
each `{% if %}`, can have a line of its own. Lines that begin with `- ` are a list, `#### ` is a
heading; a list may have blank lines or `{% for %}` between its entries, and empty entries are left
out.
"""
