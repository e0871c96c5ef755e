"""A search space as a user changes it: ranges are narrowed or replaced, values are fixed.

A space of several families (kinds of probes) has names such as `mlp.blocks`; a name without a
family means the parameter of every family that has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.task.ranges import Choices, Range, Value, Wanted, as_word
from search.task.settings import UsageError
from search.task.space import Space, is_number, nearest_value

_FLAGS = {"latent_size": "--latent-sizes", "probe": "--probes"}


def changed(space: Space, wanted: Mapping[str, Wanted]) -> Space:
    """`space` with the wanted ranges and values, by name. Raises UsageError for a name that the
    space does not have, with the nearest name that it has, and for values that a parameter cannot
    have."""
    _refuse_unknown(space, wanted)
    # A name with its family comes last and overrides: it is more specific.
    in_order = sorted(wanted.items(), key=lambda item: "." in item[0])
    families = [_changed_family(each, in_order) for each in space.families or (space,)]
    if not space.families:
        return families[0]
    return Space.of_families(tuple(families), space.groups, space.meaning)


def default_of(space: Space, name: str) -> BaseDistribution | Any:
    """The distribution of a parameter, or its value if it has one value."""
    found = space.distributions.get(name)
    return space.constants[name] if found is None else found


def differences(default: Space, now: Space) -> Iterator[tuple[str, Space, Space]]:
    """Each parameter in which `now` differs from `default`, with its family before and after."""
    for before, after in zip(default.families or (default,), now.families or (now,), strict=True):
        for name in (*before.distributions, *before.constants):
            if default_of(before, name) != default_of(after, name):
                yield name, before, after


def full_name(family: Space, name: str) -> str:
    return f"{family.name}.{name}" if family.name else name


def fits(name: str, value: Any, default: Space, now: Space) -> bool:
    """Whether a value lies in a parameter's range. Zero counts as the low end of a log scale, where
    the user did not raise it."""
    searched = default_of(now, name)
    if isinstance(searched, CategoricalDistribution):
        return value in searched.choices
    if not isinstance(searched, BaseDistribution):
        return value == searched
    if not is_number(value):
        return False
    if value == 0 and searched.log:
        before = default.distributions.get(name)
        return before is not None and before.log and searched.low <= before.low
    return searched.low <= value <= searched.high


def moved(name: str, value: Any, now: Space) -> Any:
    """The value of a parameter's range that is nearest to `value`."""
    searched = default_of(now, name)
    if not isinstance(searched, BaseDistribution):
        return searched
    if isinstance(searched, CategoricalDistribution) or is_number(value):
        return nearest_value(searched, value)
    return searched.low


def ends(searched: BaseDistribution | Any) -> tuple:
    """The values at which a range can be wrong: both its ends, or all its choices."""
    if isinstance(searched, CategoricalDistribution):
        return searched.choices
    if isinstance(searched, BaseDistribution):
        return searched.low, searched.high
    return (searched,)


def as_wanted(searched: BaseDistribution | Any, default: BaseDistribution | Any) -> Wanted | None:
    """What a user writes to turn `default` into `searched`; None for the value None."""
    if isinstance(searched, CategoricalDistribution):
        return Choices(tuple(searched.choices))
    if not isinstance(searched, BaseDistribution):
        return None if searched is None else Choices((searched,))
    step, plain = searched.step, 1 if isinstance(searched, IntDistribution) else None
    step = None if step == plain == getattr(default, "step", plain) else step
    log = searched.log or (False if getattr(default, "log", False) else None)
    return Range(searched.low, searched.high, None if log else step, log)


def _refuse_unknown(space: Space, wanted: Mapping[str, Wanted]) -> None:
    known = {
        known
        for family in space.families or (space,)
        for name in (*family.distributions, *family.constants)
        for known in (name, full_name(family, name))
    }
    for name in wanted:
        if name in known:
            continue
        if flag := _FLAGS.get(name.rpartition(".")[2]):
            raise UsageError(f"--set {name}: the flag for this is {flag}")
        near = get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
        raise UsageError(f"--set {name}: there is no such hyperparameter; the nearest is {near}")


