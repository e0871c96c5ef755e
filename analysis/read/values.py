"""Values from files that may hold anything: a missing value becomes nan or an empty value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd


class RunError(ValueError):
    """A folder or file that cannot be reported; the message is one line that names the fault."""


def read_json(path: Path) -> dict[str, Any]:
    """The object of a JSON file. Raises `RunError` if it is broken or no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path.name} cannot be read ({one_line(error)})") from None
    if not isinstance(content, dict):
        raise RunError(f"{path.name} holds no JSON object")
    return content


def start_time(info: Mapping[str, Any], file: str) -> datetime:
    """When a run started; UTC where `info` names no zone. Raises `RunError` without such a time."""
    try:
        start = datetime.fromisoformat(text(info.get("start")))
    except ValueError:
        raise RunError(f"{file} has no start time") from None
    return start if start.tzinfo else start.replace(tzinfo=UTC)


def number(value: Any) -> float:
    """`value` as a float; nan for anything that is no number."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        return float(value) if usable else math.nan
    except OverflowError:  # an integer of JSON can be larger than any float
        return math.nan


def finite(value: Any, default: float) -> float:
    """`value` as a float; `default` for anything that is no finite number."""
    found = number(value)
    return found if math.isfinite(found) else default


def numbers(entry: Any) -> dict[str, float]:
    """All values of an object as floats."""
    return {key: number(value) for key, value in mapping(entry).items()}


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def entries(content: Mapping[str, Any], key: str, kind: type = dict) -> list[Any]:
    """The values of type `kind` in the list `content[key]`; none where there is no such list."""
    listed = content.get(key)
    return [each for each in listed if isinstance(each, kind)] if isinstance(listed, list) else []


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column as floats: nan where it has no number, everywhere if there is no such column."""
    raw = frame[name] if name in frame else pd.Series(math.nan, frame.index, dtype=float)
    return pd.to_numeric(raw, errors="coerce").astype(float)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
