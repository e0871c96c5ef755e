"""What a run holds of the seed report's models, by the names of their presets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.read.runs import FAILED, Result, Run, preset_results
from analysis.read.seed_report import CLASSIFIERS, MODELS
from analysis.read.values import column, mapping


@dataclass(frozen=True)
class Presets:
    """A run's presets by name; if a preset ran twice, the first trial."""

    run: Run
    results: Mapping[str, Result]

    @classmethod
    def of(cls, run: Run) -> Presets:
        return cls(run, {result.preset: result for result in reversed(preset_results(run))})

    def get(self, name: str) -> Result:
        return self.results.get(name, Result())

    def trained(self, name: str) -> bool:
        """Trained to the full budget; final.json lists no other preset, and gives no state."""
        return name in self.results and self.results[name].state in ("", "complete")

    def untrained(self, *names: str) -> list[str]:
        return [name for name in names if not self.trained(name)]

    @property
    def left_out(self) -> frozenset[str]:
        """The presets that the run does not train, because they lie outside its own ranges."""
        return frozenset(mapping(self.run.info.get("left_out")))

    @property
    def of_seed_report(self) -> bool:
        """Whether the run trained an autoencoder or a classifier of the seed report."""
        return any(self.trained(model.preset) for model in (*MODELS, *CLASSIFIERS))

    def failed(self, name: str) -> bool:
        return self.get(name).state in FAILED

    def own(self, name: str, metric: str) -> float:
        """What the search's own network reached; nan unless it was trained to the full budget."""
        return self.results[name].own(metric) if self.trained(name) else math.nan

    def tested(self, names: Iterable[str], what: str) -> tuple[str, dict[str, float]]:
        """The metric `test_<what>`, or `validation_<what>` where a preset is not tested, and its
        values; an empty name and no values where a preset has neither."""
        for split in ("test", "validation"):
            values = {name: self.own(name, f"{split}_{what}") for name in names}
            if values and np.isfinite([*values.values()]).all():
                return f"{split}_{what}", values
        return "", {}

    def setting(self, name: str, parameter: str) -> float:
        """A number of a preset's trial; nan if there is none."""
        trials = self.run.trials[self.run.trials["preset"] == name]
        return float(column(trials, parameter).iloc[0]) if len(trials) else math.nan

    def curve(self, name: str, metric: str) -> pd.Series:
        """Finite values by epoch of a preset; none unless it was trained to the full budget."""
        return self.any_curve(name, metric) if self.trained(name) else pd.Series(dtype=float)

    def any_curve(self, name: str, metric: str) -> pd.Series:
        """Finite values by epoch of a preset, in whatever state it ended."""
        rows = self.run.epochs[self.run.epochs["id"] == self.get(name).trial]
        values = pd.Series(column(rows, metric).to_numpy(), rows["epoch"].to_numpy(), dtype=float)
        return values[np.isfinite(values)].sort_index()

    def turn(self, names: Iterable[str]) -> int:
        """The number of trials at which these presets are all trained: presets come first."""
        order = list(mapping(self.run.info.get("presets")))
        turns = [order.index(name) + 1 for name in names if name in order]
        return max(turns, default=len(self.run.trials) + len([*names]))
