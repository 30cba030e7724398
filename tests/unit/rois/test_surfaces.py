"""Surfaces and volume, on spheres of which everything is known."""

import numpy as np
import pytest
from icospheres import to_tkr, volume_of_freesurfer

from mebold.errors import DataError
from mebold.geometry import affines
from mebold.phantom.cortex import icosphere
from mebold.phantom.freesurfer import footer
from mebold.rois import surfaces

CENTRE = np.array([4.0, -7, 11])
SHAPE = (50, 52, 48)
GRID = np.array([[-1.8, 0.1, 0, 48], [0.1, 1.8, 0, -54], [0, 0, 1.8, -32], [0, 0, 0, 1]])
DEPTHS = (0.2, 0.4, 0.6, 0.8)


@pytest.fixture(scope="module")
def shell():
    unit, faces = icosphere(4)
    return unit, faces, CENTRE + 27 * unit, CENTRE + 30 * unit


def world(affine=GRID, shape=SHAPE):
    return affines.grid_points(shape, affine)


@pytest.mark.parametrize("oblique", [False, True])
def test_freesurfer_coordinates(rng, oblique):
    image = volume_of_freesurfer(np.array([3.0, -9, 21]), oblique=oblique)
    wanted = rng.uniform(-80, 80, (20, 3))
    matrix = surfaces.tkr_to_scanner(footer(image))
    found = affines.apply(matrix, to_tkr(wanted, image))
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    if not oblique:
        np.testing.assert_allclose(matrix[:3, 3], [3, -9, 21], atol=1e-5)  # c_ras


def test_a_linear_map_is_sampled_within_two_percent(shell):
    unit, _, white, pial = shell
    slope = np.array([0.5, -0.3, 0.8])
    volume = (world() @ slope + 100).reshape(SHAPE)
    found = surfaces.sample(volume, GRID, white, pial, depths=DEPTHS)
    wanted = (CENTRE + 28.5 * unit) @ slope + 100
    np.testing.assert_allclose(found, wanted, rtol=0.002)


def test_a_mark_stays_where_it_is(shell):
    """Right, front and top differ, so that no axis can be swapped or turned without a word."""
    unit, _, white, pial = shell
    x, y, z = (world() - CENTRE).T
    volume = ((x > 10) + 2.0 * (y > 10) + 4.0 * (z > 10)).reshape(SHAPE)
    found = surfaces.sample(volume, GRID, white, pial, depths=DEPTHS)
    place = 28.5 * unit
    clear = (np.abs(place - 10) > 3).all(axis=1)
    wanted = (place > 10) @ [1, 2, 4]
    np.testing.assert_allclose(found[clear], wanted[clear], atol=1e-5)
    assert len(np.unique(wanted[clear])) == 8


def test_voxels_without_data_are_not_read(shell):
    unit, _, white, pial = shell
    volume = np.full(SHAPE, 7.0)
    known = (world()[:, 2] > CENTRE[2]).reshape(SHAPE)
    volume[~known] = 0
    found = surfaces.sample(volume, GRID, white, pial, depths=DEPTHS, known=known)
    np.testing.assert_allclose(found[np.isfinite(found)], 7, rtol=1e-5)
    below = 28.5 * unit[:, 2] < -2
    assert np.isnan(found[below]).all()
    assert np.isfinite(found[28.5 * unit[:, 2] > 2]).all()
    nothing = surfaces.sample(volume, GRID, white + 500, pial + 500, depths=DEPTHS)
    assert np.isnan(nothing).all()


@pytest.mark.parametrize("voxel_mm", [1.8, 3.4])
def test_a_region_fills_the_voxels_that_it_should(voxel_mm):
    """A cap of a shell of 3 mm, against the share of each voxel by points an eighth of it apart."""
    unit, faces = icosphere(5)
    white, pial = CENTRE + 27 * unit, CENTRE + 30 * unit
    n = int(80 / voxel_mm)
    grid = np.diag([voxel_mm] * 3 + [1.0])
    grid[:3, 3] = CENTRE - voxel_mm * n / 2
    member = unit[:, 0] > 0.3
    found = surfaces.fill(member, faces, white, pial, shape=(n, n, n), affine=grid)
    fine = (np.arange(8) - 3.5) / 8 * voxel_mm
    wanted = np.zeros(n**3)
    centres = world(grid, (n, n, n)) - CENTRE
    for shift in np.stack(np.meshgrid(fine, fine, fine), -1).reshape(-1, 3):
        place = centres + shift
        radius = np.linalg.norm(place, axis=1)
        wanted += (radius > 27) & (radius < 30) & (place[:, 0] > 0.3 * radius)
    wanted = wanted.reshape(n, n, n) / 512
    volume = 2 / 3 * np.pi * 0.7 * (30**3 - 27**3)  # mm3, of a cap of a shell
    assert found.sum() * voxel_mm**3 == pytest.approx(volume, rel=0.03)
    rim = np.abs(centres[:, 0] - 0.3 * np.linalg.norm(centres, axis=1)).reshape(n, n, n)
    assert np.abs(found - wanted)[rim > 2 * voxel_mm].max() < 0.1  # it ends with whole triangles
    mask, truth = found >= 0.5, wanted >= 0.5
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.97
    assert found.max() <= 1


def test_nothing_is_filled_by_nothing():
    unit, faces = icosphere(1)
    white, pial = CENTRE + 27 * unit, CENTRE + 30 * unit
    none = np.zeros(len(unit), bool)
    assert not surfaces.fill(none, faces, white, pial, shape=SHAPE, affine=GRID).any()
    far = surfaces.fill(~none, faces, white + 500, pial + 500, shape=SHAPE, affine=GRID)
    assert not far.any()


def test_surfaces_outside_the_brain_are_told(shell):
    _, _, white, pial = shell
    brain = (np.linalg.norm(world() - CENTRE, axis=1) < 32).reshape(SHAPE)
    assert surfaces.share_inside(white, pial, brain, GRID) == 1
    assert surfaces.share_inside(white + 40, pial + 40, brain, GRID) < 0.3


def test_values_go_between_registered_spheres(rng, shell):
    unit, faces, _, _ = shell
    target, _ = icosphere(3)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    target = 100 * target @ turn.T  # no vertex of one is a vertex of the other
    slope = np.array([0.5, -0.3, 0.8])
    found = surfaces.between_spheres(100 * unit @ slope + 200, 100 * unit, faces, target)
    np.testing.assert_allclose(found, target @ slope + 200, rtol=0.02)
    mark = np.where(unit[:, 0] > 0, 1.0, np.nan)
    found = surfaces.between_spheres(mark, unit, faces, target)
    assert np.isnan(found[target[:, 0] < -5]).all()
    np.testing.assert_allclose(found[target[:, 0] > 5], 1)
    same = surfaces.between_spheres(unit[:, 1], unit, faces, unit)
    np.testing.assert_allclose(same, unit[:, 1], atol=1e-6)
    with pytest.raises(DataError, match="do not fit a sphere of 2562 vertices"):
        surfaces.between_spheres(mark[:5], unit, faces, target)
