"""Transforms as antspyx and nitransforms read them: both directions, linear and nonlinear."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from mebold.files import transforms
from mebold.geometry import affines

GRID = affines.rigid_matrix([3.0, -8.0, 5.0, 0.2, -0.1, 0.3], np.zeros(3)) @ np.diag(
    [-3.0, 3.0, 3.5, 1.0]
)
SHAPE = (22, 24, 20)
MATRIX = affines.rigid_matrix([4.0, -7.0, 11.0, 0.15, -0.2, 0.1], np.array([2.0, 1.0, -3.0]))
#: Well inside the grid, RAS+ mm.
POINTS = affines.apply(GRID, np.random.default_rng(0).uniform(4, 15, (50, 3)))


def field():
    """A smooth field that is none of its own mirror images."""
    points = affines.grid_points(SHAPE, GRID).reshape(*SHAPE, 3)
    x, y, z = np.moveaxis(points / 20.0, -1, 0)
    return np.stack([2 * np.sin(y) + 1, np.cos(z) * 3, 1.5 * np.sin(x) - 2], axis=-1)


def moved_by_field():
    index = affines.apply(np.linalg.inv(GRID), POINTS).T
    steps = [ndimage.map_coordinates(part, index, order=1) for part in np.moveaxis(field(), -1, 0)]
    return POINTS + np.stack(steps, axis=1)


@pytest.fixture
def warp(tmp_path):
    path = tmp_path / "sub-01_from-T1w_to-X_mode-image_xfm.nii.gz"
    transforms.save_displacement(path, field(), GRID)
    return path


@pytest.fixture
def matrices(tmp_path):
    """Files of the transform and of its inverse."""
    paths = []
    for name, matrix in (("a", MATRIX), ("b", np.linalg.inv(MATRIX))):
        paths.append(tmp_path / f"sub-01_from-{name}_mode-image_xfm.txt")
        transforms.save_xfm(paths[-1], matrix)
    return paths


def by_ants(path):
    from mebold.registration.ants import load_ants

    table = pd.DataFrame(POINTS * [-1, -1, 1], columns=list("xyz"))
    found = load_ants().apply_transforms_to_points(3, table, [str(path)])
    return found.to_numpy()[:, :3] * [-1, -1, 1]


def by_nitransforms(path):
    from nitransforms.linear import Affine
    from nitransforms.nonlinear import DenseFieldTransform

    if str(path).endswith(".txt"):
        return Affine.from_filename(path, fmt="itk").map(POINTS)
    return DenseFieldTransform.from_filename(path, fmt="itk").map(POINTS)


READERS = pytest.mark.parametrize("reader", [by_ants, by_nitransforms])


@READERS
def test_displacement_fields_lead_to_the_same_points(reader, warp):
    # nitransforms reads fields by cubic splines, ITK and the library linearly.
    np.testing.assert_allclose(reader(warp), moved_by_field(), atol=0.05)


@READERS
def test_linear_transforms_lead_to_the_same_points_both_ways(reader, matrices):
    for path, matrix in zip(matrices, (MATRIX, np.linalg.inv(MATRIX)), strict=True):
        np.testing.assert_allclose(reader(path), affines.apply(matrix, POINTS), atol=1e-3)
