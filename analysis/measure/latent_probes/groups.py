"""The groups of a search of probes: a probe on codes of one size each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from analysis.read.runs import Group, Result


def probe_and_size(group: Group) -> tuple[str, int]:
    """Probe and code size of a group by its name; size 0 where it names none.

    >>> probe_and_size("nearest-mean-32"), probe_and_size("oracle")
    (('nearest-mean', 32), ('oracle', 0))
    """
    probe, _, size = str(group).rpartition("-")
    return (probe, int(size)) if probe and size.isdecimal() else (str(group), 0)


def best_on_validation(chosen: Mapping[Group, Result]) -> Result:
    """The winner with the highest validation accuracy; the test split plays no part."""
    own = {group: each.own("validation_accuracy") for group, each in chosen.items()}
    measured = {group: value for group, value in own.items() if math.isfinite(value)}
    return chosen[max(measured, key=measured.__getitem__)] if measured else Result()
