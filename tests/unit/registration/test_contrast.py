"""An image in the contrast of another: what is taken over, and that a shift is not."""

import numpy as np
import pytest
from scipy import ndimage

from mebold.anat import mni
from mebold.geometry import affines
from mebold.registration import contrast
from mebold.registration.rigid import register

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def test_intensities_follow_the_other_image():
    rng = np.random.default_rng(2)
    image = ndimage.gaussian_filter(rng.uniform(0, 10, (20, 20, 20)), 2.0)
    other = 3.0 - np.abs(image - 5.0)
    found = contrast.by_intensity(other, image, np.ones(image.shape, bool))
    inner = (slice(3, -3),) * 3
    assert np.abs(found - other)[inner].max() < 0.1 * np.ptp(other)


@pytest.fixture(scope="module")
def head():
    """Return two contrasts of a head that no function of one intensity joins, and its brain."""
    maps, affine = mni.load_template(3.0)
    brain = maps["brain"] > 0.5
    fluid = np.clip(maps["brain"] - maps["gm"] - maps["wm"], 0, 1)
    dropout = 1.0 - 0.7 * np.exp(
        -((affines.grid_points(brain.shape, affine) - [0, 40, -20]) ** 2).sum(axis=1) / 800
    ).reshape(brain.shape)
    image = (maps["gm"] + 0.8 * maps["wm"] + 1.6 * fluid) * dropout
    other = (maps["gm"] + 1.1 * maps["wm"] + 0.5 * fluid) * dropout
    return image.astype(np.float32), other.astype(np.float32), brain, affine


def test_what_no_intensity_tells_is_told_by_its_surroundings(head):
    image, other, brain, affine = head
    levels = contrast.by_intensity(other, image, brain)
    found = contrast.in_contrast_of(other, image, brain, affine)
    wrong = [np.std((candidate - other)[brain]) for candidate in (image, levels, found)]
    assert wrong[1] < wrong[0]
    assert wrong[2] < 0.8 * wrong[1]


@pytest.mark.parametrize("shift", [(1.0, 0, 0), (0, -1.0, 0), (0, 0, 1.0)])
def test_a_shift_is_not_taken_over(head, shift):
    image, other, brain, affine = head
    moved = ndimage.shift(other, np.array(shift) / affines.voxel_sizes(affine), order=3)
    found = contrast.in_contrast_of(moved, image, brain, affine)
    grid = {"moving_affine": affine, "reference_affine": affine, "mask": brain}
    matrix = register(moved, found, **grid, fwhm_mm=4.0, coarse_mm=8.0).matrix
    along = affine[:3, :3] @ (np.array(shift) / affines.voxel_sizes(affine))
    assert np.linalg.norm(matrix[:3, 3] - along) < 0.5  # half of it is left to the next pass


def test_voxels_that_are_wider_than_the_surroundings_do_no_harm():
    rng = np.random.default_rng(3)
    image = ndimage.gaussian_filter(rng.uniform(0, 10, (14, 14, 14)), 1.0)
    mask = np.zeros(image.shape, bool)
    mask[3:-3, 3:-3, 3:-3] = True
    affine = np.diag([12.0, 12.0, 12.0, 1.0])
    found = contrast.in_contrast_of(2.0 * image + 1.0, image, mask, affine)
    np.testing.assert_allclose(found[mask], 2.0 * image[mask] + 1.0, rtol=0.01)
