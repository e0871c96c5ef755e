"""What is searched: Optuna distributions, and one parameter that splits the trials into groups.

Trials of different groups (code sizes) do not compete: a code of 32 units never reconstructs as
well as a code of 1,024, and a search that compared them would neglect the small codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
)


@dataclass(frozen=True)
class Preset:
    """A named configuration. It is trained to the end, whatever its rank."""

    name: str
    parameters: dict


@dataclass(frozen=True)
class Space:
    """`distributions` are sampled; `group` is the parameter whose values, `groups`, take turns;
    `constants` are added to every sampled trial.

    If groups differ in what is sampled (probes of different kinds), `families` holds a space for
    each set of groups that share their distributions and learn from one another; each has a `name`.
    A parameter that several families have means the same in each. `meaning` gives the parameters
    that a group's name stands for."""

    distributions: dict[str, BaseDistribution]
    group: str
    groups: tuple
    constants: dict
    families: tuple[Space, ...] = ()
    meaning: Mapping[object, dict] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def of_families(cls, families: tuple[Space, ...], groups: tuple, meaning: Mapping) -> Space:
        """The space of all families' groups, which take turns in the order of `groups`."""
        distributions = {name: d for each in families for name, d in each.distributions.items()}
        return cls(distributions, families[0].group, groups, {}, families, meaning)

    def of(self, group: object) -> Space:
        """The family of a group; the whole space if there are no families."""
        return next((family for family in self.families if group in family.groups), self)

    def all_distributions(self) -> dict[str, BaseDistribution]:
        return {self.group: CategoricalDistribution(self.groups), **self.distributions}

    def distributions_of(self, group: object) -> dict[str, BaseDistribution]:
        """The distributions of a trial of that group, with the group parameter's own."""
        choice = CategoricalDistribution(self.groups)
        return {self.group: choice, **self.of(group).distributions}

    def as_json(self) -> dict:
        """The space as JSON-ready values, equal for equal spaces."""
        named = {name: distribution_to_json(d) for name, d in self.all_distributions().items()}
        values = {"group": self.group, "distributions": named, "constants": self.constants}
        if self.families:
            values["families"] = [family.as_json() for family in self.families]
        return values

    def nearest(self, parameters: dict) -> dict:
        """`parameters` with each value moved into its distribution: presets may lie outside
        (an L1 of zero where L1 is sampled on a log scale)."""
        return {
            name: nearest_value(distribution, parameters[name])
            for name, distribution in self.distributions.items()
        }


def pick(config: type, values: dict):
    """A `config` made from those `values` that are fields of it."""
    names = {each.name for each in fields(config)}
    return config(**{name: value for name, value in values.items() if name in names})


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def nearest_value(distribution: BaseDistribution, value):
    if isinstance(distribution, CategoricalDistribution):
        choices = distribution.choices
        if value in choices or not all(map(is_number, (value, *choices))):
            return value if value in choices else choices[0]
        return min(choices, key=lambda choice: abs(choice - value))
    inside = min(max(value, distribution.low), distribution.high)
    if distribution.step:
        steps = round((inside - distribution.low) / distribution.step)
        inside = min(distribution.low + steps * distribution.step, distribution.high)
    return inside
