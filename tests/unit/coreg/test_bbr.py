import numpy as np
import pytest

from mebold.coreg import bbr
from mebold.errors import DataError
from mebold.geometry import affines

AFFINE = affines.rigid_matrix([0, 0, 0, 0.1, -0.2, 0.15], np.zeros(3)) @ np.diag([-2.0, 2, 2.5, 1])
AFFINE[:3, 3] = [30.0, -28.0, -26.0]
SHAPE = (30, 30, 24)
CENTRE = affines.apply(AFFINE, (np.array(SHAPE) - 1) / 2)
AXES_MM = np.array([23.0, 13.0, 18.0])


def depth(points, matrix=None):
    """Return the approximate distance in mm inside an ellipsoid (positive inside)."""
    points = points if matrix is None else affines.apply(matrix, points)
    scaled = (points - CENTRE) / AXES_MM
    radius = np.linalg.norm(scaled, axis=-1)
    return (1 - radius) * radius / np.maximum(np.linalg.norm(scaled / AXES_MM, axis=-1), 1e-9)


@pytest.fixture
def wm():
    points = affines.grid_points(SHAPE, AFFINE)
    return np.clip(0.5 + depth(points) / 3.0, 0, 1).reshape(SHAPE)


@pytest.fixture
def boundary(wm):
    return bbr.white_matter_boundary(wm, AFFINE, n_points=4000, seed=3)


def epi_of(matrix, shape=SHAPE):
    """Return an EPI, dark inside and bright outside, of the ellipsoid seen through `matrix`."""
    points = affines.grid_points(shape, AFFINE)
    inside = np.clip(0.5 + depth(points, np.linalg.inv(matrix)) / 5.0, 0, 1)
    return (100.0 - 28.0 * inside).reshape(shape)


def test_points_lie_on_the_surface_with_outward_normals(boundary):
    assert np.abs(depth(boundary.points)).max() < 1.0
    assert np.median(np.abs(depth(boundary.points))) < 0.3
    np.testing.assert_allclose(np.linalg.norm(boundary.normals, axis=1), 1.0, atol=1e-6)
    outward = (boundary.points - CENTRE) / AXES_MM**2
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    assert np.sum(boundary.normals * outward, axis=1).min() > 0.9


def test_the_same_seed_draws_the_same_points(wm):
    draws = [bbr.white_matter_boundary(wm, AFFINE, n_points=200, seed=s).points for s in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert len(draws[0]) == 200


def test_refinement_recovers_a_known_transform(boundary):
    truth = affines.rigid_matrix([1.0, -0.8, 0.6, 0.03, -0.02, 0.04], CENTRE)
    start = affines.rigid_matrix([0.2, 0.1, -0.2, 0.0, 0.01, 0.0], CENTRE) @ np.eye(4)
    matrix, before, after = bbr.refine(start, boundary, epi_of(truth), AFFINE, distance_mm=1.5)
    error = affines.displacements(matrix, truth, boundary.points)
    assert np.median(affines.displacements(start, truth, boundary.points)) > 1.2
    assert np.median(error) < 0.3
    assert error.max() < 0.6
    assert after < before


def test_cost_is_least_at_the_truth_and_turns_with_the_contrast(boundary):
    to_voxel = np.linalg.inv(AFFINE)
    volume = epi_of(np.eye(4))
    off = affines.rigid_matrix([1.5, 0, 0, 0, 0, 0], CENTRE)
    at_truth = bbr.cost(np.eye(4), boundary, volume, to_voxel, distance_mm=1.5)
    assert at_truth < bbr.cost(off, boundary, volume, to_voxel, distance_mm=1.5) < 1.0
    reverse = bbr.cost(np.eye(4), boundary, volume, to_voxel, distance_mm=1.5, bright_outside=False)
    assert at_truth + reverse == pytest.approx(2.0, abs=1e-6)


def test_points_without_image_are_no_evidence(boundary):
    to_voxel = np.linalg.inv(AFFINE)
    far = affines.rigid_matrix([500.0, 0, 0, 0, 0, 0], CENTRE)
    assert bbr.cost(far, boundary, epi_of(np.eye(4)), to_voxel, distance_mm=1.5) == 1.0
    assert bbr.cost(np.eye(4), boundary, np.zeros(SHAPE), to_voxel, distance_mm=1.5) == 1.0


def test_a_map_without_white_matter_is_refused():
    with pytest.raises(DataError, match="shows no white matter"):
        bbr.white_matter_boundary(np.full(SHAPE, np.nan), AFFINE, n_points=100, seed=1)


def test_the_gain_of_a_move_is_judged_by_how_it_varies_over_the_brain(wm, boundary):
    """A move to the right place is sure; between two that are equally wrong nothing is."""
    to_voxel = np.linalg.inv(AFFINE)
    noise = np.random.default_rng(4).normal(0, 3.0, SHAPE)
    volume = epi_of(np.eye(4)) + noise
    near, far, other = np.eye(4), np.eye(4), np.eye(4)
    far[0, 3], other[0, 3] = 1.5, -1.5
    compared = {"boundary": boundary, "volume": volume, "to_voxel": to_voxel, "distance_mm": 1.5}
    gain, error = bbr.gain(far, near, **compared)
    costs = [bbr.cost(m, boundary, volume, to_voxel, distance_mm=1.5) for m in (far, near)]
    assert gain == pytest.approx(costs[0] - costs[1])
    assert gain > 2 * error > 0
    gain, error = bbr.gain(far, other, **compared)
    assert abs(gain) < 2 * error
    assert bbr.gain(near, near, **compared) == (0.0, 0.0)
