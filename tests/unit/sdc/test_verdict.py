"""What the evidence for a sign means: a stop, a doubt, or nothing."""

import numpy as np
import pytest

from mebold.errors import DataError
from mebold.geometry import affines
from mebold.sdc import verdict
from mebold.sdc.sign import FieldSignEvidence
from mebold.sdc.verdict import require_right_sign

RUN = {"stem": "sub-01_task-x", "direction": "j-", "readout_s": 0.02, "fieldmaps": ["gre1"]}


def judged(verdict):
    scores = {"plus": 0.25, "zero": 0.3, "minus": 0.35}
    found = FieldSignEvidence(scores, verdict, -0.1, -6.5, -4.0, 3.25)
    return require_right_sign(found, run="sub-01_task-x", direction="j-", fieldmaps=["gre1"])


def test_a_wrong_sign_stops_with_the_evidence():
    with pytest.raises(DataError) as raised:
        judged("minus")
    message = str(raised.value)
    for part in ("sub-01_task-x", "wrong sign", "0.250", "0.300", "0.350", "z -6.5", "3.2 mm",
                 "(j-)", "gre1", "`fmap.sign_check`"):  # fmt: skip
        assert part in message


@pytest.mark.parametrize(("verdict", "count"), [("plus", 0), ("zero", 1), ("undecided", 1)])
def test_what_is_not_confirmed_is_a_doubt(verdict, count):
    doubts = judged(verdict)
    assert len(doubts) == count
    assert all(f"not confirmed ({verdict})" in doubt for doubt in doubts)


@pytest.fixture
def asked(monkeypatch):
    """Return what the evidence was asked for; it finds nothing."""
    calls = []

    def nothing(*arrays, **options):
        calls.append((arrays, options))
        scores = {"plus": 0.3, "zero": 0.3, "minus": 0.3}
        return FieldSignEvidence(scores, "undecided", 0.0, 0.0, 0.0, 1.0)

    monkeypatch.setattr(verdict, "field_sign_evidence", nothing)
    return calls


@pytest.mark.parametrize("warped", [False, True])
def test_images_as_acquired_are_freed_from_the_warp_and_the_matrix_turned(asked, warped, rng):
    shape, affine = (12, 10, 8), np.diag([2.0, 2.0, 3.0, 1.0])
    epi, field = rng.uniform(1, 2, (2, *shape)).astype(np.float32)
    matrix = affines.rigid_matrix([1.0, 2.0, 3.0, 0.1, 0.0, 0.2], np.zeros(3))
    mask, t1w = np.ones(shape, bool), np.ones((4, 4, 4))
    warp = np.zeros((*shape, 3), np.float32)
    warp[..., 0] = 2.0  # one voxel along x
    evidence, doubts = verdict.judge(
        epi, affine, field, t1w, np.eye(4), mask=mask, anatomy_mask=t1w > 0, matrix=matrix,
        run=RUN, warp=(warp, affine) if warped else None,
    )  # fmt: skip
    ((seen, own, hertz, *_), options) = asked[0]
    step = 1 if warped else 0
    inner = np.s_[3:-3, 3:-3, 3:-3]
    np.testing.assert_allclose(seen[inner], np.roll(epi, -step, axis=0)[inner], atol=2e-2)
    np.testing.assert_allclose(hertz[inner], np.roll(field, -step, axis=0)[inner], atol=2e-2)
    np.testing.assert_array_equal(own, affine)
    np.testing.assert_allclose(options["to_anatomy"] @ matrix, np.eye(4), atol=1e-12)
    assert (options["direction"], options["readout_s"]) == ("j-", 0.02)
    assert evidence["verdict"] == "undecided"
    assert len(doubts) == 1
    assert doubts[0].startswith("the distortion correction is not confirmed")
