"""Fields that scanners store in Hz: noise in air, wraps near air, what was not measured."""

import numpy as np
import pytest
import scanner_head
from scipy import ndimage

from mebold.fmap import direct
from mebold.geometry import affines
from mebold.geometry.interpolation import resample_volume

POSE = affines.rigid_matrix([3.0, -2.0, 4.0, 0.05, -0.03, 0.06], np.zeros(3))
HZ_PER_VOXEL = 1 / 0.0215  # of an EPI with this readout time
FIELD = {"curvature": 2.0, "steepest_hz_mm": 30.0, "units": "Hz"}


@pytest.fixture(scope="module", params=[1.0e-3, 5e-3], ids=["one turn", "wrapped near air"])
def acquired(request):
    """Return a fieldmap of 3.5 mm, and the field in Hz that its scanner stores."""
    found = scanner_head.gre(
        3.5, pose=POSE, seed=2, points_per_mm=0.6, snr=60.0, delta_s=request.param
    )
    return found, found.phasediff / 8192 / found.delta_s


def read(acquired, stored, *, told, magnitude=None):
    found, _ = acquired
    magnitude = np.mean(found.magnitudes, axis=0) if magnitude is None else magnitude
    known = {"delta_te_s": found.delta_s if told else None, "affine": found.affine}
    return direct.to_hz(stored, magnitude, **known, **FIELD)


def errors(acquired, hertz):
    return scanner_head.errors(scanner_head.at_brain(hertz, acquired[0].affine, POSE))


def shifted_at_rim(acquired, hertz):
    """Return the share of points 1 to 4 mm outside the brain that go more than a voxel astray."""
    maps, affine = scanner_head.tissue()
    brain = maps["brain"] > 0.5
    distance = ndimage.distance_transform_edt(~brain, sampling=affines.voxel_sizes(affine))
    points = affines.grid_points(brain.shape, affine, (distance > 1) & (distance <= 4))
    seen = resample_volume(hertz, acquired[0].affine, points, matrix=POSE, order=1)
    return np.mean(np.abs(seen - scanner_head.field_hz(points)) > HZ_PER_VOXEL)


@pytest.mark.parametrize("told", [True, False], ids=["by echo times", "by its noise"])
def test_noise_and_wraps_do_not_reach_the_brain(acquired, told):
    _, stored = acquired
    hertz = read(acquired, stored, told=told)
    as_stored, made = errors(acquired, stored), errors(acquired, hertz)
    assert made.rms < min(2.0, 0.7 * as_stored.rms)
    assert made.gentle_rms < 1.5
    assert 0.95 < made.slope < 1.05
    assert made.peaks > 0.88
    assert shifted_at_rim(acquired, stored) > 0.007
    assert shifted_at_rim(acquired, hertz) < 0.002


def test_zeros_in_air_show_no_period_and_are_not_a_field(acquired):
    found, stored = acquired
    magnitude = np.mean(found.magnitudes, axis=0)
    air = magnitude < 0.4 * np.percentile(magnitude, 98)  # some tissue is lost with it
    masked = np.where(air, 0.0, stored)
    core = ~air
    assert direct.period_hz(masked, core, core) is None
    true = scanner_head.field_hz(
        affines.apply(np.linalg.inv(POSE), affines.grid_points(stored.shape, found.affine))
    ).reshape(stored.shape)
    unwrapped = np.where(air, 0.0, true)  # as from a scanner that unwraps and masks
    hertz = read(acquired, unwrapped, told=False, magnitude=magnitude)
    before, made = errors(acquired, unwrapped), errors(acquired, hertz)
    assert made.rms < 0.6 * before.rms  # zeros beside tissue are no field


def test_the_noise_of_air_tells_the_period(acquired):
    found, stored = acquired
    magnitude = np.mean(found.magnitudes, axis=0)
    core = magnitude > 0.2 * np.percentile(magnitude, 98)
    period = direct.period_hz(stored, core, np.ones_like(core))
    assert period == pytest.approx(1 / found.delta_s, rel=1e-3)


def test_an_offset_of_whole_turns_stays(acquired):
    found, stored = acquired
    offset = 1 / found.delta_s
    plain, moved = (read(acquired, stored + shift, told=True) for shift in (0.0, offset))
    np.testing.assert_allclose(moved, plain + offset, atol=0.01)
