"""Templates by age: units, unknown ages, and what is no age of a born child."""

import json

import pytest

from mebold.errors import MetadataError
from mebold.plan import ages

TABLE = [[0.417, "MNIInfant:cohort-2"], [11.25, "MNIPediatricAsym:cohort-4"], [None, "Adult"]]


def chosen(tmp_path, rows, units="year", subjects=("01",), table=TABLE):
    lines = ["participant_id\tage", *(f"sub-{sub}\t{age}" for sub, age in rows)]
    (tmp_path / "participants.tsv").write_text("\n".join(lines) + "\n")
    if units is not None:
        (tmp_path / "participants.json").write_text(json.dumps({"age": {"Units": units}}))
    return ages.choose(tmp_path, subjects, table)


@pytest.mark.parametrize(
    ("age", "units", "template"),
    [
        ("3", "months", "MNIInfant:cohort-2"),
        ("14", "weeks", "MNIInfant:cohort-2"),
        ("120", "day", "MNIInfant:cohort-2"),
        ("10.5", "years", "MNIPediatricAsym:cohort-4"),
        ("11.25", "years", "Adult"),
        ("126", "month", "MNIPediatricAsym:cohort-4"),
        ("89+", "year", "Adult"),
        ("0", "year", "MNIInfant:cohort-2"),
    ],
)
def test_the_unit_is_that_of_the_sidecar(tmp_path, age, units, template):
    found, findings = chosen(tmp_path, [("01", age)], units)
    assert found["sub-01"].identifier == template
    assert age in found["sub-01"].note
    assert findings == []


def test_without_a_unit_years_are_meant_and_said(tmp_path):
    found, findings = chosen(tmp_path, [("01", "10")], None)
    assert found["sub-01"].identifier == "MNIPediatricAsym:cohort-4"
    assert len(findings) == 1
    assert "BIDS means years" in str(findings[0])


@pytest.mark.parametrize("age", ["n/a", "", "young"])
def test_an_unknown_age_is_a_finding(tmp_path, age):
    found, findings = chosen(tmp_path, [("01", age), ("02", "30")], subjects=("01", "02"))
    assert found["sub-01"].identifier is None
    assert found["sub-02"].identifier == "Adult"
    assert [f.severity for f in findings] == ["warning"]
    assert "sub-01" in str(findings[0])


def test_a_dataset_without_participants_has_no_ages(tmp_path):
    found, findings = ages.choose(tmp_path, ["01"], TABLE)
    assert found["sub-01"].identifier is None
    assert "its age is unknown" in str(findings[0])


@pytest.mark.parametrize(
    ("age", "units"),
    [("28", "weeks of gestation"), ("36", "gestational weeks"), ("40", "postmenstrual weeks"),
     ("-0.2", "year")],
)  # fmt: skip
def test_ages_before_birth_are_refused_with_a_sentence(tmp_path, age, units):
    found, findings = chosen(tmp_path, [("01", age)], units)
    assert found["sub-01"].identifier is None
    assert "fetal images are out of scope" in str(findings[0])


def test_units_that_are_none_are_a_finding(tmp_path):
    found, findings = chosen(tmp_path, [("01", "3")], "moons")
    assert found["sub-01"].identifier is None
    assert "'moons'" in str(findings[0])


def test_ages_beyond_the_table_and_beyond_life(tmp_path):
    found, findings = chosen(tmp_path, [("01", "30")], table=TABLE[:2])
    assert found["sub-01"].identifier is None
    assert "`template.ages` ends below" in str(findings[0])
    # Months without a unit.
    assert "more than 120 years" in str(chosen(tmp_path, [("01", "132")])[1][0])


def test_a_table_that_does_not_ascend_is_refused(tmp_path):
    with pytest.raises(MetadataError, match=r"`template.ages`.*ascend"):
        chosen(tmp_path, [("01", "3")], table=TABLE[::-1])
