"""T1 of an MP2RAGE: closed form against a sequence that is followed pulse by pulse."""

import numpy as np
import pytest

from mebold.anat import mp2rage_t1
from mebold.errors import MetadataError
from mebold.phantom.mp2rage import two_signals
from mebold.phantom.spec import make_spec

SPEC = make_spec("tiny", mp2rage=True)
PROTOCOL = mp2rage_t1.Protocol(
    repetition_time_s=5.0,
    excitation_s=0.0068,
    inversion_times_s=(0.9, 2.75),
    flip_angles_deg=(5.0, 3.0),
    shots=(60, 100),
    efficiency=0.96,
)
SIDECARS = [
    {
        "path": f"sub-01_inv-{n}_MP2RAGE.nii.gz", "repetition_time": None,
        "repetition_time_preparation": 5.0, "repetition_time_excitation": 0.0068,
        "number_shots": [60, 100], "inversion_time": time, "flip_angle": angle,
    }
    for n, time, angle in ((1, 0.9, 5.0), (2, 2.75, 3.0))
]  # fmt: skip


def test_the_steady_state_is_that_of_the_pulses():
    t1_s = np.array([0.3, 0.8, 1.2, 2.1, 4.0])
    found = np.stack(mp2rage_t1.signals(PROTOCOL, t1_s), axis=1)
    simulated = [two_signals(SPEC, t1, 1.0) for t1 in t1_s]
    np.testing.assert_allclose(found, simulated, atol=1e-5)


def test_t1_is_read_off_the_combined_image():
    true = np.array([0.7, 1.2, 2.1, 3.0])
    pairs = np.array([two_signals(SPEC, t1, 1.0) for t1 in true])
    unit = pairs.prod(axis=1) / (pairs**2).sum(axis=1)
    head = np.array([True, True, True, False]).reshape(4, 1, 1)
    found = mp2rage_t1.t1_map(unit.reshape(4, 1, 1), head, PROTOCOL).ravel()
    np.testing.assert_allclose(found, [0.7, 1.2, 2.1, 0.0], rtol=0.002)
    # What B1+ of 0.9 and 1.1 does to it: no more than this, which the documentation says.
    for field, worst in ((0.9, 0.04), (1.1, 0.04)):
        pairs = np.array([two_signals(SPEC, t1, field) for t1 in true[1:3]])
        unit = pairs.prod(axis=1) / (pairs**2).sum(axis=1)
        found = mp2rage_t1.t1_map(unit, np.ones(2, bool), PROTOCOL)
        assert np.abs(found / true[1:3] - 1).max() < worst


def test_each_value_has_one_t1():
    unit, t1_s = mp2rage_t1.lookup(PROTOCOL)
    assert (np.diff(unit) < 0).all()
    assert t1_s[0] < 0.6
    assert t1_s[-1] > 3.5


def test_the_sidecars_tell_the_protocol():
    assert mp2rage_t1.protocol_of(SIDECARS, efficiency=0.96) == (PROTOCOL, "")
    one = [row | {"number_shots": 160} for row in SIDECARS]
    found, note = mp2rage_t1.protocol_of(one, efficiency=0.96)
    assert found.shots == (80, 80)
    assert "halfway" in note


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("repetition_time_preparation", "RepetitionTimePreparation"),
        ("repetition_time_excitation", "RepetitionTimeExcitation"),
        ("number_shots", "NumberShots"),
        ("inversion_time", "InversionTime"),
        ("flip_angle", "FlipAngle"),
    ],
)
def test_a_missing_key_is_named(column, key):
    rows = [row | {column: None} for row in SIDECARS]
    found, note = mp2rage_t1.protocol_of(rows, efficiency=0.96)
    assert found is None
    assert note.endswith(f"sub-01_inv-2_MP2RAGE.nii.gz lack {key}")


def test_a_repetition_time_that_can_only_be_that_of_the_inversion_is_taken():
    rows = [row | {"repetition_time_preparation": None, "repetition_time": 5.0} for row in SIDECARS]
    found, note = mp2rage_t1.protocol_of(rows, efficiency=0.96)
    assert found == PROTOCOL
    assert "RepetitionTime is taken" in note
    rows = [row | {"repetition_time": 0.0068} for row in rows]
    assert mp2rage_t1.protocol_of(rows, efficiency=0.96)[0] is None


def test_trains_that_overlap_are_refused():
    rows = [row | {"number_shots": [60, 300]} for row in SIDECARS]
    with pytest.raises(MetadataError, match=r"0.598 s too short between the trains"):
        mp2rage_t1.protocol_of(rows, efficiency=0.96)
