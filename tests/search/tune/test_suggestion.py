"""What is tried next: it depends on the history alone, and learns for every code size."""

from __future__ import annotations

import statistics

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search.record.schema import COMPLETE, DIVERGED, PRUNED, RUNNING
from search.record.state import TrialRecord
from search.task.space import Space
from search.tune.suggestion import Suggester

SPACE = Space(
    {
        "x": FloatDistribution(0.0, 1.0),
        "rate": FloatDistribution(1e-4, 1.0, log=True),
        "depth": IntDistribution(1, 9),
        "step": FloatDistribution(0.0, 0.3, step=0.05),
        "kind": CategoricalDistribution(("a", "b", "c")),
    },
    group="size",
    groups=(1024, 32),
    constants={},
)


def trial(number, group, parameters, values, state=COMPLETE):
    records = [{"epoch": n, "mse": value} for n, value in enumerate(values, 1)]
    return TrialRecord(number, "sampled", group, {"size": group, **parameters}, records, state)


def suggested(history, space, group, number, sampler="tpe"):
    """What a new suggester that was shown `history` suggests for the trial of that number."""
    suggester = Suggester(space, "mse", "min", sampler)
    for each in history:
        suggester.update(each)
    return suggester.suggest(group, 0, number)


def ask(history, group=1024, number=None, **options):
    number = len(history) if number is None else number
    return suggested(history, SPACE, group, number, **options)


def played(rounds, value, **options):
    """A history that the searcher wrote itself, with values from a known function."""
    history = []
    for number in range(rounds):
        group = SPACE.groups[number % 2]
        parameters = ask(history, group, **options)
        history.append(trial(number, group, parameters, [value(parameters, group)]))
    return history


def bowl(parameters, group):
    """Best at x = 0.2 for every size; a large code is a hundred times better everywhere."""
    return (0.01 + (parameters["x"] - 0.2) ** 2) * (1 if group == 32 else 0.01)


def test_the_same_history_gives_the_same_suggestion():
    history = played(14, bowl)
    assert ask(history) == ask(history)
    assert ask(history, number=99) != ask(history)


def test_suggestions_lie_in_the_space():
    for record in played(25, bowl):
        for name, distribution in SPACE.distributions.items():
            value = record.parameters[name]
            assert distribution._contains(distribution.to_internal_repr(value))


def test_it_learns_and_for_every_size():
    tpe = [t for t in played(60, bowl) if t.number >= 30]
    random = [t for t in played(60, bowl, sampler="random") if t.number >= 30]
    for size in SPACE.groups:

        def miss(trials, size=size):
            return statistics.median(
                abs(t.parameters["x"] - 0.2) for t in trials if t.group == size
            )

        assert miss(tpe) < 0.6 * miss(random)


def test_a_pruned_trial_ranks_below_a_finished_one_whatever_its_value():
    """An early value is not a result. As a result, it would pull the search to x = 0.9."""
    finished = [
        trial(n, 1024, ask([], number=n) | {"x": 0.1 + 0.01 * n}, [0.5, 0.2]) for n in range(8)
    ]
    pruned = [
        trial(8 + n, 1024, ask([], number=8 + n) | {"x": 0.9 + 0.005 * n}, [0.1], PRUNED)
        for n in range(12)
    ]
    near_finished = [
        abs(ask(finished + pruned, number=n)["x"] - 0.15) < 0.25 for n in range(20, 50)
    ]
    assert statistics.fmean(near_finished) > 0.7


def test_presets_outside_the_space_and_trials_without_a_value_do_no_harm():
    odd = {"x": 3.0, "rate": 0.0, "depth": 99, "step": 0.33, "kind": "a"}
    history = [
        trial(0, 1024, odd, [0.5]),
        trial(1, 32, odd, [], RUNNING),
        trial(2, 32, odd, [float("nan")], DIVERGED),
        *played(12, bowl),
    ]
    assert set(ask(history)) == set(SPACE.distributions)


@pytest.mark.parametrize(("value", "nearest"), [(0.0, 1e-4), (5.0, 1.0), (0.5, 0.5)])
def test_nearest_moves_a_value_into_its_distribution(value, nearest):
    parameters = {"x": 0.5, "rate": value, "depth": 4, "step": 0.3, "kind": "b"}
    assert SPACE.nearest(parameters)["rate"] == nearest


# Families: groups that are not all alike

KNN = Space({"k": IntDistribution(1, 9)}, "model", ("knn-1", "knn-2"), {"views": 1})
TREES = Space({"leaf": IntDistribution(1, 4)}, "model", ("trees-1", "trees-2"), {})
PROBES = Space.of_families((KNN, TREES), ("knn-1", "trees-1", "knn-2", "trees-2"), {})


def family_trial(number, group, parameters, value):
    records = [{"epoch": 1, "mse": value}]
    parameters = {"model": group, **parameters}
    return TrialRecord(number, "sampled", group, parameters, records, COMPLETE)


def test_a_group_is_asked_for_what_its_family_has():
    for group, names in (("knn-2", {"k"}), ("trees-1", {"leaf"})):
        assert set(suggested([], PROBES, group, 0)) == names


def test_a_family_learns_from_its_own_groups_and_from_no_other():
    knn = [
        family_trial(n, ("knn-1", "knn-2")[n % 2], {"k": 1 + n % 9}, abs(1 + n % 9 - 7))
        for n in range(40)
    ]
    trees = [family_trial(40 + n, "trees-1", {"leaf": 1 + n % 4}, float(n)) for n in range(40)]
    alone = [suggested(knn, PROBES, "knn-1", n)["k"] for n in range(80, 110)]
    beside = [suggested(knn + trees, PROBES, "knn-1", n)["k"] for n in range(80, 110)]
    assert alone == beside
    assert statistics.fmean(abs(k - 7) <= 2 for k in alone) > 0.6


def test_spaces_of_families_are_told_apart():
    other = Space.of_families((TREES, KNN), PROBES.groups, {})
    assert PROBES.as_json() == Space.of_families((KNN, TREES), PROBES.groups, {}).as_json()
    assert PROBES.as_json() != other.as_json()
    assert set(PROBES.distributions_of("knn-1")) == {"model", "k"}
    assert PROBES.distributions_of("knn-1")["model"].choices == PROBES.groups
