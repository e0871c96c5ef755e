"""Libraries that ask for epochs: their trials go on where they stopped, and hear their best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search.simulate.policies.rivals.numbers import Choice, Numbers, Range
from search.simulate.policies.rivals.up_to import Job, UpTo
from search.simulate.replay import simulate
from tests.search.simulate.made import EPOCHS, GROUP, SIZES, made


class Planned:
    """A library that asks by a plan, and keeps the losses that it hears."""

    def __init__(self, numbers: Numbers, plan: list[tuple[str, int]]):
        draw = np.random.default_rng(0)
        drawn = {key: _drawn(numbers, draw) for key, _ in plan}
        self._jobs = iter([Job(key, drawn[key], to, (key, to)) for key, to in plan])
        self.heard: list[tuple] = []

    def ask(self) -> Job:
        return next(self._jobs)

    def tell(self, token, loss: float) -> None:
        self.heard.append((token, loss))


def _drawn(numbers: Numbers, draw: np.random.Generator) -> dict:
    return {
        name: int(draw.integers(each.count)) if isinstance(each, Choice) else each.low
        for name, each in numbers.domains.items()
    }


def test_a_trial_goes_on_and_the_library_hears_its_lowest_loss():
    curves = made()
    values = curves.values.copy()
    values[:, 3:] += 1  # the lowest loss is not the last
    curves = replace(curves, values=values)
    numbers = Numbers(curves.space)
    plan = [("a", 1), ("b", 3), ("a", 1), ("a", 9), ("c", 9)]
    library = Planned(numbers, plan)
    policy = UpTo(curves, library, numbers.parameters)
    replays = list(simulate(curves, policy, 1 + 3 + 8, 1))[-1]
    assert [trial.epochs for trial in replays.trials] == [9, 3, 0]
    of_a, of_b = (curves.losses[replays.trials[n].row] for n in (0, 1))
    asked_again = (("a", 1), of_a[0])  # answered at once: it had this epoch
    assert library.heard == [
        (("a", 1), of_a[0]),
        (("b", 3), of_b[:3].min()),
        asked_again,
        (("a", 9), of_a.min()),
    ]


def test_a_diverged_trial_counts_as_the_highest_loss():
    curves = made()
    curves = replace(curves, values=np.where(np.arange(EPOCHS) < 2, curves.values, np.nan))
    numbers = Numbers(curves.space)
    library = Planned(numbers, [("a", 9), ("b", 1)])
    policy = UpTo(curves, library, numbers.parameters)
    first, _ = policy.ask()
    losses = [policy.tell(first, n + 1, v) for n, v in enumerate((0.5, np.nan))]
    assert losses == [True, False]
    assert library.heard == [(("a", 9), min(0.5, np.nanmax(curves.losses)))]


def test_numbers_stand_for_the_hyperparameters_of_the_space():
    space = made().space
    numbers = Numbers(space)
    assert numbers.domains[GROUP] == Choice(len(SIZES))
    assert numbers.domains["learning_rate"] == Range(5e-4, 1e-2, whole=False, log=True)
    found = numbers.parameters(_drawn(numbers, np.random.default_rng(1)))
    for name, distribution in space.all_distributions().items():
        assert distribution._contains(distribution.to_internal_repr(found[name]))
