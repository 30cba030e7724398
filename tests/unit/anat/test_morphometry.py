"""Jacobian determinant and modulated tissue against maps whose volume change is known."""

import numpy as np
import pytest

from mebold.anat import morphometry
from mebold.geometry import affines

SHAPE = (44, 46, 42)
#: Oblique, with axes that run to the left and down, voxels of 2 x 2.5 x 3 mm.
AFFINE = affines.rigid_matrix([3.0, -5.0, 8.0, 0.3, -0.2, 0.1], np.zeros(3)) @ np.diag(
    [-2.0, 2.5, -3.0, 1.0]
)
CENTRE = affines.apply(AFFINE, (np.array(SHAPE) - 1) / 2)
POINTS = affines.grid_points(SHAPE, AFFINE)
R = np.linalg.norm(POINTS - CENTRE, axis=1).reshape(SHAPE)


def field(function):
    return function(POINTS - CENTRE).reshape(*SHAPE, 3)


def test_a_linear_map_has_its_determinant_everywhere():
    matrix = np.array([[1.1, 0.05, 0.0], [-0.02, 0.9, 0.1], [0.0, 0.03, 1.2]])
    found = morphometry.jacobian(field(lambda x: x @ (matrix - np.eye(3)).T + 4.0), AFFINE)
    np.testing.assert_allclose(found, np.linalg.det(matrix), rtol=1e-4)
    turn = affines.rigid_matrix([1.0, 2.0, 3.0, 0.4, 0.1, -0.2], np.zeros(3))[:3, :3]
    found = morphometry.jacobian(field(lambda x: x @ (turn - np.eye(3)).T), AFFINE)
    np.testing.assert_allclose(found, 1.0, rtol=1e-4)


@pytest.mark.parametrize("growth", [-0.25, 0.3])
def test_it_integrates_to_the_change_of_volume(growth):
    """A ball of radius s grows to s (1 + growth exp(-s^2 / 2 w^2))."""
    width, radius = 25.0, 30.0

    def bulge(x):
        return growth * x * np.exp(-(x**2).sum(axis=1, keepdims=True) / (2 * width**2))

    found = morphometry.jacobian(field(bulge), AFFINE)
    inside = np.clip(0.5 - (R - radius) / 2.5, 0.0, 1.0)
    after = radius * (1 + growth * np.exp(-(radius**2) / (2 * width**2)))
    change = morphometry.volume_ml(inside * found, AFFINE) / morphometry.volume_ml(inside, AFFINE)
    assert change == pytest.approx((after / radius) ** 3, rel=0.02)
    assert found[R < 4].mean() == pytest.approx((1 + growth) ** 3, rel=0.03)


@pytest.mark.parametrize("fwhm_mm", [0.0, 8.0])
def test_modulated_tissue_keeps_its_volume(fwhm_mm):
    grid = np.diag([1.5, 1.5, 1.5, 1.0])
    grid[:3, 3] = CENTRE - 45.0
    points = affines.grid_points((60, 60, 60), grid)
    near = np.linalg.norm(points - CENTRE, axis=1).reshape(60, 60, 60)
    tissue = np.clip(0.5 - (near - 20.0) / 1.5, 0.0, 1.0)

    def bulge(x):
        return 0.3 * x * np.exp(-(x**2).sum(axis=1, keepdims=True) / (2 * 25.0**2))

    found = morphometry.modulated(tissue, grid, field(bulge), AFFINE, fwhm_mm=fwhm_mm)
    own = morphometry.volume_ml(tissue, grid)
    assert morphometry.volume_ml(found, AFFINE) == pytest.approx(own, rel=0.02)
    if fwhm_mm:
        assert (
            found.max()
            < morphometry.modulated(tissue, grid, field(bulge), AFFINE, fwhm_mm=0.0).max()
        )


def test_folds_are_not_above_zero():
    found = morphometry.jacobian(field(lambda x: -1.5 * x * [1.0, 0.0, 0.0]), AFFINE)
    assert (found < 0).all()


def test_the_linear_part_is_the_nearest_affine():
    matrix = affines.rigid_matrix([5.0, -2.0, 1.0, 0.1, 0.2, -0.1], np.zeros(3)) @ np.diag(
        [1.1, 0.9, 1.05, 1.0]
    )
    there = affines.apply(matrix, POINTS) - POINTS
    wave = 0.5 * np.sin(POINTS / 3.0)
    found = morphometry.linear_part((there + wave).reshape(*SHAPE, 3), AFFINE, R < 30)
    off = affines.apply(found, POINTS) - affines.apply(matrix, POINTS)
    assert np.linalg.norm(off, axis=1)[(R < 30).ravel()].max() < 0.15
