"""How numbers, names and lists are written in tables, sentences and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_NAMED_SPLITS = ("drawers", "decathlon")  # of Omniglot
_MORE_DIGITS = 2  # that a deviation may ask for beyond the usual ones


def spread(
    value: float, std: float, seeds: int, show: Callable[[float], str], count_seeds: bool = False
) -> str:
    """Mean and deviation; the number of seeds where it belongs to the reading.

    >>> spread(0.9971, 0.0003, 5, accuracy, count_seeds=True), spread(0.02, float("nan"), 0, mse)
    ('0.9971 ± 0.0003 (5 seeds)', '0.02000 (search)')
    >>> spread(0.000472, 6.8e-6, 3, mse)
    '0.000472 ± 0.000007'
    """
    shown = show(value)
    if shown == "-" or not seeds:
        return shown if shown == "-" else f"{shown} (search)"
    if seeds > 1 and math.isfinite(std):
        digits = _digits(shown, std)
        shown = f"{value:.{digits}f} ± {std:.{digits}f}" if digits else f"{shown} ± {show(std)}"
    return shown + (f" ({plural(seeds, 'seed')})" if count_seeds else "")


def _digits(shown: str, std: float) -> int:
    """Decimals at which mean and deviation both end: the usual ones, or as many as a smaller
    deviation needs for its first digit; 0 where that would be no plain number of few digits."""
    decimals = len(shown.partition(".")[2]) if shown.replace(".", "").isdecimal() else 0
    needed = -math.floor(math.log10(std)) if std > 0 else 0
    return max(decimals, needed) if decimals and needed <= decimals + _MORE_DIGITS else 0


def mse(value: float) -> str:
    """Five decimals, as the seed report prints; fewer digits say too little below 0.0001.

    >>> mse(0.02097), mse(1.2e-5), mse(0.0), mse(float("nan"))
    ('0.02097', '1.2e-05', '0', '-')
    """
    if not math.isfinite(value):
        return "-"
    if abs(value) < 1e-9:
        return "0"
    return f"{value:.5f}" if 1e-4 <= abs(value) < 1e3 else f"{value:.2g}"


def signed(value: float) -> str:
    """A difference of two errors, with its sign.

    >>> signed(0.002), signed(-0.0331), signed(float("nan"))
    ('+0.00200', '-0.03310', '-')
    """
    return f"{value:+.5f}" if math.isfinite(value) else "-"


def accuracy(value: float) -> str:
    """A fraction of images.

    >>> accuracy(0.99712), accuracy(float("nan"))
    ('0.9971', '-')
    """
    return f"{value:.4f}" if math.isfinite(value) else "-"


def printed(lowest: float, highest: float) -> str:
    """Accuracies of the seed report with the digits that it prints.

    >>> printed(0.995, 0.995), printed(0.6, 0.65), printed(float("nan"), float("nan"))
    ('0.995', '0.60-0.65', '-')
    """
    if not math.isfinite(lowest):
        return "-"
    ends = [f"{end:.2f}" if end == round(end, 2) else f"{end:g}" for end in (lowest, highest)]
    return ends[0] if ends[0] == ends[1] else "-".join(ends)


def data_words(data: str, split: str) -> str:
    """A data set, with its split where it has several.

    >>> data_words("mnist", "published"), data_words("omniglot", "drawers")
    ('mnist', 'omniglot, drawers')
    """
    return f"{escape(data)}, {escape(split)}" if split in _NAMED_SPLITS else escape(data)


def points(value: float) -> str:
    """A difference of two accuracies in hundredths, with its sign.

    >>> points(0.0312), points(-0.2), points(float("nan"))
    ('+3.12', '-20.00', '-')
    """
    return f"{100 * value:+.2f}" if math.isfinite(value) else "-"


def short(value: Any) -> str:
    """A number in three digits, anything else as it is.

    >>> short(0.00214159), short(float("nan")), short("silu")
    ('0.00214', '-', 'silu')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.3g}" if math.isfinite(value) and not _whole(value) else count(value)


def count(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "-"


def plural(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def escape(words: str) -> str:
    """Words from a file as Markdown text: no markup, no HTML, one line."""
    plain = " ".join(words.split())
    for mark in "\\*_[]|`":
        plain = plain.replace(mark, "\\" + mark)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def metric_words(metric: str) -> str:
    """A metric's column name as words of a sentence.

    >>> metric_words("validation_mse"), metric_words("probe_accuracy")
    ('validation MSE', 'probe accuracy')
    """
    return escape(metric.replace("_", " ")).replace("mse", "MSE")


def enumerated(words: Sequence[str]) -> str:
    """Words as a list in a sentence.

    >>> enumerated(["1"]), enumerated(["1", "3", "9"])
    ('1', '1, 3 and 9')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def brackets(parts: Iterable[str]) -> str:
    """Remarks in brackets, but for empty ones; nothing if all are.

    >>> brackets(["a", "", "b"]), brackets([""])
    ('(a, b)', '')
    """
    known = ", ".join(part for part in parts if part)
    return f"({known})" if known else ""


def percent(value: float) -> str:
    """A share.

    >>> percent(0.21742), percent(float("nan"))
    ('21.7 %', '-')
    """
    return f"{100 * value:.3g} %" if math.isfinite(value) else "-"


def change(before: float, after: float) -> str:
    """What `after` is more or less than `before`, as a share of it.

    >>> change(0.04816, 0.03146), change(0.02, 0.0201)
    ('-35 %', '+0.5 %')
    """
    share = 100 * (after - before) / before if before > 0 else math.nan
    return f"{share:+.0f} %" if abs(share) >= 10 else f"{share:+.1f} %"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(61.4), duration(7322), duration(float("nan"))
    ('1 min 1 s', '2 h 2 min', 'duration unknown')
    """
    if not math.isfinite(seconds):
        return "duration unknown"
    whole = int(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def known(value: Any) -> str:
    """A value from a file as Markdown; "unknown" for a hole."""
    return "unknown" if value is None or value == "" else escape(str(value))


def is_known(value: float) -> bool:
    """Whether it is a number, and no hole."""
    return math.isfinite(value)


def fenced(command: str) -> str:
    """A command on a line of its own, to be copied."""
    return "```\n" + command.replace("`", "'") + "\n```"


def code(words: str) -> str:
    """A command or a name of a file as a code span."""
    return "`" + words.replace("`", "'") + "`"


def _whole(value: float) -> bool:
    return float(value).is_integer() and abs(value) < 1e6
