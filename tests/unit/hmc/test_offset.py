"""A saturated series under an array coil, and its relaxed reference: no common offset is left."""

import numpy as np
import pytest
import scanner_head
from scipy import ndimage

from mebold.anat import epi_mask, mni
from mebold.anat.bias import receive_bias
from mebold.geometry import affines, grids
from mebold.hmc.offset import to_reference
from mebold.hmc.reference import motion_from_sbref
from mebold.hmc.track import track
from mebold.registration.rigid import register

# T1 and T2* in s at 7T, and proton density: Rooney 2007, Peters 2007.
TISSUE = {"gm": (2.1, 0.033, 0.82), "wm": (1.3, 0.027, 0.70), "csf": (4.4, 0.120, 1.0)}
SMOOTHING = {"fwhm_mm": 4.2, "coarse_mm": 8.0}
POSE = affines.rigid_matrix(np.r_[0.8, -0.6, 0.5, np.deg2rad([0.7, -0.4, 0.9])], np.zeros(3))
SHAPE = (64, 76, 53)


def signal(maps, *, relaxed, tr=1.9, flip_deg=68.0, te=0.02):
    """Return the contrast of a spoiled gradient echo, in steady state or of the first volume."""
    fluid = np.clip(maps["brain"] - maps["gm"] - maps["wm"], 0, 1)
    share = {"gm": maps["gm"], "wm": maps["wm"], "csf": fluid}
    alpha, image = np.deg2rad(flip_deg), 0.0
    for name, (t1, t2star, density) in TISSUE.items():
        left = np.exp(-tr / t1)
        steady = 1.0 if relaxed else (1 - left) / (1 - np.cos(alpha) * left)
        image = image + share[name] * density * np.sin(alpha) * steady * np.exp(-te / t2star)
    return ndimage.gaussian_filter(image, 0.52)


def coil_bias(points):
    """Return the sum of squares of 24 loops around the head."""
    rng = np.random.default_rng(0)
    total = 0.0
    for turn in np.arange(0, 2 * np.pi, np.pi / 4):
        for height in (-20, 40, 90):
            loop = np.array([115 * np.sin(turn), 115 * np.cos(turn) - 18, height])
            near = (np.sum((points - loop) ** 2, axis=1) + 40**2) ** -1.5
            total = total + (rng.uniform(0.3, 1.7) * near) ** 2
    return np.sqrt(total)


