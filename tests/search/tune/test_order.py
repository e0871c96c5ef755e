"""A reproducible search: the same trials with any number of workers of any speed."""

from __future__ import annotations

import random

import pytest

from search.record.schema import DIVERGED, ERROR, PAUSE, STOP
from tests.search.toy import ToyTask
from tests.search.tune.schedulers.player import Player, outcomes

TASK = ToyTask(max_epochs=9, trouble=("nan", "raise", ""))
TRIALS = 18


class Shuffled(Player):
    """Workers of random speed."""

    def __init__(self, path, workers: int, seed: int = 0, sampler: str = "random", **settings):
        super().__init__(path, TASK, TRIALS, workers, sampler=sampler, **settings)
        self._random = random.Random(seed)

    def next_result(self) -> int:
        return self._random.randrange(len(self.running))


@pytest.mark.parametrize("scheduler", ["asha", "promotion", "none"])
def test_the_table_does_not_depend_on_the_workers_or_their_speed(tmp_path, scheduler):
    def play(name: str, workers: int, seed: int = 0) -> list:
        settings = {"scheduler": scheduler, "reproducible": 4}
        return outcomes(Shuffled(tmp_path / name, workers, seed, **settings).play().logbook)

    alone = play("1", 1)
    states = {state for _, state, *_ in alone}
    assert {DIVERGED, ERROR} <= states and len(alone) == TRIALS
    assert play("2", 2) == alone
    assert play("4", 4) == alone
    assert play("4 again", 4, seed=1) == alone
    assert play("7", 7) == alone
    decisions = {kind for _, _, _, _, kinds, _ in alone for kind in kinds}
    assert decisions & {"asha": {STOP}, "none": {"last"}}.get(scheduler, {PAUSE})


def test_suggestions_that_learn_are_the_same_too(tmp_path):
    tables = [
        outcomes(Shuffled(tmp_path / str(n), n, sampler="tpe", reproducible=4).play().logbook)
        for n in (1, 2, 4)
    ]
    assert tables[0] == tables[1] == tables[2]
    one = Shuffled(tmp_path / "lag", 2, sampler="tpe", reproducible=1).play()
    assert outcomes(one.logbook) != tables[0]


def test_one_place_gives_the_search_of_one_worker(tmp_path):
    plain = Shuffled(tmp_path / "plain", 1, sampler="tpe").play()
    ordered = Shuffled(tmp_path / "ordered", 3, sampler="tpe", reproducible=1).play()
    assert outcomes(ordered.logbook) == outcomes(plain.logbook)


@pytest.mark.parametrize("scheduler", ["asha", "promotion"])
def test_a_search_that_is_interrupted_again_and_again_keeps_its_order(tmp_path, scheduler):
    settings = {"scheduler": scheduler, "reproducible": 4}
    whole = Shuffled(tmp_path / "whole", 4, **settings).play()
    pieces, seed = Shuffled(tmp_path / "pieces", 3, **settings), 0
    while not pieces.play(7).is_done:
        seed += 1
        pieces = Shuffled(tmp_path / "pieces", 1 + seed % 4, seed, **settings)
    assert seed > 3 and outcomes(pieces.logbook) == outcomes(whole.logbook)
    ticks = [trial.tick for trial in whole.logbook.state.trials]
    assert [trial.tick for trial in pieces.logbook.state.trials] == ticks
