"""Output grids: what is read onto them, and what is written of them."""

import numpy as np
import pytest

from mebold.anat import boldref_grid, labels, output_grid
from mebold.geometry import affines

SHAPE, AFFINE = (14, 12, 10), np.diag([3.0, 3.0, 3.0, 1.0])


def ball(points, radius=9.0):
    return np.linalg.norm(points - [19.5, 16.5, 13.5], axis=1) < radius


@pytest.fixture
def boldref(rng):
    return rng.uniform(500, 900, SHAPE).astype(np.float32)


def test_labels_number_the_tissues_in_their_order():
    assert [labels.TISSUES[n - 1] for n in (labels.CSF, labels.GM, labels.WM)] == [
        "CSF",
        "GM",
        "WM",
    ]


@pytest.mark.parametrize(("steps", "count"), [(0, 1), (1, 7), (2, 25)])
def test_a_mask_grows_over_faces(steps, count):
    mask = np.zeros((7, 7, 7), bool)
    mask[3, 3, 3] = True
    assert output_grid.dilated(mask, steps).sum() == count


def test_without_anatomy_the_reference_keeps_its_grid_and_has_no_tissue(boldref):
    brain = ball(affines.grid_points(SHAPE, AFFINE)).reshape(SHAPE)
    image, mask, tissue, grid = boldref_grid.from_boldref(
        boldref, AFFINE, brain=(brain.astype(np.float32), AFFINE)
    )
    np.testing.assert_allclose(image, boldref, rtol=1e-3)
    np.testing.assert_array_equal(mask, brain)
    assert not tissue.any()
    np.testing.assert_array_equal(grid, AFFINE)


def test_an_anatomy_is_pulled_through_the_inverse_of_its_matrix(boldref):
    fine = np.diag([1.5, 1.5, 1.5, 1.0])
    shape = (28, 24, 20)
    matrix = np.eye(4)
    matrix[:3, 3] = [6.0, 0.0, -3.0]  # leads from the anatomy to the reference
    points = affines.grid_points(shape, fine)
    brain = ball(affines.apply(matrix, points)).reshape(shape).astype(np.float32)
    image, mask, tissue, grid = boldref_grid.from_boldref(
        boldref, AFFINE, brain=(brain, fine), dseg=(2 * brain, fine), to_boldref=matrix,
        voxel_mm=4.0,
    )  # fmt: skip
    assert image.shape == mask.shape == tissue.shape
    np.testing.assert_allclose(affines.voxel_sizes(grid), 4.0)
    expected = ball(affines.grid_points(mask.shape, grid)).reshape(mask.shape)
    assert (mask & expected).sum() / (mask | expected).sum() > 0.7
    assert set(np.unique(tissue)) == {0, 2}
    assert (mask & (tissue == 2)).sum() > 0.8 * mask.sum()


def test_maps_are_read_from_the_voxels_of_their_mask_alone():
    values = np.full(SHAPE, 1e6, np.float32)  # meaningless outside
    mask = np.zeros(SHAPE, bool)
    mask[4:9, 3:8, 2:7] = True
    values[mask] = 5.0 + np.argwhere(mask)[:, 0]
    points = affines.apply(AFFINE, np.array([[6.5, 5, 4], [8.3, 5, 4], [8.7, 5, 4], [1, 1, 1]]))
    found = output_grid.masked_at(values, mask, AFFINE, points=points)
    np.testing.assert_allclose(found, [11.5, 13.0, 0.0, 0.0], atol=1e-4)
