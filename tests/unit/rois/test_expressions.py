"""Regions made of others: what is read, in which order, and what is refused."""

import numpy as np
import pytest

from mebold.errors import ConfigError
from mebold.rois import expressions

A, B, C = (np.isin(np.arange(8), place) for place in ([0, 1, 2], [1, 2, 3], [2, 3, 4]))
REGIONS = {"A": A, "B": B, "C": C}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A | B", [0, 1, 2, 3]),
        ("A & B", [1, 2]),
        ("A - B", [0]),
        ("A | B - C", [0, 1, 2]),  # as in Python: - first
        ("(A | B) - C", [0, 1]),
        ("A & B | C", [1, 2, 3, 4]),
        ("A - B & C", []),
        (" ((A)) ", [0, 1, 2]),
    ],
)
def test_values(text, wanted):
    made, left_out = expressions.evaluate({"X": text}, REGIONS)
    assert np.flatnonzero(made["X"]).tolist() == wanted
    assert left_out == {}


def test_expressions_are_made_of_each_other_in_any_order():
    wanted = {"Y": "X - C", "X": "A | B"}
    assert expressions.order(wanted) == ["X", "Y"]
    made, _ = expressions.evaluate(wanted, REGIONS)
    assert np.flatnonzero(made["Y"]).tolist() == [0, 1]
    assert A.sum() == 3  # operands are left alone


@pytest.mark.parametrize(
    "text",
    ["A +", "A + B", "~A", "f(A)", "A.any", "A[0]", "1", "A if B else C", "A and B", "", "3a",
     "__import__('os')", "A == B", "lambda: A", "(A, B)", "[A for A in B]", "(" * 500],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match=r"rois.expressions.*X: .*accepted are names of regions"):
        expressions.parse("X", text)


def test_circles_are_named():
    with pytest.raises(ConfigError, match="X, Y are made of each other"):
        expressions.order({"X": "Y", "Y": "X | A", "Z": "A"})


def test_unknown_names():
    wanted = {"X": "A | Bb", "Y": "X - A", "Z": "A"}
    said = r"X: 'A \| Bb' needs Bb \(did you mean B\?\), which is no region of sub-01; there are A"
    with pytest.raises(ConfigError, match=said):
        expressions.evaluate(wanted, REGIONS, owner="sub-01")
    made, left_out = expressions.evaluate(wanted, REGIONS, leave_out=True)
    assert set(made) == {"Z"}
    assert left_out == {"X": "Bb unknown", "Y": "Bb unknown"}
