"""A claim of the seed report beside what a run shows, and the rule that judges it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "cannot be told"

# Why a verdict is UNKNOWN.
SEEDS = "seeds"  # networks of one configuration differ as much from seed to seed
CHANCE = "chance"  # seeds and the few test images differ as much by chance
TIE = "tie"  # both get there in the same epoch
NOT_REACHED = "not reached"  # no model reaches the error that the report gives a time for
OTHER_DATA = "other data"  # the report's number is of another data set
NO_PAIR = "no pair"  # no two trials differ in this setting alone
MISSING = "missing"  # the figures are not measured


@dataclass(frozen=True)
class Claim:
    """A question of the seed report, judged.

    `theirs` and `ours` are values by what they belong to (a preset, a code size, a number of
    blocks), all of one `metric`. `gain` says how far ours changes as the report claims, and `noise`
    is the least gain that counts: shares of an error for errors, fractions of the images for
    accuracies. nan is not known.
    """

    question: str
    theirs: Mapping[Any, float] = field(default_factory=dict)
    ours: Mapping[Any, float] = field(default_factory=dict)
    metric: str = ""
    gain: float = math.nan
    noise: float = math.nan
    verdict: str = UNKNOWN
    why_unknown: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)  # what else its sentence needs
    needs: tuple[str, ...] = ()  # presets that are not trained, where `why_unknown` is MISSING


def judged(question: str, gain: float, noise: float, why: str = SEEDS, **found: Any) -> Claim:
    """A claim with the verdict that `gain` asks for.

    UNKNOWN, for the reason `why`, if the gain is 0 or smaller than `noise` (nan: unknown).
    """
    known = math.isfinite(gain) and gain != 0 and not abs(gain) < noise
    verdict = (AGREES if gain > 0 else DIFFERS) if known else UNKNOWN
    reason = "" if known else why if math.isfinite(gain) else MISSING
    return Claim(question, gain=gain, noise=noise, verdict=verdict, why_unknown=reason, **found)


def decided(question: str, agrees: bool, **found: Any) -> Claim:
    """A claim whose verdict is not the sign of a gain."""
    return Claim(question, verdict=AGREES if agrees else DIFFERS, **found)


def missing(question: str, *needs: str) -> Claim:
    """A claim that cannot be judged yet, because the presets `needs` are not trained."""
    return Claim(question, why_unknown=MISSING, needs=needs)


def matched(question: str, difference: float, noise: float, **found: Any) -> Claim:
    """A claim of a number: it agrees if ours differs from theirs by at most `noise`."""
    agrees = abs(difference) <= noise
    numbers = {**found.pop("numbers", {}), "difference": difference}
    return decided(question, agrees, noise=noise, numbers=numbers, **found)
