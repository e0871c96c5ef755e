"""Medians, ratios and their text."""

from __future__ import annotations

from search.benchmark.figures import Spread, spread_text
from search.simulate.table import columns


def test_a_ratio_is_taken_repetition_by_repetition():
    slow_day = Spread.of_ratios([2.0, 20.0, 2.2], [1.0, 10.0, 1.0])
    assert (slow_day.median, slow_day.low, slow_day.high) == (2.0, 2.0, 2.2)
    assert spread_text(slow_day.as_json()) == "2 [2, 2.2]"
    assert spread_text(Spread.of([3.0]).as_json()) == "3 (once)"


def test_a_table_keeps_its_columns():
    assert columns(["of", "s"], [["ours", "1"], ["x", "10"]]) == [
        "of     s",
        "ours   1",
        "x     10",
    ]