@pytest.fixture(scope="module")
def scanner():
    """Return what takes an image of the head at a pose, the bias, and the brain at rest."""
    maps, template = mni.load_template(2.0)
    affine = np.diag([-3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [94, -130, -62]
    bias = coil_bias(affines.grid_points(SHAPE, affine)).reshape(SHAPE)
    rng = np.random.default_rng(1)

    def seen(image, pose):
        head = grids.onto(image, template, SHAPE, affine, matrix=np.linalg.inv(pose))
        noise = 0.005 * rng.normal(size=(2, *SHAPE))
        return np.hypot(head * bias / np.median(bias) + noise[0], noise[1])

    brain = grids.onto(maps["brain"], template, SHAPE, affine) > 0.5
    inside = bias[brain]
    assert np.percentile(inside, 95) > 2.5 * np.percentile(inside, 5)
    contrasts = {relaxed: signal(maps, relaxed=relaxed) for relaxed in (True, False)}
    return lambda pose, *, relaxed: seen(contrasts[relaxed], pose), bias, brain, affine


@pytest.fixture(scope="module")
def scene(scanner):
    """Return mean of the series, reference, bias, brain and affine; the mean lies at POSE."""
    take, bias, brain, affine = scanner
    mean, reference = take(POSE, relaxed=False), take(np.eye(4), relaxed=True)
    return mean, reference, bias, brain, affine


def offset_mm(matrix, scene):
    _, _, _, brain, affine = scene
    points = affines.grid_points(SHAPE, affine, brain)
    return np.median(affines.displacements(matrix, POSE, points))


def test_contrast_and_coil_leave_no_offset(scene):
    mean, reference, bias, brain, affine = scene
    grid = {"moving_affine": affine, "reference_affine": affine, "mask": brain}
    plain = register(mean, reference, **grid, **SMOOTHING)
    assert offset_mm(plain.matrix, scene) > 0.3  # what least squares alone makes of it
    fit = to_reference(mean, affine, reference, affine, bias=bias, mask=brain, **SMOOTHING)
    assert offset_mm(fit.matrix, scene) < 0.13
    assert fit.converged
    assert fit.correlation > 0.95


def test_the_grid_of_the_reference_may_differ(scene):
    mean, reference, bias, brain, affine = scene
    box = (slice(2, -3), slice(1, -2), slice(0, -4))
    shifted = affine.copy()
    shifted[:3, 3] = affines.apply(affine, np.array([2.0, 1.0, 0.0]))
    fit = to_reference(
        mean, affine, reference[box], shifted, bias=bias[box], mask=brain[box], **SMOOTHING
    )
    assert offset_mm(fit.matrix, scene) < 0.15


def test_dropout_leaves_no_offset():
    """Near air, intensity does not tell the tissue."""
    short = {"tesla": 7.0, "flip_deg": 65.0, "te_s": 0.028, "readout_s": 1e-6, "points_mm": 1.5}
    relaxed, affine = scanner_head.epi(3.4, pose=np.eye(4), seed=1, tr_s=60.0, **short)
    steady, _ = scanner_head.epi(3.4, pose=POSE, seed=2, tr_s=1.9, **short)
    points = scanner_head.brain_points()
    mask, bias = epi_mask.epi_mask(relaxed, affine), receive_bias(relaxed, affine)
    grid = {"moving_affine": affine, "reference_affine": affine, "mask": mask}
    grid |= {"fwhm_mm": 4.76, "coarse_mm": 8.0}
    plain = register(steady / bias, relaxed / bias, **grid)
    assert np.median(affines.displacements(plain.matrix, POSE, points)) > 0.25
    fit = to_reference(
        steady, affine, relaxed, affine, bias=bias, mask=mask, fwhm_mm=4.76, coarse_mm=8.0
    )
    assert (
        np.median(affines.displacements(fit.matrix, POSE, points)) < 0.15
    )  # 0.45 with intensities alone


def test_motion_is_told_from_the_reference_image(scanner):
    take, bias, brain, affine = scanner
    rng = np.random.default_rng(4)
    steps = [np.r_[rng.normal(0, 0.5, 3), np.deg2rad(rng.normal(0, 0.4, 3))] for _ in range(6)]
    poses = [POSE @ affines.rigid_matrix(step, np.zeros(3)) for step in steps]
    series = np.stack([take(pose, relaxed=False) for pose in poses], axis=-1).astype(np.float32)
    reference = take(np.eye(4), relaxed=True)
    known = {"bias": bias, "mask": brain, "widths": SMOOTHING}
    grid = {"moving_affine": affine, "reference_affine": affine, "mask": brain}
    assert register(series[..., 0], reference, **grid, **SMOOTHING).correlation < 0.99
    motion, _ = motion_from_sbref(series, series, affine, reference, affine, **known)
    points = affines.grid_points(SHAPE, affine, brain)
    errors = [
        affines.apply(m, points) - affines.apply(pose, points)
        for m, pose in zip(motion.matrices, poses, strict=True)
    ]
    common = np.mean(errors, axis=(0, 1))
    assert np.linalg.norm(common) < 0.13  # least squares against the reference: above 0.3
    assert np.median(np.linalg.norm(errors - common, axis=-1)) < 0.12


def test_an_sbref_of_the_same_contrast_is_compared_directly(scanner):
    take, bias, brain, affine = scanner
    poses = [np.eye(4), POSE, POSE @ POSE]
    series = np.stack([take(pose, relaxed=True) for pose in poses], axis=-1).astype(np.float32)
    known = {"bias": bias, "mask": brain, "widths": SMOOTHING}
    sbref = take(np.eye(4), relaxed=True).astype(np.float32)
    motion, fit = motion_from_sbref(series, series, affine, sbref, affine, **known)
    plain = track(series, sbref, affine, mask=brain, **SMOOTHING)
    np.testing.assert_array_equal(motion.matrices, plain.matrices)
    assert fit.correlation > 0.99
