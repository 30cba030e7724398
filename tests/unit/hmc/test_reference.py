"""The reference image of a run, whichever of its echoes has an SBRef, and motion told from it."""

import geometry_cases as cases
import numpy as np
import pytest

from mebold.geometry import affines
from mebold.hmc.reference import refer

SHAPE, AFFINE = cases.ORIENTATIONS["RAS"]
POINTS = affines.grid_points(SHAPE, AFFINE)
BRAIN = cases.head(POINTS) > 200
WIDTHS = {"fwhm_mm": 3.0, "coarse_mm": 8.0}


def rigid(translation, degrees):
    return affines.rigid_matrix(np.r_[translation, np.deg2rad(degrees)], np.zeros(3))


#: Where the head was when the SBRefs were taken.
AWAY = rigid([1.5, -1.0, 2.0], [1.0, -2.0, 1.5])


def seen(pose, rng):
    values = cases.head(affines.apply(np.linalg.inv(pose), POINTS)).reshape(SHAPE)
    return (values + rng.normal(0, 10, SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def echoes():
    """Return series of two echoes of a head that moves, the SBRefs of both, and the truth."""
    rng = np.random.default_rng(5)
    truth = [rigid(rng.uniform(-0.5, 0.5, 3), rng.uniform(-0.5, 0.5, 3)) for _ in range(8)]
    series = [np.stack([f * seen(t, rng) for t in truth], axis=-1) for f in (1.0, 0.6)]
    return *series, [(f * seen(AWAY, rng), AFFINE) for f in (1.0, 0.6)], truth


@pytest.mark.parametrize("have", [(True, True), (True, False), (False, True), (False, False)])
def test_motion_leads_from_the_reference_image_whichever_echo_has_an_sbref(echoes, have):
    first, second, sbrefs, truth = echoes
    motion_sbref, sbref = (s if there else None for s, there in zip(sbrefs, have, strict=True))
    found = refer(
        first, second, AFFINE, sbref=sbref, motion_sbref=motion_sbref, widths=WIDTHS,
        brain_of=lambda image, _: image > 100, bias_of=lambda image, _: np.ones_like(image),
    )  # fmt: skip
    # A point of the reference image: where the SBRef saw it, or the volume in the middle.
    frame = AWAY if sbref else truth[4]
    errors = [
        np.median(affines.displacements(m, t @ np.linalg.inv(frame), POINTS[BRAIN]))
        for m, t in zip(found.motion.matrices, truth, strict=True)
    ]
    assert max(errors) <= 0.08
    assert bool(found.quality) == (sbref is not None)
    assert np.array_equal(found.to_series, np.eye(4)) == (sbref is None)
    if sbref:
        assert found.image is sbref[0]


@pytest.mark.parametrize("have", [True, False])
def test_volumes_that_are_not_steady_are_no_part_of_the_reference(echoes, have):
    first, _, sbrefs, truth = echoes
    late = first.copy()
    # Another contrast, and a place in which no other volume was.
    late[..., :2] = np.abs(3.0 * np.roll(first[..., :2], 4, axis=0)) ** 0.7
    known = {
        "sbref": None, "motion_sbref": sbrefs[0] if have else None, "widths": WIDTHS,
        "brain_of": lambda image, _: image > 100, "bias_of": lambda image, _: np.ones_like(image),
    }  # fmt: skip
    if have:
        known["sbref"] = sbrefs[0]
    found = refer(late, late, AFFINE, **known, non_steady=2)
    alone = refer(late[..., 2:], late[..., 2:], AFFINE, **known)
    np.testing.assert_array_equal(found.image, alone.image)
    np.testing.assert_array_equal(found.to_series, alone.to_series)
    assert len(found.motion.matrices) == len(truth)
    errors = [
        affines.displacements(a, b, POINTS[BRAIN]).max()
        for a, b in zip(found.motion.matrices[2:], alone.motion.matrices, strict=True)
    ]
    assert max(errors) <= 0.02
    assert not found.motion.doubtful[2:].any()
