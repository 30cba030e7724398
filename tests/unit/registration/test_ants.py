import numpy as np
import pytest
from geometry_cases import head

from mebold.errors import DataError
from mebold.geometry import affines
from mebold.registration.ants import (
    Stage,
    from_ants,
    matrix_from_file,
    matrix_to_file,
    nearest_rigid,
    register_linear,
    to_ants,
)

OBLIQUE = affines.rigid_matrix([10, 20, -30, 0.2, 0.1, -0.3], np.zeros(3))
ZOOMS = ([2.0, 2.0, 2.0], [-2.0, 3.0, 2.5], [-1.0, -1.5, 2.0], [1.0, 2.0, -3.0])
TRUTH = affines.rigid_matrix([3, -2, 5, 0.05, -0.04, 0.08], [1, 2, 3])


@pytest.mark.parametrize("zooms", ZOOMS)
@pytest.mark.parametrize("rotation", [np.eye(4), OBLIQUE])
def test_round_trip_keeps_voxels_and_places(rng, zooms, rotation):
    affine = rotation @ np.diag([*zooms, 1.0])
    volume = rng.normal(size=(4, 5, 6)).astype(np.float32)
    back, back_affine = from_ants(to_ants(volume, affine))
    np.testing.assert_array_equal(back, volume)
    np.testing.assert_allclose(back_affine, affine, atol=1e-10)


def test_ants_places_a_voxel_where_the_affine_says(rng):
    import ants

    affine = OBLIQUE @ np.diag([-2.0, 3.0, 2.5, 1.0])
    image = to_ants(np.zeros((4, 5, 6)), affine)
    world = affines.apply(affine, [1.0, 2.0, 3.0])
    lps = ants.transform_index_to_physical_point(image, [1, 2, 3])
    np.testing.assert_allclose(lps, world * [-1, -1, 1], atol=1e-5)


def test_matrix_file_round_trip_about_any_centre(tmp_path):
    matrix_to_file(tmp_path / "x.mat", TRUTH, [5.0, 6.0, 7.0])
    np.testing.assert_allclose(matrix_from_file(tmp_path / "x.mat"), TRUTH, atol=1e-5)


def test_ants_applies_the_matrix_as_a_pull(tmp_path):
    """apply_transforms reads moving(T x): the tissue at T x appears at x."""
    import ants

    moving_affine = np.diag([2.0, 2.0, 2.0, 1.0])
    point = np.array([30.0, 24.0, 28.0])
    grid = affines.grid_points((30, 30, 30), moving_affine).reshape(30, 30, 30, 3)
    moving = np.exp(-np.sum((grid - point) ** 2, axis=-1) / 32.0)
    matrix_to_file(tmp_path / "x.mat", TRUTH)
    image = to_ants(moving, moving_affine)
    out = ants.apply_transforms(fixed=image, moving=image, transformlist=[str(tmp_path / "x.mat")])
    values = from_ants(out)[0]
    centroid = np.average(grid.reshape(-1, 3), axis=0, weights=values.ravel())
    expected = affines.apply(np.linalg.inv(TRUTH), point)
    np.testing.assert_allclose(centroid, expected, atol=0.05)


def test_nearest_rigid_of_a_scaled_rotation_is_the_rotation():
    scaled = TRUTH.copy()
    scaled[:3, :3] *= 1.07
    np.testing.assert_allclose(nearest_rigid(scaled), TRUTH, atol=1e-12)


def test_shear_is_refused_by_name():
    affine = np.eye(4)
    affine[0, 1] = 0.1
    with pytest.raises(DataError, match="not perpendicular"):
        to_ants(np.zeros((3, 3, 3)), affine)


@pytest.mark.parametrize(
    ("volume", "words"),
    [(np.zeros((3, 3)), "3D volume"), (np.full((3, 3, 3), np.nan), "27 voxels are not finite")],
)
def test_unusable_volumes_are_refused(volume, words):
    with pytest.raises(DataError, match=words):
        to_ants(volume, np.eye(4))


def test_singular_affine_is_refused():
    with pytest.raises(DataError, match="zero column"):
        to_ants(np.zeros((3, 3, 3)), np.zeros((4, 4)))


def test_a_rigid_fit_that_counts_as_converged_is_where_more_steps_end():
    grid = np.diag([4.0, 4.0, 4.0, 1.0])
    grid[:3, 3] = -90.0
    points = affines.grid_points((46, 46, 46), grid)
    fixed, moving = (
        head(at).reshape(46, 46, 46) for at in (points, affines.apply(np.linalg.inv(TRUTH), points))
    )
    moving = moving.max() - moving  # of another contrast
    levels = ("Rigid", (4, 2, 1), (6.0, 3.0, 0.0), (200, 200, 200), 0.5)
    found = [
        register_linear((fixed, grid), (moving, grid), stages=[stage], seed=1)
        for stage in (Stage(*levels), Stage(*levels, converged=0.0))
    ]
    corners = np.array(list(np.ndindex(2, 2, 2))) * 120.0 - 60.0
    assert affines.displacements(*found, corners).max() < 0.01
    assert affines.displacements(found[0], TRUTH, corners).max() < 0.5  # an eighth of a voxel
