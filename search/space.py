"""What is searched: Optuna distributions, and one group parameter that each trial is given.

Trials of different groups (code sizes) are not rivals: a code of 32 units never reconstructs as
well as one of 1,024, and a search that compared them would stop studying the small ones.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
)


@dataclass(frozen=True)
class Preset:
    """A named setting that runs to the end beside the sampled ones."""

    name: str
    parameters: dict


@dataclass(frozen=True)
class Space:
    """`distributions` are sampled; `group` is the parameter that splits the search into
    `groups`, which take turns; `constants` complete every sampled trial."""

    distributions: dict[str, BaseDistribution]
    group: str
    groups: tuple
    constants: dict

    def all_distributions(self) -> dict[str, BaseDistribution]:
        return {self.group: CategoricalDistribution(self.groups), **self.distributions}

    def as_json(self) -> dict:
        """The space as JSON-ready values, equal for equal spaces."""
        named = {name: distribution_to_json(d) for name, d in self.all_distributions().items()}
        return {"group": self.group, "distributions": named, "constants": self.constants}

    def nearest(self, parameters: dict) -> dict:
        """`parameters` with each value moved into its distribution: presets may lie outside
        (an L1 of zero where L1 is sampled on a log scale)."""
        return {
            name: _nearest(distribution, parameters[name])
            for name, distribution in self.distributions.items()
        }


def pick(config: type, values: dict):
    """A configuration from those of `values` that it has fields for."""
    names = {each.name for each in fields(config)}
    return config(**{name: value for name, value in values.items() if name in names})


def _nearest(distribution: BaseDistribution, value):
    if isinstance(distribution, CategoricalDistribution):
        return value if value in distribution.choices else distribution.choices[0]
    inside = min(max(value, distribution.low), distribution.high)
    if distribution.step:
        steps = round((inside - distribution.low) / distribution.step)
        inside = min(distribution.low + steps * distribution.step, distribution.high)
    return inside
