"""A claim of the seed report beside what a run shows, and the rule that judges it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "cannot be told"

# Why a verdict is UNKNOWN.
SEEDS = "seeds"  # networks of one configuration differ as much from seed to seed
CHANCE = "chance"  # seeds and so few test images leave as much to chance
TIE = "tie"  # both are equal
NOT_REACHED = "not reached"  # none gets to the error that the report times
OTHER_DATA = "other data"  # the report's number is of another data set
NO_PAIR = "no pair"  # no two trials differ in this setting alone
MISSING = "missing"  # the figures are not measured


@dataclass(frozen=True)
class Claim:
    """One question of the seed report, judged.

    `theirs` and `ours` are values by what they belong to (a preset, a code size, a number of
    blocks), all of one `metric`. `gain` is by how much ours goes the way the report says, and
    `noise` the least gain that counts: shares of an error for errors, fractions of the images for
    accuracies. nan is not known.
    """

    question: str
    theirs: Mapping[str, float] = field(default_factory=dict)
    ours: Mapping[str, float] = field(default_factory=dict)
    metric: str = ""
    gain: float = math.nan
    noise: float = math.nan
    verdict: str = UNKNOWN
    why_unknown: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)  # what else its sentence needs
    needs: tuple[str, ...] = ()  # presets that are not trained, where `why_unknown` is MISSING

    @property
    def known(self) -> bool:
        """Whether the run has the figures, be they enough for a verdict or not."""
        return self.why_unknown != MISSING


def judged(question: str, gain: float, noise: float, why: str = SEEDS, **found: Any) -> Claim:
    """A claim with the verdict that `gain` asks for: UNKNOWN, for the reason `why`, where it is
    smaller than `noise` (nan: nothing is) or 0."""
    verdict, why_unknown = UNKNOWN, why
    if gain != 0 and not abs(gain) < noise:
        verdict, why_unknown = AGREES if gain > 0 else DIFFERS, ""
    return Claim(
        question, gain=gain, noise=noise, verdict=verdict, why_unknown=why_unknown, **found
    )


def decided(question: str, agrees: bool, **found: Any) -> Claim:
    """A claim with a verdict that is not about one gain."""
    return Claim(question, verdict=AGREES if agrees else DIFFERS, **found)


def missing(question: str, *needs: str) -> Claim:
    """A claim that cannot be judged yet, for `needs` are not trained."""
    return Claim(question, why_unknown=MISSING, needs=needs)
