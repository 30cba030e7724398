"""Distortion: sign by a forward push, readout time, intensity factor."""

import numpy as np
import pytest

from mebold.errors import MetadataError
from mebold.geometry import affines, interpolation, phase_encoding

SHAPE = (24, 26, 22)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
READOUT = 0.03


def blob(centre, width=2.0):
    indices = np.indices(SHAPE)
    distance = sum((indices[a] - centre[a]) ** 2 for a in range(3))
    return 100.0 * np.exp(-0.5 * distance / width**2)


def ramp_field(axis):
    """Return a field in Hz that varies along the phase-encoding axis."""
    return 60.0 + 2.0 * np.indices(SHAPE)[axis]


def pushed(image, field, axis, sign, factor=20):
    """Move the signal of every voxel to where it appears, as the scanner does."""
    image, field = np.moveaxis(image, axis, 0), np.moveaxis(field, axis, 0)
    n = image.shape[0]
    fine = (np.arange(n * factor) + 0.5) / factor - 0.5
    out = np.zeros(image.shape)
    for j in range(image.shape[1]):
        for k in range(image.shape[2]):
            places = np.arange(n)
            mass = np.interp(fine, places, image[:, j, k]) / factor
            shift = sign * READOUT * np.interp(fine, places, field[:, j, k])
            index = np.rint(fine + shift).astype(int)
            inside = (index >= 0) & (index < n)
            np.add.at(out[:, j, k], index[inside], mass[inside])
    return np.moveaxis(out, 0, axis)


def centre_of_mass(image, axis):
    profile = image.sum(axis=tuple(a for a in range(3) if a != axis))
    return float(profile @ np.arange(profile.size) / profile.sum())


@pytest.mark.parametrize("direction", ["i", "i-", "j", "j-", "k", "k-"])
def test_undoes_a_forward_push(direction):
    axis, sign = "ijk".index(direction[0]), -1 if direction.endswith("-") else 1
    truth, field = blob((11, 12, 10)), ramp_field(axis)
    distorted = pushed(truth, field, axis, sign)
    moved = centre_of_mass(distorted, axis) - centre_of_mass(truth, axis)
    assert moved * sign > 1.5
    points = affines.grid_points(SHAPE, AFFINE)

    def correction(f):
        values = interpolation.resample_volume(
            distorted, AFFINE, points, field_hz=f.ravel(), direction=direction, readout_s=READOUT
        )
        return values.reshape(SHAPE)

    factor = phase_encoding.jacobian(
        field, AFFINE, boldref_affine=AFFINE, to_boldref=np.eye(4), direction=direction,
        readout_s=READOUT,
    )  # fmt: skip
    restored = correction(field) * factor
    assert abs(centre_of_mass(restored, axis) - centre_of_mass(truth, axis)) < 0.03
    assert restored.sum() == pytest.approx(truth.sum(), rel=0.01)
    wrong = correction(-field)
    assert abs(centre_of_mass(wrong, axis) - centre_of_mass(truth, axis)) > 3.0


@pytest.mark.parametrize("along_x", [1, -1])
def test_jacobian_follows_the_phase_encoding_axis_of_a_turned_reference(along_x):
    slope = 3.0  # Hz per mm along world x
    x = affines.grid_points(SHAPE, AFFINE)[:, 0].reshape(SHAPE)
    boldref = affines.rigid_matrix([0, 0, 0, 0, 0, np.deg2rad(30)], np.zeros(3)) @ np.diag(
        [along_x * 1.5, 1.5, 1.5, 1.0]
    )
    to_boldref = affines.rigid_matrix([5, 0, 0, 0, 0, np.deg2rad(30)], np.zeros(3))
    factor = phase_encoding.jacobian(
        slope * x, AFFINE, boldref_affine=boldref, to_boldref=to_boldref, direction="i-",
        readout_s=READOUT,
    )  # fmt: skip
    np.testing.assert_allclose(factor, 1.0 - along_x * slope * READOUT * 1.5, rtol=1e-4)


def test_shift_of_the_published_protocol():
    shift = phase_encoding.voxel_shift(np.array([100.0, np.nan]), direction="j", readout_s=0.0215)
    np.testing.assert_allclose(shift, [2.15, 0.0])
    back = phase_encoding.voxel_shift(np.array([100.0]), direction="j-", readout_s=0.0215)
    np.testing.assert_allclose(back, [-2.15])


@pytest.mark.parametrize("direction", ["", "y", "j+", "jj", None, "AP"])
def test_refuses_other_directions(direction):
    with pytest.raises(MetadataError, match="expected i, j or k"):
        phase_encoding.pe_axis_sign(direction)
