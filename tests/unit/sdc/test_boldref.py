"""The field at a reference image, and the image without distortion."""

import numpy as np
import pytest
from geometry_cases import grid, head

from mebold.fmap.session import Map
from mebold.geometry import affines, displacement
from mebold.registration import similarity
from mebold.sdc import boldref

SHAPE = (34, 38, 30)
EPI = grid("LAS", SHAPE, (4, 4, 4), (8.0, 0.0, 0.0))
GRE = grid("LPS", SHAPE, (4.4, 4.4, 4.4))
READOUT_S = 0.03
OPTIONS = {"direction": "j-", "readout_s": READOUT_S, "fwhm_mm": 3.0, "coarse_mm": 8.0}
POSE = affines.rigid_matrix([1.5, -1.0, 2.0, 0.02, 0.03, -0.02], np.zeros(3))


def hertz(points):
    """Return a smooth field of up to 40 Hz that belongs to the head."""
    return 40.0 * np.exp(-((points - [0.0, 30.0, 0.0]) ** 2).sum(axis=1) / (2 * 30.0**2))


@pytest.fixture(scope="module")
def scene():
    """Return a distorted image, the undistorted one, and a map in another head position."""
    points = affines.grid_points(SHAPE, EPI)
    # j-: a signal of +f is found towards lower voxels; the inverse is a fixed point.
    along = EPI[:3, 1]
    source = points
    for _ in range(30):
        source = points + along * (hertz(source) * READOUT_S)[:, None]
    in_map = affines.apply(np.linalg.inv(POSE), affines.grid_points(SHAPE, GRE))
    session = Map(hertz(in_map).reshape(SHAPE), head(in_map).reshape(SHAPE), GRE)
    return head(source).reshape(SHAPE), head(points).reshape(SHAPE), session


def test_the_field_is_read_in_the_head_position_of_the_reference(scene):
    distorted, true, session = scene
    mask = true > 300
    found, matrix = boldref.at_boldref(session, distorted, EPI, mask=mask, **OPTIONS)
    known = hertz(affines.grid_points(SHAPE, EPI)).reshape(SHAPE)
    header, _ = boldref.at_boldref(
        session._replace(magnitude=np.zeros(SHAPE)), distorted, EPI, mask=mask, **OPTIONS
    )
    rms = [np.sqrt(np.mean((field - known)[mask] ** 2)) for field in (found, header)]
    assert rms[0] < 0.15
    assert rms[1] > 1.0  # by the header alone the head has moved
    points = affines.grid_points(SHAPE, EPI, mask)
    assert affines.displacements(matrix, POSE, points).max() < 0.1  # mm; 2.5 after one pass


def test_the_correction_restores_the_image(scene):
    distorted, true, _ = scene
    known = hertz(affines.grid_points(SHAPE, EPI)).reshape(SHAPE)
    mask = true > 300
    options = {"readout_s": READOUT_S}
    right = displacement.undistorted(distorted, EPI, field_hz=known, direction="j-", **options)
    wrong = displacement.undistorted(distorted, EPI, field_hz=known, direction="j", **options)
    error = [np.abs(image - true)[mask].mean() for image in (right, distorted, wrong)]
    assert error[0] < 0.1 * error[1] < 0.1 * error[2]


def test_the_outline_is_the_brain_of_the_map_in_the_position_of_the_reference(scene):
    _, true, session = scene
    ((outline, grid),) = boldref.outlines(session, SHAPE, EPI, POSE)
    assert grid is EPI
    wrong = boldref.outlines(session, SHAPE, EPI, np.linalg.inv(POSE))[0][0]
    brain = true > 300
    right, other = (similarity.dice(mask, brain) for mask in (outline, wrong))
    assert right > 0.85
    assert right > other
    empty = session._replace(magnitude=np.zeros(SHAPE))
    assert boldref.outlines(empty, SHAPE, EPI, POSE) == []
