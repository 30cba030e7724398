"""The edge of a brain mask: a ball of tissue in fluid, beside a template of another size."""

import numpy as np
import pytest

from mebold.anat import mask_edge
from mebold.geometry import affines
from mebold.registration.similarity import dice

TISSUE_MM, FLUID_MM = 36.0, 3.0  # the template's ball, and the fluid over it


def radii(voxel_mm, half_mm=60.0):
    """Return the distance of each voxel from the middle, and the affine."""
    n = int(2 * half_mm / voxel_mm)
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = -voxel_mm * (n - 1) / 2
    points = affines.grid_points((n, n, n), affine)
    return np.linalg.norm(points, axis=1).reshape(n, n, n), affine


def edges():
    """Return the template's edges on a grid of their own."""
    radius, affine = radii(2.0)
    brain = (radius - TISSUE_MM - FLUID_MM).astype(np.float32)
    hull = mask_edge.smooth_hull(radius < TISSUE_MM, radius < 20, affine)
    return mask_edge.Edges(brain, mask_edge.signed_distance(hull, affine), affine)


def ball(radius, edge_mm, voxel_mm):
    """Return the share of a ball in each voxel."""
    return np.clip((edge_mm - radius) / voxel_mm + 0.5, 0, 1).astype(np.float32)


def aside(voxel_mm, by_mm):
    """Return the distances from a point beside the middle, and the share of x in the direction."""
    radius, affine = radii(voxel_mm)
    points = affines.grid_points(radius.shape, affine)
    moved = np.linalg.norm(points - [by_mm, 0, 0], axis=1).reshape(radius.shape)
    return moved, points[:, 0].reshape(radius.shape) / np.maximum(radius, 1)


@pytest.mark.parametrize("voxel_mm", [1.0, 2.0, 3.0])
def test_edge_follows_the_tissue_both_ways_in_voxels_of_any_size(voxel_mm):
    radius, affine = radii(voxel_mm)
    moved, along = aside(voxel_mm, 2.0)
    shift = mask_edge.edge_shift(ball(moved, TISSUE_MM, voxel_mm), affine, edges())
    rim = np.abs(radius - TISSUE_MM - FLUID_MM) < 2
    slope, offset = np.polyfit(-2.0 * along[rim], shift[rim], 1)
    assert 0.6 < slope < 1.1
    assert abs(offset) < 0.25


def test_edge_moves_little_on_the_whole():
    """Blurred images look like less tissue everywhere."""
    radius, affine = radii(2.0)
    shift = mask_edge.edge_shift(ball(radius, TISSUE_MM - 2, 2.0), affine, edges())
    rim = np.abs(radius - TISSUE_MM - FLUID_MM) < 2
    assert shift[rim].mean() == pytest.approx(0.4, abs=0.1)


def test_fluid_beyond_the_usual_thickness_is_not_brain():
    """Fluid reaches far out: only tissue tells where the mask ends."""
    radius, affine = radii(2.0)
    moved, _ = aside(2.0, 2.0)
    volume = 0.2 + 0.4 * ball(moved, TISSUE_MM, 2.0) + 0.4 * ball(radius, 25.0, 2.0)
    volume -= 0.8 * ball(radius, 14.0, 2.0)  # a ventricle
    volume = np.where(radius > 50, 0.9, volume)
    volume += np.random.default_rng(1).normal(0, 0.01, volume.shape)
    found = mask_edge.refine_mask(volume, affine, edges(), scalp=radius > 50)
    there = moved < TISSUE_MM + FLUID_MM
    assert dice(found, there) > dice(radius < TISSUE_MM + FLUID_MM, there) + 0.01


def test_share_is_linear_between_fluid_and_grey_matter():
    radius, affine = radii(2.0)
    volume = 100 + 200 * ball(radius, 50.0, 2.0) + 200 * ball(radius, 35.0, 2.0)
    volume -= 400 * ball(radius, 20.0, 2.0)
    share = mask_edge.tissue_share(volume, affine, radius < 55)
    assert share[radius < 15].max() == 0
    assert share[(radius > 38) & (radius < 47)].min() == 1
    assert share[np.abs(radius - 50) < 0.2].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("tissues", [1, 2])
def test_no_share_without_three_tissues(tissues):
    radius, affine = radii(4.0)
    volume = np.where((radius < 20) & (tissues == 2), 2.0, 1.0)
    assert mask_edge.tissue_share(volume, affine, radius < 40) is None
    found = mask_edge.refine_mask(volume, affine, edges(), scalp=radius > 55)
    assert found[radius < 30].all()


def test_distance_is_signed_and_zero_between_voxels():
    radius, affine = radii(2.0)
    distance = mask_edge.signed_distance(radius < 30, affine)
    np.testing.assert_allclose(distance, radius - 30, atol=1.6)
    assert np.abs((distance - radius + 30)[np.abs(radius - 30) < 4].mean()) < 0.2


def test_template_has_fluid_over_its_tissue():
    found = mask_edge.template_edges()
    thickness = (found.hull - found.brain)[np.abs(found.brain) < 1.1]
    assert 0.3 < thickness.mean() < 3
