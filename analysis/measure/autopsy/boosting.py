"""Why boosting fails on the codes of an autoencoder where forests do not, and which formulation of
the task changes that."""

from __future__ import annotations

import re
from dataclasses import dataclass

from analysis.measure.autopsy.costs import Cost, baseline, levels, lost, size
from analysis.measure.autopsy.forests import CLASSES, forest_on_all_classes
from analysis.read.autopsy import BOOSTING, Autopsy, Measurement

PROBE, SETTINGS = "catboost", "CatBoost"  # the probe, and the factor that varies its settings
ALL_AT_ONCE = "all classes at once"
AS_GOOD = 0.9  # the share of a forest's accuracy from which boosting does not fail


@dataclass(frozen=True)
class Boosting:
    """The answer. The best formulation of the task comes first."""

    formulations: tuple[Measurement, ...]
    direct: Measurement | None  # all classes at once
    forest: Measurement | None  # on as many classes
    classes: float  # of the data set
    fewest: Measurement | None  # the direct formulation with the fewest classes, and with the most
    most: Measurement | None
    setting: Measurement | None  # the best of its own settings beside the default
    setting_gain: Cost | None

    @property
    def fails(self) -> bool:
        """Whether boosting all classes at once is worse than a forest."""
        if self.direct is None:
            return False
        return not (self.forest and self.direct.accuracy >= AS_GOOD * self.forest.accuracy)

    @property
    def better(self) -> list[Measurement]:
        """The formulations that do better than all classes at once."""
        return [row for row in self._others if lost(row, self.direct).real]

    @property
    def no_better(self) -> list[Measurement]:
        return [row for row in self._others if not lost(row, self.direct).real]

    @property
    def _others(self) -> list[Measurement]:
        return [row for row in self.formulations if self.direct and row is not self.direct]


def boosting(autopsy: Autopsy) -> Boosting:
    measured = autopsy.measured(BOOSTING)
    ranked = tuple(sorted(measured, key=lambda row: (-row.accuracy, row.level)))
    base = baseline(autopsy, CLASSES, PROBE)
    counts = [*levels(autopsy, CLASSES, PROBE), *([base] if base else [])]
    counts.sort(key=lambda row: size(row.level))
    few, most = (counts[0], counts[-1]) if len(counts) > 1 else (None, None)
    default, settings = baseline(autopsy, SETTINGS, PROBE), levels(autopsy, SETTINGS, PROBE)
    best = max(settings, key=lambda row: (row.accuracy, row.level), default=None)
    return Boosting(
        formulations=ranked,
        direct=next((row for row in ranked if row.level == ALL_AT_ONCE), None),
        forest=forest_on_all_classes(autopsy),
        classes=autopsy.all_classes,
        fewest=few,
        most=most,
        setting=best if default else None,
        setting_gain=lost(best, default) if best and default else None,
    )


def iterations(row: Measurement) -> int:
    """Iterations of boosting that the note of a fit counts; 0 where it counts none."""
    done = re.match(r"(\d+) iterations? in\b", row.note)
    return int(done[1]) if done else 0
