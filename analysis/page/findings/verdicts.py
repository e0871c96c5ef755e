"""What the claims of the seed report's text are judged by: the words of a verdict, the noise of
seeds, and what a run holds of the report's models.

A sentence begins with the claim and ends with whether ours agrees, which the run's numbers decide.
Where they differ by less than retrained networks of one configuration do, neither is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.page import blocks
from analysis.read.runs import FAILED, Result, Run, column, mapping, preset_results
from analysis.read.seed_report import MODELS
from analysis.tables.frames import accuracy, spread

AGREES = "ours **agrees**"
DIFFERS = "ours **differs**"
NEITHER = "ours shows **neither**, for seeds of one configuration differ as much"
WITHIN_CHANCE = "ours shows **neither**, for seeds and so few test images leave as much to chance"
APART = 2 * math.sqrt(2)
"""Standard deviations over seeds by which two networks differ that are told apart: twice the
deviation of a difference of two."""

SIMPLE_DAE, DAE, DEEP_DAE, WEAK_DAE, SAE, DEEP_SAE = (model.preset for model in MODELS)


@dataclass(frozen=True)
class Presets:
    """A run's presets that were trained to the end, by name; of one run twice, the first."""

    run: Run
    results: Mapping[str, Result]

    @classmethod
    def of(cls, run: Run) -> Presets:
        return cls(run, {result.preset: result for result in reversed(preset_results(run))})

    def known(self, name: str) -> bool:
        """Trained to the full budget; final.json lists no other preset, and gives no state."""
        result = self.results.get(name)
        return result is not None and result.state in ("", "complete")

    def own(self, name: str, metric: str) -> float:
        return self.results[name].own(metric) if self.known(name) else math.nan

    def setting(self, name: str, parameter: str) -> float:
        """Of a preset's trial, a number."""
        trials = self.run.trials[self.run.trials["preset"] == name]
        return float(column(trials, parameter).iloc[0]) if len(trials) else math.nan

    def errors(self, *names: str) -> tuple[str, list[float]]:
        """The MSE of each on the test split, or on validation where one is not tested; none where
        one is not measured at all."""
        for split in ("test", "validation"):
            values = [self.own(name, f"{split}_mse") for name in names]
            if np.isfinite(values).all():
                return f"{split} MSE", values
        return "", []

    def curve(self, name: str) -> pd.DataFrame:
        trial = self.results[name].trial if self.known(name) else None
        return self.run.epochs[self.run.epochs["id"] == trial]

    def gap(self, claim: str, names: Iterable[str]) -> str:
        """What cannot be judged, why, and the command that changes that."""
        missing = [name for name in names if not self.known(name)]
        bad = [name for name in missing if self._state(name) in FAILED]
        rest = [name for name in missing if name not in bad]
        why = [f"{_listed(bad)} diverged or failed"] if bad else []
        why += [f"{_listed(rest)} not trained to the end"] if rest else []
        words = f"{claim}: {', '.join(why) or 'figures are missing'}."
        return words if bad and not rest else f"{words} {to_go_on(self.run, self._grown(rest))}"

    def least(self) -> float:
        """The least share of an error that a difference must be to count; nan if not known."""
        return APART * seed_scatter(retrained_results(self.run), "test_mse", relative=True)

    def _state(self, name: str) -> str:
        return self.results[name].state if name in self.results else ""

    def _grown(self, missing: Sequence[str]) -> int:
        """Trials that the run must grow to, presets first, if it ended before their turn."""
        order = list(mapping(self.run.info.get("presets")))
        turns = [order.index(name) + 1 for name in missing if name in order]
        return max(turns, default=len(self.run.trials) + len(missing) if missing else 0)


def judgements(claims: Mapping[str, Iterator[str]], gap: Callable[[str], str]) -> Iterator[str]:
    """Each claim's sentences, then one of `gap` on those that have none."""
    left = []
    for title, sentences in claims.items():
        told = list(sentences)
        yield from told
        left += [] if told else [title]
    if left:
        yield gap(f"Not judged yet ({', '.join(left)})")


def agreement(gain: float, least: float, neither: str = NEITHER) -> str:
    """By how much ours goes the way the report says, the least that counts (nan: any), and what
    is said of less."""
    if abs(gain) < or_zero(least) or gain == 0:
        return neither
    return AGREES if gain > 0 else DIFFERS


def differs_to(gap: float) -> str:
    return f"{DIFFERS}, it is {'higher' if gap > 0 else 'lower'}"


def retrained_results(run: Run) -> list[Result]:
    """Configurations with two seeds or more, each once."""
    listed = [*run.final.winners, *run.final.presets] if run.final else []
    return list({one.trial: one for one in listed if one.seeds > 1}.values())


def seed_scatter(results: Iterable[Result], metric: str, relative: bool = False) -> float:
    """Standard deviation over seeds, pooled over configurations; `relative` to each mean."""
    found = [
        one.deviation(metric) / (one.value(metric) if relative else 1.0)
        for one in results
        if one.value(metric) > 0 and math.isfinite(one.deviation(metric))
    ]
    return math.sqrt(float(np.mean(np.square(found)))) if found else math.nan


def decrease(before: float, after: float) -> float:
    """How much less `after` is, as a share of `before`."""
    return (before - after) / before if before > 0 else math.nan


def change(before: float, after: float) -> str:
    """What `after` is more or less than `before`, in hundredths of it.

    >>> change(0.04816, 0.03146), change(0.02, 0.0201)
    ('-35 %', '+0.5 %')
    """
    share = -100 * decrease(before, after)
    return f"{share:+.0f} %" if abs(share) >= 10 else f"{share:+.1f} %"


def percent(value: float) -> str:
    """A fraction in hundredths, two digits.

    >>> percent(0.0367), percent(0.55)
    ('3.7 %', '55 %')
    """
    return f"{100 * value:.0f} %" if value >= 0.0995 else f"{100 * value:.2g} %"


def accuracy_of(result: Result) -> str:
    """Mean and deviation over seeds."""
    deviation = result.deviation("test_accuracy")
    return spread(result.value("test_accuracy"), deviation, result.seeds, accuracy, True)


def to_go_on(run: Run, trials: int = 0) -> str:
    """The command that goes on with a run or, of one that ended, measures what it left out."""
    flags = ""
    if run.finished:
        flags = f" --num-samples {trials}" if trials else " --final-seeds 3"
    return f"`{blocks.resume_command(run)}{flags}` goes on."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0
