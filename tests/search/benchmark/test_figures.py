"""Medians, ratios and their text."""

from __future__ import annotations

from search.benchmark.figures import ratio_spread, spread, spread_text
from search.simulate.table import columns


def test_a_ratio_is_taken_repetition_by_repetition():
    slow_day = ratio_spread([2.0, 20.0, 2.2], [1.0, 10.0, 1.0])
    assert slow_day == {"median": 2.0, "low": 2.0, "high": 2.2, "repetitions": 3}
    assert spread_text(slow_day) == "2 [2, 2.2]"
    assert spread_text(spread([3.0])) == "3 (once)"


def test_a_table_keeps_its_columns():
    assert columns(["of", "s"], [["ours", "1"], ["x", "10"]]) == [
        "of     s",
        "ours   1",
        "x     10",
    ]
