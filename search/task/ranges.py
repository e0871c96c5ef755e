"""What a user wants for one hyperparameter: a range or choices, as text, as TOML or from Python.

As text: `2..8` is a range, `0..0.3/0.1` is a range in steps, `1e-4..1e-2/log` is a range on a log
scale (`/linear`: on a linear scale), `relu,silu` are choices, and `0.1` is a fixed value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from search.task.settings import UsageError

Value = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """All values from `low` to `high`. `step` and `log` are None where the default decides."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool | None = None

    def __str__(self) -> str:
        step = "" if self.step is None else f"/{as_word(self.step)}"
        scale = {None: "", True: "/log", False: "/linear"}[self.log]
        return f"{as_word(self.low)}..{as_word(self.high)}{step}{scale}"


@dataclass(frozen=True)
class Choices:
    """One of `values`; a single value is fixed."""

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return ",".join(map(as_word, self.values))


Wanted = Range | Choices


def read_wanted(given: Iterable[str] | Mapping[str, object]) -> dict[str, Wanted]:
    """What is wanted for each hyperparameter, by name, in order of name.

    given: texts such as "depth=2..8", or values by name: a tuple (2, 8) is a range, a list holds
    choices, a mapping has the keys of `Range`, a str is text as above, and any other value is
    fixed. Raises UsageError for what cannot be read, and for a name that comes twice."""
    pairs = given.items() if isinstance(given, Mapping) else map(_pair, given)
    found: dict[str, Wanted] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"--set {name} is given twice")
        found[name] = _wanted(name, value)
    return dict(sorted(found.items()))


def as_texts(wanted: Mapping[str, Wanted]) -> tuple[str, ...]:
    """`wanted` as texts that `read_wanted` reads; equal for equal `wanted`."""
    return tuple(f"{name}={value}" for name, value in sorted(wanted.items()))


def as_word(value: Value) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else str(value)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(f"--set {text}: write NAME=RANGE: depth=2..8, or activation=relu,silu")
    return name, value


def _wanted(name: str, value: object) -> Wanted:
    value = _plain(value)
    if isinstance(value, str):
        return _of_text(name, value)
    if isinstance(value, Range | Choices):
        return value
    if isinstance(value, Mapping):
        return _of_mapping(name, value)
    if isinstance(value, tuple):
        if len(value) != 2:
            raise UsageError(f"{name}: a range is a pair (low, high); a list holds choices")
        return _range(name, *map(_plain, value))
    return _choices(name, [_plain(each) for each in value] if isinstance(value, list) else [value])


def _plain(value: object) -> object:
    """A number of NumPy as Python's own; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _of_text(name: str, text: str) -> Wanted:
    if ".." not in text:
        return _choices(name, [_literal(word) for word in text.split(",")])
    ends, *more = text.split("/")
    low, _, high = ends.partition("..")
    step = log = None
    for word in more:
        if word in ("log", "linear"):
            log = word == "log"
        else:
            step = _literal(word)
    return _range(name, _literal(low), _literal(high), step, log)


def _of_mapping(name: str, value: Mapping) -> Range:
    unknown = set(value) - {"low", "high", "step", "log"}
    if unknown or not {"low", "high"} <= set(value):
        raise UsageError(f"{name}: a range has low and high, and may have step and log")
    return _range(name, **value)


def _range(name: str, low, high, step=None, log=None) -> Range:
    numbers = [low, high] if step is None else [low, high, step]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise UsageError(f"{name}: {number!r} is no number, so there is no range to it")
        if not math.isfinite(number):
            raise UsageError(f"{name}: {number} is no end of a range")
    if not isinstance(log, bool | None):
        raise UsageError(f"{name}: log is true or false, not {log!r}")
    wanted = Range(low, high, step, log)
    if low > high:
        raise UsageError(f"{name}={wanted} is empty: write the lower end first")
    if step is not None and (step <= 0 or log):
        raise UsageError(f"{name}={wanted}: a step is positive, and a log scale has none")
    return wanted


def _choices(name: str, values: list) -> Choices:
    for value in values:
        if not isinstance(value, Value) or value == "":
            raise UsageError(f"{name}: {value!r} is neither a number, a word, true nor false")
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name}: {value} is no value to search")
    if not values:
        raise UsageError(f"{name} has no choices")
    wanted = Choices(tuple(values))
    if len({(type(value), value) for value in values}) < len(values):
        raise UsageError(f"{name}={wanted} names a value twice")
    return wanted


def _literal(word: str) -> Value:
    """The number, the truth value or the word that a text stands for."""
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            pass
    return word
