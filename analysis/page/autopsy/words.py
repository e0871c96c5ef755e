"""How the report speaks of an autopsy's probes, accuracies and points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from analysis.measure.autopsy import PROBES, Cost, Row
from analysis.tables.frames import escape


def probe_name(probe: str) -> str:
    return PROBES.get(probe, escape(probe))


def probe_names(probes: Iterable[str]) -> list[str]:
    return [probe_name(probe) for probe in probes]


def joined(words: Sequence[str]) -> str:
    """
    >>> joined(["a"]), joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def three(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def shown(row: Row) -> str:
    return _with_deviation(row.accuracy, row.std)


def in_points(cost: Cost | None) -> str:
    """
    >>> in_points(Cost(24.06, 0.0)), in_points(Cost(-0.04, 0.0)), in_points(None)
    ('24.1', '0.0', '-')
    """
    return f"{cost.points:.1f}".replace("-0.0", "0.0") if cost else "-"


def _with_deviation(value: float, std: float) -> str:
    """Three decimals, for a validation split of 2,000 drawings has no fourth.

    >>> _with_deviation(0.61234, 0.0041), _with_deviation(0.5, math.nan)
    ('0.612 ± 0.004', '0.500')
    """
    mean = three(value)
    return f"{mean} ± {three(std)}" if math.isfinite(std) and mean != "-" else mean
