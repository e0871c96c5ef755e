"""The time budget: its clock cannot be set, and it counts while the machine sleeps."""

from __future__ import annotations

import time

import pytest

from models import machine
from search.tune.limits import TimeBudget


def test_the_time_in_which_the_machine_sleeps_counts(monkeypatch):
    """Then the clock of the boot goes on and the monotonic clock stands still."""
    slept, read = [0.0], time.clock_gettime
    monkeypatch.setattr(
        machine.time,
        "clock_gettime",
        lambda clock: read(clock) + (slept[0] if clock == time.CLOCK_BOOTTIME else 0.0),
    )
    budget = TimeBudget(100.0)
    assert not budget.is_spent() and not budget.stop_all()
    slept[0] = 101.0
    assert budget.is_spent() and budget.stop_all()


@pytest.mark.parametrize("step", [-1e6, 1e6])
def test_setting_the_clock_does_not_change_the_budget(monkeypatch, step):
    budget, now = TimeBudget(100.0), time.time
    monkeypatch.setattr(time, "time", lambda: now() + step)
    assert not budget.stop_all() and not TimeBudget(None).stop_all()
