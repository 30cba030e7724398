"""Sign-flip test and group table against enumeration by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest

from mebold.compare import subjects
from mebold.errors import ConfigError, DataError


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_p_equals_enumeration(n, rng):
    for _ in range(5):
        d = rng.standard_normal(n) + 0.3
        signs = np.array(list(itertools.product([-1, 1], repeat=n)))
        expected = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-9)
        found = subjects.sign_flip(d)
        assert found.p == pytest.approx(expected)
        assert found.floor == 2 / 2**n
        assert found.exact


def test_all_of_one_sign_reach_the_floor_and_five_cannot_pass():
    found = subjects.sign_flip([1, 2, 3, 4, 5.0])
    assert found.p == found.floor == 0.0625
    assert subjects.sign_flip(-np.arange(1, 9)).p == 2 / 256


def test_p_is_invariant_and_one_for_no_difference(rng):
    d = rng.standard_normal(7)
    p = subjects.sign_flip(d).p
    assert subjects.sign_flip(-d).p == p
    assert subjects.sign_flip(1e-9 * d).p == p
    assert subjects.sign_flip(d[::-1]).p == p
    assert subjects.sign_flip(np.zeros(4)).p == 1


def test_p_is_uniform_under_the_null(rng):
    p = [subjects.sign_flip(rng.standard_normal(8)).p for _ in range(600)]
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.03)


def test_many_subjects_are_sampled_near_the_exact_value(rng):
    d = rng.standard_normal(20) + 0.4
    exact = subjects.sign_flip(d)
    sampled = subjects.sign_flip(np.append(d, 1e-12), n_sampled=20000, seed=1)
    assert not sampled.exact
    assert sampled.p == pytest.approx(exact.p, abs=0.02)


def test_bad_differences_are_refused():
    for bad in ([], [1.0, np.nan], np.ones((2, 2))):
        with pytest.raises(DataError, match="finite differences, one per subject"):
            subjects.sign_flip(bad)


def long_table():
    rows = []
    for subject in range(5):
        for session in ("01", "02")[: 1 + (subject == 0)]:
            for variant, value in (("standardSingle", 10.0), ("nordicOptcom", 14.0)):
                extra = subject + (5.0 if session == "02" else 0.0) * (variant == "nordicOptcom")
                rows.append(
                    (f"{subject}", session, "images", "n/a", variant, "dprime", value + extra)
                )
    columns = ["subject", "session", "task", "acquisition", "variant", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).assign(unit="1")


def test_group_table_averages_sessions_then_subjects():
    table = subjects.group_table(long_table(), references=["standardSingle", "nordicOptcom"])
    row = table.set_index(["variant", "reference"]).loc[("nordicOptcom", "standardSingle")]
    differences = np.array([6.5, 4, 4, 4, 4])
    assert row["n"] == 5
    assert row["mean_difference"] == pytest.approx(differences.mean())
    assert row["sem_difference"] == pytest.approx(differences.std(ddof=1) / np.sqrt(5))
    assert row["mean"] == pytest.approx(np.mean([16.5, 15, 16, 17, 18]))
    assert row["relative_percent"] == pytest.approx(100 * differences.mean() / 12)
    assert row["p"] == row["p_floor"] == 0.0625
    assert row["n_positive"] == 5
    assert len(table) == 2


def test_subjects_without_both_variants_are_left_out():
    table = long_table()
    table = table[~((table["subject"] == "3") & (table["variant"] == "nordicOptcom"))]
    row = subjects.group_table(table, references=["standardSingle"]).iloc[0]
    assert row["n"] == 4
    assert row["p_floor"] == 0.125


def test_one_subject_has_no_standard_error():
    table = long_table()
    row = subjects.group_table(table[table["subject"] == "1"], references=["standardSingle"]).iloc[
        0
    ]
    assert np.isnan(row["sem"])
    assert row["p"] == row["p_floor"] == 1


def test_unknown_reference_is_named():
    with pytest.raises(ConfigError, match="'nordicIca' is not in the table"):
        subjects.group_table(long_table(), references=["nordicIca"])
