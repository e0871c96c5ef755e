"""A search in logical order: what a trial may see."""

from __future__ import annotations

import numpy as np
import pytest

from search.simulate.policies.logical import Logical
from search.simulate.policies.protocol import Setting
from tests.search.simulate.made import EPOCHS, made

TRIALS, CHANGED = 30, 14


def course(tmp_path, lag: int, shown: int | None, change) -> list[tuple[dict, int]]:
    """The hyperparameters of each trial and the epochs that it got; `change` may alter the losses
    of the trial number `CHANGED`."""
    setting = Setting(made(), 0, 300, 1, tmp_path)
    policy, found = Logical(setting, lag, shown), []
    draw = np.random.default_rng(1)
    for number in range(TRIALS):
        losses = np.sort(draw.random(EPOCHS))[::-1]
        losses = change(losses) if number == CHANGED else losses
        asked, parameters = policy.ask()
        epoch = 0
        while policy.tell(asked, epoch + 1, losses[epoch]):
            epoch += 1
        found.append((parameters, epoch + 1))
    return found


def first_difference(one: list, other: list) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), TRIALS)


@pytest.mark.parametrize("lag", [1, 4])
def test_a_trial_sees_the_trials_up_to_the_lag_before_it(tmp_path, lag):
    plain = course(tmp_path, lag, 1, lambda losses: losses)
    changed = course(tmp_path, lag, 1, lambda losses: losses / 1000)
    # The trial itself changes, for it goes on. The next one that may is the one after the lag.
    assert plain[:CHANGED] == changed[:CHANGED]
    assert plain[CHANGED + 1 : CHANGED + lag] == changed[CHANGED + 1 : CHANGED + lag]
    after = first_difference(plain[CHANGED + 1 :] + [0], changed[CHANGED + 1 :] + [1])
    assert lag - 1 <= after < TRIALS - CHANGED - 1


def test_a_suggestion_sees_no_later_epoch_than_it_may(tmp_path):
    def later(losses):
        return np.concatenate([losses[:3], losses[3:] / 1000])

    plain = course(tmp_path, 1, 3, lambda losses: losses / 10)
    changed = course(tmp_path, 1, 3, lambda losses: later(losses / 10))
    assert [p for p, _ in plain] == [p for p, _ in changed]
