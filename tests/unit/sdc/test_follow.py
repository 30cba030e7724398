"""Motion of a head at rest whose field changes as a whole."""

import geometry_cases as cases
import numpy as np
import pytest

from mebold.geometry import affines
from mebold.hmc import track
from mebold.registration.rigid import register
from mebold.sdc.change import Static
from mebold.sdc.follow import motion_without

SHAPE, AFFINE = cases.ORIENTATIONS["RAS"]
READOUT = 0.02
SMOOTHING = {"fwhm_mm": 3.0, "fwhm_voxels": 1.0, "coarse_mm": 8.0}
HERTZ = np.array([0.0, 30.0, -30.0, 20.0, 0.0])


@pytest.mark.parametrize("with_sbref", [True, False])
def test_a_shift_by_the_field_is_no_motion(rng, with_sbref):
    points = affines.grid_points(SHAPE, AFFINE)
    along = AFFINE[:3, 1] * READOUT  # "j": a higher frequency moves the signal up the axis
    volumes = [cases.head(points - hz * along) for hz in HERTZ]
    series = np.stack([v.reshape(SHAPE) for v in volumes], axis=-1)
    series = (series + rng.normal(0, 5, series.shape)).astype(np.float32)
    sbref = cases.head(points).reshape(SHAPE).astype(np.float32)
    mask = sbref > 200
    change = np.broadcast_to(HERTZ.astype(np.float32), series.shape)
    static = Static(np.zeros(SHAPE, np.float32), mask, AFFINE, "j", READOUT)
    grid = {"moving_affine": AFFINE, "reference_affine": AFFINE, "mask": mask}
    link = register(track.robust_mean(series, AFFINE), sbref, **grid).matrix
    found = motion_without(
        series, change, AFFINE, static=static, smoothing=SMOOTHING,
        to_series=link if with_sbref else np.eye(4),
    )  # fmt: skip
    brain = affines.grid_points(SHAPE, AFFINE, mask)
    plain = track.track(series, sbref, AFFINE, mask=mask).matrices
    believed = [affines.displacements(m, plain[0], brain).max() for m in plain]
    first = np.eye(4) if with_sbref else found.matrices[0]  # a mean lies where its middle volume is
    left = [affines.displacements(m, first, brain).max() for m in found.matrices]
    assert max(believed) > 1.0
    assert max(left) < 0.1
