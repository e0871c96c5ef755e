"""`trials.csv` and `epochs.csv` as frames; a column is numeric if all its values are numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.read.results import SIZES
from analysis.read.values import RunError, column, one_line


def read_trials(path: Path, group: str) -> pd.DataFrame:
    """A row per trial, with every column of the file.

    Raises `RunError` if it is missing or broken, or has no id, state or `group`."""
    words: tuple[str, ...] = ("id", "state", "reason", "preset", "detail")
    numbers: tuple[str, ...] = ("number",)
    if group in SIZES:
        numbers = (*numbers, group)
    else:
        words = (*words, group)
    return _read_csv(path, ("id", "state", group), words, numbers)


def read_epochs(path: Path) -> pd.DataFrame:
    """A row per trial and epoch. A resumed trial may have written an epoch twice; the last row
    counts. Raises `RunError` as `read_trials` does."""
    frame = _read_csv(path, ("id", "epoch"), ("id", "decision"), ("number", "epoch"))
    frame = frame[(frame["epoch"] >= 1) & np.isfinite(frame["epoch"])].drop_duplicates(
        ["id", "epoch"], keep="last"
    )
    return frame.sort_values(["id", "epoch"], ignore_index=True)


def _read_csv(
    path: Path, needed: tuple[str, ...], words: tuple[str, ...], numbers: tuple[str, ...]
) -> pd.DataFrame:
    """Every column of the file; a column of `words` or `numbers` that it lacks is added, empty."""
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise RunError(f"{path.name} is missing") from None
    except pd.errors.EmptyDataError:  # no trial, or no epoch of any trial, was done yet
        frame = pd.DataFrame(columns=list(needed), dtype=str)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise RunError(f"{path.name} cannot be read ({one_line(error)})") from None
    missing = [name for name in needed if name not in frame]
    if missing:
        raise RunError(f"{path.name} has no column {', '.join(missing)}")
    frame = frame.fillna("")
    columns = {word: frame.get(word, pd.Series("", frame.index, dtype=str)) for word in words}
    columns |= {name: column(frame, name) for name in numbers}
    columns |= {name: _typed(frame[name]) for name in frame if name not in columns}
    return pd.DataFrame(columns)


def _typed(words: pd.Series) -> pd.Series:
    """Numbers or truth values if all that are not empty are, else words: the noise "none" is a
    word."""
    filled = words[words != ""]
    if len(filled) and filled.isin(["True", "False"]).all():
        return words.map({"True": True, "False": False})
    numbers = pd.to_numeric(words, errors="coerce").astype(float)
    unread = numbers.isna() & ~words.str.lower().isin(["", "nan"])
    return words if unread.any() else numbers
