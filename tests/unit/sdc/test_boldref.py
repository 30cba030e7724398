"""The field at a reference image, and the image without distortion."""

from dataclasses import replace

import numpy as np
import pytest
import scanner_head
from configured import completed
from geometry_cases import grid, head

from mebold.anat.epi_mask import epi_mask
from mebold.fmap.session import Map
from mebold.geometry import affines, displacement
from mebold.registration import doubts, similarity
from mebold.sdc import boldref, magnitude

LIMITS = completed({"bids_dir": "raw", "output_dir": "out"})["fmap"]
SHAPE = (34, 38, 30)
EPI = grid("LAS", SHAPE, (4, 4, 4), (8.0, 0.0, 0.0))
GRE = grid("LPS", SHAPE, (4.4, 4.4, 4.4))
READOUT_S = 0.03
OPTIONS = {"direction": "j-", "readout_s": READOUT_S, "fwhm_mm": 3.0, "coarse_mm": 8.0, "seed": 0}
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
    found, matrix, quality = boldref.at_boldref(session, distorted, EPI, mask=mask, **OPTIONS)
    known = hertz(affines.grid_points(SHAPE, EPI)).reshape(SHAPE)
    header, _, nothing = boldref.at_boldref(
        replace(session, magnitude=np.zeros(SHAPE)), distorted, EPI, mask=mask, **OPTIONS
    )
    rms = [np.sqrt(np.mean((field - known)[mask] ** 2)) for field in (found, header)]
    assert rms[0] < 0.15
    assert rms[1] > 1.0  # by the header alone the head has moved
    assert quality["method"] == "least squares"  # one contrast: the more precise
    assert nothing == {}
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
    empty = replace(session, magnitude=np.zeros(SHAPE))
    assert boldref.outlines(empty, SHAPE, EPI, POSE) == []


@pytest.fixture(scope="module")
def unlike():
    """Return a gradient echo (flip angle 60 degrees, 3T), an EPI, and the poses of the head."""
    about = np.array([0.0, -18.0, 10.0])
    poses = [
        affines.rigid_matrix([*shift, *np.deg2rad(turn)], about)
        for shift, turn in (((-3, 4, -2), (-3, 5, 2)), ((2, -1.5, 3), (4, -2, 3)))
    ]
    options = {"tesla": 3.0, "seed": 5}
    known = {"pose": poses[0], "snr": 40, "flip_deg": 60.0, "points_per_mm": 0.5}
    found = scanner_head.gre(3.0, 0.001, **known, **options)
    known = {"pose": poses[1], "te_s": 0.033, "readout_s": READOUT_S, "points_mm": 1.2}
    image, grid = scanner_head.epi(3.0, **known, **options)
    magnitude = found.magnitudes[0].astype(np.float32)
    there = affines.grid_points(magnitude.shape, np.linalg.inv(poses[0]) @ found.affine)
    field = scanner_head.field_hz(there).reshape(magnitude.shape)
    return Map(field, magnitude, found.affine), image, grid, poses


def aligned(unlike, away=None, **options):
    """Return what was found, and the error (mm) at points of the brain; `away` moves the map."""
    session, image, grid, (pose, epi_pose) = unlike
    away = np.eye(4) if away is None else away
    session = replace(session, affine=away @ session.affine)
    known = {"mask": epi_mask(image, grid), "direction": "j", "readout_s": READOUT_S}
    known |= {"fwhm_mm": 4.2, "coarse_mm": 8.0, "seed": 1} | options
    found = boldref.at_boldref(session, image, grid, **known)
    points = affines.apply(epi_pose, scanner_head.brain_points())
    truth = away @ pose @ np.linalg.inv(epi_pose)
    return found, affines.displacements(found[1], truth, points)


def test_a_gradient_echo_of_other_contrast_is_aligned(unlike):
    (_, _, quality), error = aligned(unlike)
    assert np.sqrt(np.mean(error**2)) < 0.35  # mm; 29 by least squares, which ran away
    assert quality["method"] == "mutual information"
    assert doubts.of(quality, LIMITS, doubts.FIELDMAP) == []


def test_a_fieldmap_from_elsewhere_is_aligned(unlike):
    away = affines.rigid_matrix([25, -20, 30, *np.deg2rad([12, -8, 14])], np.zeros(3))
    (_, _, quality), error = aligned(unlike, away)
    assert np.sqrt(np.mean(error**2)) < 0.4
    assert quality["shift_mm"] > 40.0


def test_an_alignment_that_failed_is_named(unlike, monkeypatch):
    wrong = affines.rigid_matrix([5.0, 0, 6.0, 0, 0, 0], np.zeros(3))
    monkeypatch.setattr(magnitude, "_by_mutual_information", lambda *_: wrong)
    (_, _, quality), error = aligned(unlike)
    assert np.median(error) > 3.0
    found = doubts.of(quality, LIMITS, doubts.FIELDMAP, other="the magnitude of the fieldmap")
    assert any("the magnitude of the fieldmap is higher a few mm" in one for one in found), quality


def test_a_slab_that_misses_brain_is_named():
    (sentence,) = doubts.of(
        {"mutual_information": 0.6, "mutual_information_nearby": 0.4, "coverage": 0.7},
        LIMITS,
        doubts.FIELDMAP,
    )
    assert "fmap.least_coverage" in sentence
