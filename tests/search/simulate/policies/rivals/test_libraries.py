"""Each library of the extra `rivals` searches, where it is installed."""

from __future__ import annotations

import pytest

from search.simulate.policies.choices import LIBRARIES, POLICIES
from search.simulate.replay import replay
from tests.search.simulate.made import EPOCHS, made


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, each in POLICIES.items() if each.kind == LIBRARIES])
def test_a_library_spends_its_budget_and_repeats_itself(name):
    if not POLICIES[name].installed:
        pytest.skip(f"needs {POLICIES[name].needs}")
    curves, found = made(), []
    for _ in range(2):
        replays = list(replay(curves, name, 0, 10 * EPOCHS, 1, 1))[-1]
        assert sum(trial.epochs for trial in replays.trials) == 10 * EPOCHS
        assert max(trial.epochs for trial in replays.trials) == EPOCHS  # some get all epochs
        assert len(replays.trials) > 10  # and most do not
        found.append([(trial.row, trial.epochs) for trial in replays.trials])
    assert found[0] == found[1]
