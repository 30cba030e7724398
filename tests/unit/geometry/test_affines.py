"""Coordinates: analytic values and round trips."""

import nibabel as nib
import numpy as np
import pytest

from mebold.geometry import affines

OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.2, -0.1, 0.3) @ np.diag([-1.8, 2.0, 2.5]), [10.0, -20.0, 5.0]
)


def test_rigid_parameters_round_trip():
    parameters = np.array([1.0, -2.0, 3.0, 0.1, -0.2, 0.3])
    matrix = affines.rigid_matrix(parameters, [4.0, 5.0, -6.0])
    assert affines.rigid_parameters(matrix, [4.0, 5.0, -6.0]) == pytest.approx(parameters)


def test_rotation_leaves_the_centre_in_place():
    centre = np.array([4.0, 5.0, -6.0])
    matrix = affines.rigid_matrix([0, 0, 0, 0.1, 0.2, 0.3], centre)
    assert affines.apply(matrix, centre) == pytest.approx(centre)


def test_rotation_about_z_takes_x_to_y():
    matrix = affines.rigid_matrix([0, 0, 0, 0, 0, np.pi / 2], [0, 0, 0])
    assert affines.apply(matrix, [1.0, 0, 0]) == pytest.approx([0, 1, 0], abs=1e-12)


def test_voxel_sizes_of_an_oblique_grid():
    assert affines.voxel_sizes(OBLIQUE) == pytest.approx([1.8, 2.0, 2.5])


@pytest.mark.parametrize("voxel", [1.0, 1.8, 3.0])
def test_rescaled_grid_keeps_corner_axes_and_covers_the_field_of_view(voxel):
    shape, grid = affines.rescaled_grid((10, 12, 8), OBLIQUE, voxel)
    assert affines.voxel_sizes(grid) == pytest.approx([voxel] * 3)
    corner = affines.apply(OBLIQUE, [-0.5] * 3)
    assert affines.apply(grid, [-0.5] * 3) == pytest.approx(corner)
    extent = np.array(shape) * voxel
    wanted = np.array([18.0, 24.0, 20.0])
    assert np.all(extent >= wanted - 1e-2)
    assert np.all(extent < wanted + voxel)


def test_rescaled_grid_of_the_same_size_is_the_same_grid():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    shape, grid = affines.rescaled_grid((5, 6, 7), affine, 2.0)
    assert shape == (5, 6, 7)
    assert grid == pytest.approx(affine)


def test_grid_points_follow_the_mask_in_c_order(rng):
    mask = rng.random((3, 4, 5)) > 0.5
    points = affines.grid_points(mask.shape, OBLIQUE, mask)
    assert points == pytest.approx(nib.affines.apply_affine(OBLIQUE, np.argwhere(mask)))
    assert affines.grid_points((2, 1, 1), np.eye(4))[1] == pytest.approx([1, 0, 0])


def test_displacement_of_a_translation_is_its_length():
    moved = affines.rigid_matrix([3.0, 4.0, 0, 0, 0, 0], [0, 0, 0])
    assert affines.displacements(np.eye(4), moved, np.zeros((2, 3))) == pytest.approx([5, 5])


def test_lps_flips_x_and_y_and_is_its_own_inverse():
    matrix = affines.rigid_matrix([1.0, 2.0, 3.0, 0.1, 0.2, 0.3], [0, 0, 0])
    lps = affines.ras_to_lps(matrix)
    assert lps[:3, 3] == pytest.approx([-1, -2, 3])
    assert affines.ras_to_lps(lps) == pytest.approx(matrix)
    point, flip = np.array([4.0, -5.0, 6.0]), np.array([-1, -1, 1])
    assert affines.apply(lps, flip * point) == pytest.approx(flip * affines.apply(matrix, point))


def test_same_grid_notices_a_shift_of_half_a_voxel():
    shifted = OBLIQUE.copy()
    shifted[0, 3] += 0.9
    assert affines.same_grid((4, 4, 4), OBLIQUE, (4, 4, 4), OBLIQUE)
    assert not affines.same_grid((4, 4, 4), OBLIQUE, (4, 4, 4), shifted)
    assert not affines.same_grid((4, 4, 4), OBLIQUE, (4, 4, 5), OBLIQUE)