def _changed_family(family: Space, wanted: list[tuple[str, Wanted]]) -> Space:
    distributions, constants = dict(family.distributions), dict(family.constants)
    for given, value in wanted:
        of_family, _, name = given.rpartition(".")
        if of_family not in ("", family.name) or name not in {*distributions, *constants}:
            continue
        new = _searched(given, default_of(family, name), value)
        if isinstance(new, BaseDistribution):
            constants.pop(name, None)
            distributions[name] = new
        else:
            distributions.pop(name, None)
            constants[name] = new
    return replace(family, distributions=distributions, constants=constants)


def _searched(name: str, default: BaseDistribution | Any, wanted: Wanted) -> Any:
    """The wanted distribution in place of `default`, or the value if it is fixed."""
    if isinstance(wanted, Range) and wanted.low == wanted.high:
        wanted = Choices((wanted.low,))
    if isinstance(wanted, Range):
        return _distribution(name, default, wanted)
    values = tuple(dict.fromkeys(_value(name, default, value) for value in wanted.values))
    return values[0] if len(values) == 1 else CategoricalDistribution(values)


def _distribution(name: str, default: BaseDistribution | Any, wanted: Range) -> BaseDistribution:
    kind = _kind(default)
    if kind is None:
        kind = int if isinstance(wanted.low, int) and isinstance(wanted.high, int) else float
    if kind not in (int, float):
        raise UsageError(f"--set {name}={wanted}: it has {_known(default)}, and no range")
    low, high = (_value(name, kind(0), end) for end in (wanted.low, wanted.high))
    log = getattr(default, "log", False) and not wanted.step if wanted.log is None else wanted.log
    if log and low <= 0:
        raise UsageError(
            f"--set {name}={wanted}: a log scale begins above 0 (or write "
            f"{as_word(low)}..{as_word(high)}/linear)"
        )
    step = None if log else _step(name, default, wanted, low, high)
    if kind is int:
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)


def _step(name: str, default: Any, wanted: Range, low: float, high: float) -> int | float | None:
    """The wanted step. If none is wanted, the default's step, if it divides the range."""
    step = getattr(default, "step", None) if wanted.step is None else wanted.step
    if step is None:
        return None
    if wanted.step is not None:
        step = _value(name, type(low)(0), step)
    size, left = divmod(_exact(high) - _exact(low), _exact(step))
    if not left:
        return step
    if wanted.step is None:
        return None
    last = type(low)(_exact(low) + size * _exact(step))
    raise UsageError(
        f"--set {name}={wanted}: steps of {as_word(step)} end at {as_word(last)}: make that the "
        "upper end, or take another step"
    )


def _exact(number: float) -> Decimal:
    return Decimal(str(number))


def _value(name: str, default: BaseDistribution | Any, value: Value) -> Value:
    """A value as the parameter takes it. Raises UsageError if the parameter cannot take it."""
    kind, told = _kind(default), f"--set {name}: {as_word(value)}"
    if kind in (int, float, None):
        if not is_number(value):
            raise UsageError(f"{told} is no number")
        if kind is None:
            return value
        if kind is int and value != int(value):
            raise UsageError(f"{told} is no whole number")
        return kind(value)
    choices = getattr(default, "choices", None)
    if kind is bool and not isinstance(value, bool) or choices and value not in choices:
        near = get_close_matches(str(value), [each for each in choices or () if each == str(each)])
        hint = f"; the nearest is {near[0]}" if near else ""
        raise UsageError(f"{told} is not possible, it has {_known(default)}{hint}")
    if kind is str and not isinstance(value, str):
        raise UsageError(f"{told} is no word")
    return value


def _kind(default: BaseDistribution | Any) -> type | None:
    """int, float, bool or str; None where the default has no value, but would be a number."""
    if isinstance(default, CategoricalDistribution):
        kinds = {type(choice) for choice in default.choices}
        return kinds.pop() if len(kinds) == 1 else str
    if isinstance(default, IntDistribution):
        return int
    if isinstance(default, FloatDistribution):
        return float
    return None if default is None else type(default)


def _known(default: BaseDistribution | Any) -> str:
    if isinstance(default, CategoricalDistribution):
        return f"the choices {', '.join(map(as_word, default.choices))}"
    return "the choices true, false" if isinstance(default, bool) else "choices"
