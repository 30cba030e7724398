"""The verdict on a run: each reason moves it, and nothing else does."""

import pytest
import yaml

from mebold.jobs.configuration import SCHEMA
from mebold.report.verdict import BAD, GOOD, LIMITS, LOOK, NONE, judge, tally

QUIET = {"fd_mean": 0.1, "outliers_perc": 2.0, "tsnr": 50.0, "size_t": 160}


def test_limits_are_those_of_the_schema():
    section = yaml.safe_load(SCHEMA.read_text())["properties"]["report"]["properties"]
    assert {key: section[key]["default"] for key in LIMITS} == LIMITS
    assert set(section) == set(LIMITS) | {"pages"}


def test_a_quiet_run_is_good_and_has_no_reason():
    found = judge(QUIET, LIMITS, others=[QUIET] * 4)
    assert (found.level, found.reasons) == (GOOD, [])


@pytest.mark.parametrize(
    ("numbers", "level", "words"),
    [
        ({"fd_mean": 0.26}, LOOK, "0.26 mm (limit 0.25 mm)"),
        ({"fd_mean": 0.7}, BAD, "0.70 mm (limit 0.55 mm)"),
        ({"outliers_perc": 12.0}, LOOK, "12 % of the volumes"),
        ({"outliers_perc": 31.0}, BAD, "(limit 30 %)"),
        ({"tsnr": 30.0}, LOOK, "temporal SNR 30, 50 in the other runs"),
        ({"size_t": 60}, LOOK, "60 volumes, 160 in the other runs"),
    ],
)
def test_each_number_beyond_its_limit_is_a_reason(numbers, level, words):
    found = judge(QUIET | numbers, LIMITS, others=[QUIET] * 3)
    assert found.level == level
    assert [words in text for _, text in found.reasons] == [True]


def test_at_a_limit_a_run_is_still_good():
    assert judge(QUIET | {"fd_mean": 0.25, "outliers_perc": 10.0}, LIMITS).level == GOOD


def test_two_other_runs_are_too_few_to_compare_with():
    assert judge(QUIET | {"tsnr": 1.0}, LIMITS, others=[QUIET] * 2).level == GOOD


def test_the_worst_reason_decides_and_comes_first():
    found = judge(QUIET | {"fd_mean": 0.3}, LIMITS, warnings=["doubt"], failed=["hmc failed: x"])
    assert found.level == BAD
    assert [level for level, _ in found.reasons] == [BAD, LOOK, LOOK]
    assert found.reasons[0][1] == "hmc failed: x"


def test_what_was_not_measured_is_not_judged_unless_it_failed():
    assert judge({"fd_mean": None}, LIMITS).level == NONE
    assert judge({"fd_mean": None}, LIMITS, failed=["hmc failed"]).level == BAD


def test_tally_counts_the_good_first():
    verdicts = [judge(QUIET, LIMITS), judge(QUIET | {"fd_mean": 0.9}, LIMITS), judge(QUIET, LIMITS)]
    assert list(tally(verdicts).items()) == [(GOOD, 2), (BAD, 1)]
