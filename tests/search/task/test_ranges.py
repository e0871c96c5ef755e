"""What a user wants for a hyperparameter, as text and from Python."""

from __future__ import annotations

import numpy as np
import pytest

from search.task.ranges import Choices, Range, as_texts, read_wanted
from search.task.settings import UsageError


@pytest.mark.parametrize(
    ("text", "value", "wanted"),
    [
        ("2..8", (2, 8), Range(2, 8)),
        ("1e-4..1e-2", (1e-4, 1e-2), Range(1e-4, 1e-2)),
        ("0..0.3/0.1", {"low": 0, "high": 0.3, "step": 0.1}, Range(0, 0.3, 0.1)),
        ("1..9/log", {"low": 1, "high": 9, "log": True}, Range(1, 9, None, True)),
        ("0..1/linear", {"low": 0, "high": 1, "log": False}, Range(0, 1, None, False)),
        ("-1..1", (np.int64(-1), 1), Range(-1, 1)),
        ("relu,silu", ["relu", "silu"], Choices(("relu", "silu"))),
        ("true", True, Choices((True,))),
        ("0.1", np.float32(0.5) - np.float32(0.4), Choices((0.1,))),
        ("none", "none", Choices(("none",))),
    ],
)
def test_text_and_python_values_say_the_same(text, value, wanted):
    (found,) = read_wanted([f"x={text}"]).values()
    assert found == wanted
    (same,) = read_wanted({"x": value}).values()
    assert type(same) is type(wanted)
    if not isinstance(value, np.floating):
        assert same == wanted
    assert read_wanted(as_texts({"x": found})) == {"x": wanted}


def test_wishes_are_ordered_by_name_so_that_equal_ones_have_equal_texts():
    one, other = ["depth=2..8", "l1=0"], {"l1": 0, "depth": (2, 8)}
    assert as_texts(read_wanted(one)) == as_texts(read_wanted(other)) == ("depth=2..8", "l1=0")


@pytest.mark.parametrize(
    "given",
    [
        ["depth"],
        ["depth="],
        ["=3"],
        ["depth=8..2"],
        ["depth=2..x"],
        ["depth=nan..3"],
        ["depth=2..inf"],
        ["depth=2..8/0"],
        ["depth=2..8/2/log"],
        ["depth=2", "depth=3"],
        ["depth=2,2"],
        ["activation=relu,,silu"],
        {"depth": (2, 3, 4)},
        {"depth": []},
        {"depth": None},
        {"depth": {"low": 2}},
        {"depth": {"low": 2, "high": 8, "stride": 2}},
        {"depth": (True, 8)},
        {"depth": object()},
    ],
)
def test_what_cannot_be_read_is_one_line(given):
    with pytest.raises(UsageError) as error:
        read_wanted(given)
    assert "\n" not in str(error.value) and len(str(error.value)) > 10
