"""Which images a UNIT1 was made of."""

import pytest

from mebold.plan import mp2rage


def row(name, **cells):
    base = {
        "path": f"sub-01/anat/{name}.nii.gz", "component": "mag", "inversion": None, "shape": None,
        "echo_time": None, "inversion_time": None, "flip_angle": None, "repetition_time": None,
        "repetition_time_preparation": None, "repetition_time_excitation": None,
        "number_shots": None,
    }  # fmt: skip
    return base | cells


UNIT1 = row("sub-01_acq-a_UNIT1")


def inversion(number, name="sub-01_acq-a", **cells):
    return row(f"{name}_inv-{number}_MP2RAGE", inversion=number, **cells)


def test_both_inversions_of_the_same_acquisition_are_found():
    own = [inversion("1"), inversion("2")]
    other = [inversion("1", "sub-01_acq-b"), inversion("2", "sub-01_acq-b")]
    assert mp2rage.inversions(UNIT1, [*other, *own]) == own
    assert mp2rage.inversions(UNIT1, other) == []
    assert mp2rage.inversions(UNIT1, own[:1]) == []


def test_magnitudes_of_the_first_echo_are_taken():
    phase = row("sub-01_acq-a_inv-1_part-phase_MP2RAGE", inversion="1", component="phase")
    first = row("sub-01_acq-a_inv-2_echo-1_MP2RAGE", inversion="2", echo_time=0.006)
    later = row("sub-01_acq-a_inv-2_echo-2_MP2RAGE", inversion="2", echo_time=0.014)
    found = mp2rage.inversions(UNIT1, [later, phase, inversion("1"), first])
    assert found == [inversion("1"), first]


@pytest.mark.parametrize("number_shots", [None, [60, 100], [60, 400]])
def test_the_note_says_what_is_missing(number_shots):
    pair = [
        inversion(number, inversion_time=time, flip_angle=4.0, number_shots=number_shots,
                  repetition_time_preparation=5.0, repetition_time_excitation=0.0068)
        for number, time in (("1", 0.9), ("2", 2.75))
    ]  # fmt: skip
    note = mp2rage.note(pair, efficiency=0.96)
    assert note.startswith("UNIT1 in place of a T1w, cleaned of its background with INV1 and INV2")
    if number_shots is None:
        assert note.endswith("lack NumberShots")
    elif number_shots[1] == 400:
        assert "too short between the trains" in note
    else:
        assert "no T1 map" not in note
